import { describe, expect, it } from "@effect/vitest"
import type { Command } from "../../src/cli/CommandLine.ts"
import { commands } from "../../src/cli/Commands.ts"
import { type Place, place, runIn } from "./support.ts"

const all = commands.map(({ name, load }) => ({ name, load }))

/** A word for each argument that a command needs, and for every one that it takes. */
const wordsFor = ({
  arguments: words
}: Command): { readonly needed: ReadonlyArray<string>; readonly taken: ReadonlyArray<string> } => ({
  needed: words.filter(({ needed }) => needed).map(({ name }) => (name === "SHELL" ? "bash" : "x")),
  taken: words.map(({ name }) => (name === "SHELL" ? "bash" : "x"))
})

const has = (command: Command, option: string): boolean => command.options.some(({ name }) => name === option)

describe.each(all)("$name, wrongly used,", { timeout: 60_000 }, ({ name, load }) => {
  it("says what is wrong and what would be right, with exit code 2, and does nothing", async () => {
    const { command } = await load()
    const { needed, taken } = wordsFor(command)
    const repeats = command.arguments.some((argument) => argument.repeats)
    const wrong: ReadonlyArray<ReadonlyArray<string>> = [
      [...needed, "--frobnicate"],
      ...(needed.length > 0 ? [[]] : []),
      ...(repeats ? [] : [[...taken, "one-too-many"]]),
      ...(has(command, "home")
        ? [
            [...needed, "--home"],
            [...needed, "--home", "nowhere"]
          ]
        : [])
    ]
    const at = place()
    const ended = await Promise.all(wrong.map((words) => at.run([name, ...words], { input: "" })))
    for (const [index, { code, stderr, stdout }] of ended.entries()) {
      const words = [name, ...(wrong[index] ?? [])].join(" ")
      expect({ words, code, stdout }).toEqual({ words, code: 2, stdout: "" })
      expect(stderr).toMatchSnapshot(words)
    }
  })
})

describe("a command that asks a database", { timeout: 60_000 }, () => {
  /** What some need besides their arguments. */
  const more: Readonly<Record<string, ReadonlyArray<string>>> = {
    fork: ["--from-step", "s"],
    graph: ["--run", "x"],
    prune: ["--keep", "1"]
  }
  /** These make a database. */
  const making = ["run", "work"]

  it("says that there is none with exit code 1, and that there is no such run with exit code 2", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } }' })
    await at.run(["run", "w.wf", "--db", "there.db"])
    for (const { name, load } of all.filter(({ name }) => !making.includes(name))) {
      const { command } = await load()
      if (!has(command, "db")) continue
      const words = [name, ...wordsFor(command).needed, ...(more[name] ?? [])]
      const none = await at.run([...words, "--db", "nosuch.db"])
      expect({ name, ...none }).toMatchObject({
        name,
        code: 1,
        stdout: "",
        stderr:
          "error: there is no database nosuch.db\nhelp: `--db FILE` names one, `--home DIR` the folder that holds it\n"
      })
      if (!words.includes("x")) continue
      const unknown = await at.run([...words, "--db", "there.db"])
      expect({ name, ...unknown }).toMatchObject({
        name,
        code: 2,
        stdout: "",
        stderr: "error: there is no run 'x'\nhelp: `millrace runs` lists them\n"
      })
    }
  })

  it("names the runs that begin like what it was given, where there are several", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } }' })
    const runs: Array<string> = []
    for (let count = 0; count < 4; count++) runs.unshift(runIn((await at.run(["run", "w.wf"])).stdout))
    const { code, stderr } = await at.run(["show", "0"])
    expect(code).toBe(2)
    expect(stderr).toBe(
      `error: 4 runs begin with '0'\nhelp: ${runs.slice(0, 3).join(", ")}, …; \`millrace runs\` lists them\n`
    )
  })
})

/** Its lines, each of which has to be JSON; or the whole, if that is one value. */
const json = (stdout: string): unknown => {
  try {
    return JSON.parse(stdout)
  } catch {
    return stdout
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line))
  }
}

describe("--json", { timeout: 60_000 }, () => {
  const gated =
    'workflow w { inputs { a default = "1" } gate human_review { prompt = "Right?" } script s { run = "true" } }'
  const waiting = async (at: Place) => runIn((await at.run(["run", "w.wf"])).stdout)
  const paused = async (at: Place) => {
    const run = await waiting(at)
    await at.run(["pause", run])
    return run
  }
  const result = (run: string, status: string) => ({ _tag: "RunResult", runId: run, workflow: "w", status })

  const last = (stdout: string): unknown => {
    const lines = json(stdout)
    return Array.isArray(lines) ? lines.at(-1) : lines
  }

  it("is all that a command that has it prints on the standard output", async () => {
    const withJson: Array<string> = []
    for (const { name, load } of all) if (has((await load()).command, "json")) withJson.push(name)
    const at = place({ "w.wf": gated, ".millrace/workflows/w.wf": gated })
    const run = await waiting(at)
    const lines: Readonly<Record<string, () => Promise<{ readonly stdout: string }>>> = {
      run: () => at.run(["run", "w.wf", "--yes", "--json"]),
      work: () => at.run(["work", "--once", "--json"]),
      resume: () => at.run(["resume", run, "--json"]),
      approve: () => at.run(["approve", run, "--json"]),
      reject: async () => at.run(["reject", await waiting(at), "--json"]),
      fork: () => at.run(["fork", run, "--from-step", "s", "--json"]),
      pause: async () => at.run(["pause", await waiting(at), "--json"]),
      unpause: async () => at.run(["unpause", await paused(at), "--json"]),
      list: () => at.run(["list", "--json"]),
      parse: () => at.run(["parse", "w.wf", "--json"]),
      runs: () => at.run(["runs", "--json"]),
      show: () => at.run(["show", run, "--json"]),
      prune: () => at.run(["prune", "--keep", "0", "--json"])
    }
    expect(Object.keys(lines).toSorted()).toEqual(withJson.toSorted())
    for (const [name, ask] of Object.entries(lines)) {
      const { stdout } = await ask()
      expect(() => json(stdout), `${name}: ${stdout}`).not.toThrow()
    }
  })

  it("of what runs something ends with the result, and texts for people go to the error stream", async () => {
    const at = place({ "w.wf": gated })
    const run = await waiting(at)
    const left = await at.run(["resume", run, "--json"])
    expect(left.code).toBe(3)
    expect(last(left.stdout)).toMatchObject(result(run, "waiting"))
    expect(left.stderr.replaceAll(run, "RUN")).toMatchInlineSnapshot(`
      "it waits at gate human_review: Right?
        millrace approve RUN
        millrace reject RUN --feedback "…"
      "
    `)
    const approved = await at.run(["approve", run, "--json"])
    expect(approved.code).toBe(0)
    expect(last(approved.stdout)).toMatchObject(result(run, "completed"))
    expect(approved.stderr).toBe(`gate human_review of run ${run} is approved\n`)
    const again = await at.run(["resume", run, "--restart", "--json"])
    expect(again.code).toBe(3)
    const stored = await at.run(["reject", run, "--no-resume", "--json"])
    expect(stored).toMatchObject({ code: 0, stdout: "" })
    expect(stored.stderr).toBe(`gate human_review of run ${run} is rejected\ngo on with: millrace resume ${run}\n`)
    const failed = await at.run(["resume", run, "--json"])
    expect(failed.code).toBe(1)
    expect(last(failed.stdout)).toMatchObject({
      ...result(run, "failed"),
      error: expect.stringContaining("human_review")
    })
  })
})
