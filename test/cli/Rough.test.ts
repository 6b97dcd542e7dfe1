import { mkdirSync, symlinkSync } from "node:fs"
import { basename } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { bin, place, runIn } from "./support.ts"

const action = (body: string) => `export default async () => {\n${body}\n}\n`

describe("what reaches a workflow", () => {
  it("is the input byte for byte, blanks and line ends at its edges included", async () => {
    const at = place({ "w.wf": `workflow w { inputs { v required } script s { run = "printf '[%s]' \\"{{v}}\\"" } }` })
    const ended = await at.run(["run", "w.wf", "--db", "x.db", "--json", "--input", "v= a \n\n"])
    expect(ended.code).toBe(0)
    const { runId } = JSON.parse(ended.stdout.trim().split("\n").at(-1) ?? "{}")
    const { stdout } = await at.run(["show", runId, "--db", "x.db", "--json"])
    expect(JSON.parse(stdout).steps[0].context).toBe("[ a \n\n]")
  })

  it("is no input that the workflow does not declare, whatever its name", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "true" } }' })
    expect(await at.run(["run", "w.wf", "--input", "__proto__=x"])).toMatchObject({ code: 2 })
  })
})

describe("a path at which nothing can stand", () => {
  // Nobody caught what the system says of it: every command of the project died, and asked to be reported.
  it("is one at which there is nothing", async () => {
    const long = "a".repeat(300)
    const at = place({
      "workflows/w.wf": `workflow w { call ${long} call loop { output = loop } script s { run = "./${long}" } }`,
      "workflows/x.wf": 'workflow x { script s { run = "true" } }'
    })
    for (const folder of ["actions", "agents", "gates", "providers", "schemas"]) mkdirSync(at.path(folder))
    for (const link of ["workflows/l.wf", "actions/loop.ts", "gates/loop", "providers/loop", "schemas/loop.yaml"]) {
      symlinkSync(basename(link), at.path(link))
    }
    expect(await at.run(["run", "x"])).toMatchObject({ code: 0 })
    expect(await at.run(["list"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("too many symbolic links")
    })
    for (const [words, message] of [
      [["validate", "w"], `no action \`${long}\``],
      [["run", long], `no workflow '${long}': there is none`],
      [["run", "l"], "no workflow 'l': there is none"],
      [["run", "x", "--home", long], "home folder aaa"]
    ] as const) {
      const { code, stderr } = await at.run(words)
      expect({ words, code }).toEqual({ words, code: 2 })
      expect(stderr).toContain(message)
    }
  })
})

describe("an action that misbehaves", () => {
  const wf = "workflow w { call bad call good }"
  const project = (bad: string) => place({ "w.wf": wf, "actions/bad.mjs": action(bad), "actions/good.mjs": action("") })

  it("and ends the process does not make the run look done", async () => {
    const { code, stderr } = await project("process.exit(0)").run(["run", "w.wf", "--db", "x.db"])
    expect(code).toBe(1)
    expect(stderr).toMatch(/something ended the process while a run went on\nhelp: go on with: .*resume/)
  })

  it("and leaves a rejected promise behind gets a warning, and the run goes on", async () => {
    const late = `setTimeout(() => Promise.reject(new Error("late")), 5)\nawait new Promise((r) => setTimeout(r, 100))`
    const { code, stderr } = await project(late).run(["run", "w.wf", "--db", "x.db"])
    expect(code).toBe(0)
    expect(stderr).toContain("warning: something left a rejected promise behind: late")
  })

  it("and throws where nobody catches ends the process with a message", async () => {
    const thrown = `setTimeout(() => { throw new Error("far away") }, 5)\nawait new Promise((r) => setTimeout(r, 2000))`
    const { code, stderr } = await project(thrown).run(["run", "w.wf", "--db", "x.db"])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: nobody caught: far away\nhelp: go on with: .*resume/)
  })
})

describe("a run that nobody watches any longer", () => {
  it("goes on to its end when the reader of its output has left", async () => {
    const at = place({
      "w.wf":
        'workflow w { script a { run = "sleep 0.3" } script b { run = "sleep 0.3" } always { script c { run = "true" } } }'
    })
    const piped = await at.run([], {
      command: ["sh", "-c", `node "${process.cwd()}/dist/cli/bin.js" run w.wf --db x.db | head -1`]
    })
    expect(piped.code).toBe(0)
    const { stdout } = await at.run(["runs", "--db", "x.db", "--json"])
    expect(JSON.parse(stdout)).toMatchObject([{ status: "completed" }])
  })

  it.each([
    "logs RUN | head -1",
    "show RUN --json | head -1",
    "runs | true",
    "graph --run RUN | true",
    "logs RUN | true"
  ])("takes a reader that has left for an end, not for an error: %s", async (line) => {
    // Far more than a pipe holds.
    const at = place({ "w.wf": `workflow w { script s { run = "head -c 3000000 /dev/zero | tr '\\\\0' x | fold" } }` })
    const run = runIn((await at.run(["run", "w.wf"])).stdout)
    const words = `set -o pipefail; '${process.execPath}' '${bin}' ${line.replace("RUN", run)}`
    const { code, stderr } = await at.run([], { command: ["bash", "-c", words] })
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })

  it.each(["runs", "logs RUN", "run w.wf", "--help"])(
    "is told where its output cannot be written, and the exit code too: %s",
    async (line) => {
      const at = place({ "w.wf": 'workflow w { script s { run = "echo x" } }' })
      const run = runIn((await at.run(["run", "w.wf"])).stdout)
      const words = `'${process.execPath}' '${bin}' ${line.replace("RUN", run)} > /dev/full`
      expect(await at.run([], { command: ["bash", "-c", words] })).toMatchObject({
        code: 1,
        stderr: "error: the output cannot be written: ENOSPC: no space left on device, write\n"
      })
    }
  )

  it("says so when its database is gone at the end", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "rm -f x.db x.db-wal x.db-shm" } }' })
    const { code, stderr } = await at.run(["run", "w.wf", "--db", "x.db"])
    expect(code).toBe(1)
    expect(stderr).toContain("was deleted while the run went on")
  })
})

describe("a fan-out whose child waits for a person", () => {
  it("leaves the run waiting with exit code 3, although items are left to dispatch", async () => {
    const at = place({
      "w.wf": `workflow w {
        script f { run = "printf '<<<FLOW_OUTPUT>>>\\n{\\"items\\":[\\"a\\",\\"b\\"]}\\n<<<END_FLOW_OUTPUT>>>'" }
        foreach e { over = json scope = { from = "f.items" } max_parallel = 1 workflow = kid }
      }`,
      "kid.wf": 'workflow kid { gate human_approval { prompt = "ok?" } script s { run = "true" } }'
    })
    const first = await at.run(["run", "w.wf", "--db", "x.db"])
    expect(first.code).toBe(3)
    const child = /approve (\w+)/.exec(first.stdout)?.[1] ?? ""
    const second = await at.run(["approve", child, "--db", "x.db"])
    expect(second.code).toBe(3)
    const third = await at.run(["approve", /approve (\w+)/.exec(second.stdout)?.[1] ?? "", "--db", "x.db"])
    expect(third.code).toBe(0)
  })
})
