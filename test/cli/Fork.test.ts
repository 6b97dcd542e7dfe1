import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { outline, place, runIn, show } from "./support.ts"

const text = `workflow w {
  inputs { name default = "you" }
  script one { run = "echo one >> log" }
  call workflow sub
  script two { run = "echo two {{name}} >> log; test ! -e broken" }
  script three { run = "echo three >> log" }
}`

/** A run that failed at its third step. */
const failed = async () => {
  const at = place({ "w.wf": text, "sub.wf": `workflow sub { script deep { run = "echo deep >> log" } }`, broken: "" })
  const run = runIn((await at.run(["run", "w.wf", "--input", "name=me"])).stdout)
  return { at, run, log: () => readFileSync(at.path("log"), "utf8").trim().split("\n") }
}

describe("fork", () => {
  it("runs a new run from the step, and leaves the other one as it is", async () => {
    const { at, run, log } = await failed()
    const before = await show(at, run)
    const again = await at.run(["fork", run, "--from-step", "two"])
    expect(again.code).toBe(1)
    const other = runIn(again.stdout)
    expect(other).not.toBe(run)
    expect(again.stdout.split("\n")[0]).toBe(`run ${other} of w, forked from ${run}, recorded in millrace.db`)
    expect(again.stdout.split("\n").at(-2)).toBe(`go on with: millrace resume ${other}`)
    expect(log()).toEqual(["one", "deep", "two me", "two me"])
    expect(await show(at, run)).toEqual(before)
    const shown = await show(at, other)
    expect(shown.run).toMatchObject({
      forkedFrom: { runId: run, path: "/two" },
      inputs: { name: "me" },
      parentRunId: null
    })
    expect(before.run).toMatchObject({ forkedFrom: null })
    expect(outline(shown)).toEqual(["/one completed", "/workflow:sub completed", "/two failed"])
    const human = (await at.run(["show", other])).stdout
    expect(human).toContain(`forked     from ${run} at /two\n`)
    // The child that it keeps is its own.
    expect(human).toMatch(/^ {2}\/workflow:sub {2}completed.*\n {4}\/deep {2}completed/m)
  })

  it("prints events as NDJSON, the result last", async () => {
    const { at, run, log } = await failed()
    const ended = await at.run(["fork", run, "--from-step", "/one", "--json"])
    const lines = ended.stdout
      .trimEnd()
      .split("\n")
      .map((line): Readonly<Record<string, unknown>> => JSON.parse(line))
    expect(lines[0]).toMatchObject({ _tag: "RunStarted", workflow: "w" })
    expect(lines.at(-1)).toMatchObject({ _tag: "RunResult", status: "failed" })
    expect(log()).toEqual(["one", "deep", "two me", "one", "deep", "two me"])
  })

  it("says what is wrong with the step or the run", async () => {
    const { at, run } = await failed()
    const unknown = await at.run(["fork", run, "--from-step", "tow"])
    expect(unknown).toMatchObject({
      code: 2,
      stdout: "",
      stderr: `error: run ${run} has no step 'tow'; did you mean 'two'?\n`
    })
    const none = await at.run(["fork", run])
    expect(none.code).toBe(2)
    expect(none.stderr).toBe(
      "error: `millrace fork` needs the step to start from\n" +
        "help: name it with `--from-step STEP`; `millrace show RUN` lists the steps\n"
    )
    expect((await at.run(["fork", "01ABC", "--from-step", "two"])).code).toBe(2)
    const { stdout } = await at.run(["runs"])
    expect(stdout.trimEnd().split("\n")).toHaveLength(2)
  })
})
