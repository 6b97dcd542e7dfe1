import { describe, expect, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { isRunning, outline, place, runIn, show } from "./support.ts"

const lines = (stdout: string): ReadonlyArray<{ readonly _tag: string; readonly [key: string]: unknown }> =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

describe("run", () => {
  it("runs a workflow, says what happens, and records it beside the workflow", async () => {
    const at = place({
      "w.wf": 'workflow w { inputs { who default = "you" } script greet { run = "echo hello {{who}}" } }'
    })
    const { code, stdout, stderr } = await at.run(["run", "w.wf", "--input", "who=me=us"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toMatch(/^run \w{26} of w, recorded in millrace\.db\n/)
    expect(stdout).toMatch(/\/greet: started\n.*\/greet: completed \(\d+ms\)\nw completed in \d+ms\n$/)
    const { run, steps } = await show(at, runIn(stdout))
    expect(run).toMatchObject({ status: "completed", inputs: { who: "me=us" } })
    expect(steps[0]).toMatchObject({ name: "greet", context: "hello me=us\n", attempts: [{ outcome: "completed" }] })
  })

  it("prints its events as JSON lines, the result last and nothing beside them", async () => {
    const at = place({
      "w.wf": "workflow w { call talk call no }",
      "actions/talk.js": 'console.log("from an action"); export default () => ({ context: "hi" })',
      "actions/no.mjs": 'export default () => { throw new Error("no luck") }'
    })
    const { code, stdout, stderr } = await at.run(["run", "w.wf", "--json"])
    expect(code).toBe(1)
    const events = lines(stdout)
    expect(events.map(({ _tag }) => _tag)).toEqual([
      "RunStarted",
      "StepStarted",
      "StepCompleted",
      "StepStarted",
      "StepCompleted",
      "MetricsUpdated",
      "RunCompleted",
      "RunResult"
    ])
    const result = events.at(-1)
    expect(Object.keys(result ?? {})).toEqual(["_tag", "runId", "workflow", "status", "durationMs", "error"])
    expect(result).toMatchObject({ workflow: "w", status: "failed", error: expect.stringContaining("no luck") })
    expect(stderr).toContain("from an action")
  })

  it("records nothing where the inputs are wrong", async () => {
    const at = place({
      "w.wf": 'workflow w { inputs { colour required size required } script s { run = "true" } }'
    })
    const { code, stderr } = await at.run(["run", "w.wf", "--input", "color=red"])
    expect(code).toBe(2)
    expect(stderr).toMatchInlineSnapshot(`
      "error: workflow 'w': the required input 'colour' is missing; the required input 'size' is missing; there is no input 'color'; did you mean 'colour'? (its inputs: colour, size)
      "
    `)
    expect(existsSync(at.path("millrace.db"))).toBe(false)
  })

  it("refuses an invalid workflow before anything runs, with all that is wrong", async () => {
    const at = place({ "w.wf": 'workflow w {\n  script s { run = "touch ran" }\n  call nothing\n  call nobody\n}\n' })
    const { code, stdout, stderr } = await at.run(["run", "w.wf"])
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toContain("w.wf:3:8")
    expect(stderr).toContain("w.wf:4:8")
    expect(existsSync(at.path("ran"))).toBe(false)
    expect(existsSync(at.path("millrace.db"))).toBe(false)
  })

  it("runs no script in a dry run", async () => {
    const at = place({
      "w.wf": 'workflow w { script s { run = "touch ran" } gate human_approval { prompt = "?" } }'
    })
    const { code, stdout } = await at.run(["run", "w.wf", "--dry-run"])
    expect(code).toBe(0)
    expect(stdout).toContain("(dry run)")
    expect(existsSync(at.path("ran"))).toBe(false)
  })

  it("finds workflows, actions and schemas in the home folder above, or the one that it is given", async () => {
    const at = place({
      ".millrace/workflows/w.wf": "workflow w { call act { output = shape } }",
      ".millrace/actions/act!": "#!/bin/sh\nprintf '<<<FLOW_OUTPUT>>>\\n{\"n\": 1}\\n<<<END_FLOW_OUTPUT>>>\\n'\n",
      ".millrace/schemas/shape.yaml": "fields:\n  n: number\n",
      "deep/er/here.txt": ""
    })
    const inside = await at.run(["run", "w"], {
      command: ["sh", "-c", `cd deep/er && exec "${process.execPath}" "$0" run w`, program]
    })
    expect(inside).toMatchObject({ code: 0, stderr: "" })
    expect(existsSync(at.path(".millrace/millrace.db"))).toBe(true)
    const given = await at.run(["run", "w", "--home", ".millrace", "--db", "other.db"])
    expect(given).toMatchObject({ code: 0, stderr: "" })
    expect(existsSync(at.path("other.db"))).toBe(true)
    expect(await at.run(["run", "w", "--home", "nowhere"])).toMatchObject({
      code: 2,
      stderr: "error: home folder nowhere: there is no such directory\n"
    })
  })

  it("hands values to scripts untouched, whatever they hold, and runs none of them", async () => {
    const value = "a'b\"c`touch ran`$(touch ran)\n{{who}} \\ $HOME"
    const at = place({
      "w.wf": `workflow w {
        inputs { v required }
        script bare { run = "printf %s {{v}}" }
        script double { run = "printf %s \\"{{v}}\\"" }
        script single { run = "printf %s '{{v}}'" }
        script env { run = "printf %s \\"$V\\"" env = { V = "{{v}}" } }
        script here { run = "cat <<END\\n{{v}}\\nEND" }
      }`
    })
    const { code, stdout } = await at.run(["run", "w.wf", "--input", `v=${value}`])
    expect(code).toBe(0)
    const { steps } = await show(at, runIn(stdout))
    expect(steps.map(({ context, name }) => [name, context?.trimEnd()])).toEqual(
      ["bare", "double", "single", "env", "here"].map((name) => [name, value])
    )
    expect(existsSync(at.path("ran"))).toBe(false)
  })
})

const program = new URL("../../dist/cli/bin.js", import.meta.url).pathname

describe("an executor that misbehaves", () => {
  const failing = async (wf: string, files: Readonly<Record<string, string>> = {}) => {
    const at = place({ "w.wf": wf, ...files })
    const { code, stdout, stderr } = await at.run(["run", "w.wf"])
    expect(`${stdout}${stderr}`).not.toMatch(/\n\s+at .*:\d+:\d+/)
    return { code, at, shown: await show(at, runIn(stdout)), text: `${stdout}${stderr}` }
  }

  it.each([
    ["throws", 'export default () => { throw new Error("went wrong") }', "went wrong"],
    ["rejects", 'export default async () => { throw "went wrong" }', "went wrong"],
    ["throws what says nothing", "export default () => { throw { secret: 1 } }", "failed"],
    ["gives a number", "export default () => 42", "gave a number"],
    ["gives the wrong shape", "export default () => ({ markers: 'no list' })", "markers"],
    ["exports no function", "export default 1", "no function"],
    ["cannot be loaded", "this is no JavaScript", "cannot be loaded"]
  ])("fails its step with a clear error when it %s", async (_, module, message) => {
    const { code, shown } = await failing("workflow w { call a }", { "actions/a.mjs": module })
    expect(code).toBe(1)
    expect(shown.steps[0]).toMatchObject({ status: "failed", error: expect.stringContaining("action 'a'") })
    expect(shown.steps[0]?.error).toContain(message)
  })

  it("that prints a broken flow output has none, and a warning says so", async () => {
    const { code, text } = await failing(
      `workflow w { script s { run = "echo '<<<FLOW_OUTPUT>>>'; echo '{\\"markers\\": ['; echo '<<<END_FLOW_OUTPUT>>>'" } }`
    )
    expect(code).toBe(0)
    expect(text).toContain("/s: warning: ")
  })

  it("that never ends is ended at its timeout, with all that it started", async () => {
    const { code, shown, at } = await failing(
      `workflow w { script s { run = "trap '' TERM; (sleep 600; touch late) & echo $! > pid; sleep 600" timeout = 3s } }`
    )
    expect(code).toBe(1)
    expect(outline(shown)).toEqual(["/s timed_out"])
    expect(isRunning(readFileSync(at.path("pid"), "utf8"))).toBe(false)
  })

  it("that writes 100 MB does not hold anything up, and leaves its children no way to stay", async () => {
    const { code, shown, at } = await failing(
      "workflow w { script s { run = \"sleep 600 & echo $! > pid; head -c 100000000 /dev/zero | tr '\\\\0' x\" } }"
    )
    expect(code).toBe(0)
    expect(shown.steps[0]?.context).toHaveLength(2_000)
    expect(isRunning(readFileSync(at.path("pid"), "utf8"))).toBe(false)
  })

  it("that is missing or not executable is found by validation, with the command that helps", async () => {
    const at = place({ "w.wf": 'workflow w { script s { run = "bin/tool" } }' })
    const missing = await at.run(["run", "w.wf"])
    expect(missing.code).toBe(2)
    expect(missing.stderr).toContain("error[script-missing]")
    at.write("bin/tool", "#!/bin/sh\n")
    const plain = await at.run(["run", "w.wf"])
    expect(plain.code).toBe(2)
    expect(plain.stderr).toContain("chmod +x bin/tool")
  })
})

describe("actions in a folder without node_modules", () => {
  it("see the same effect and the same millrace as the program", async () => {
    const at = place({
      "w.wf": "workflow w { call same }",
      "actions/same.ts": `
        import { Effect, pipe } from "effect"
        import * as Module from "effect/Effect"
        import * as Schema from "effect/Schema"
        import { ActionFailed, Definition, type ModuleAction } from "millrace"
        import { SqlitePersistence } from "millrace/sqlite"
        const same: ModuleAction = (_, { attempt }) =>
          Effect.gen(function* () {
            const caught = yield* Module.catchTag(new ActionFailed({ message: "caught" }), "ActionFailed", (error) =>
              Effect.succeed(error.message))
            return { context: [Effect.gen === Module.gen, Schema.isSchema(Definition.WorkflowDefinition), pipe(attempt, String),
              typeof SqlitePersistence.layer, caught].join() }
          })
        export default same`
    })
    const { code, stdout, stderr } = await at.run(["run", "w.wf"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect((await show(at, runIn(stdout))).steps[0]?.context).toBe("true,true,1,function,caught")
  })
})
