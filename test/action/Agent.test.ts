import { chmodSync, existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { ActionCall } from "../../src/action/Action.ts"
import { open } from "../../src/action/Project.ts"
import { ScriptEnvironment } from "../../src/action/Resolvers.ts"
import type { ActionRef } from "../../src/workflow/Definition.ts"
import * as FlowOutput from "../../src/workflow/FlowOutput.ts"
import { answer, calls, modules, read, run, runIn, writeAgentConfig } from "./projectSupport.ts"
import { eventually, makeCall, processesWith, temporaryFolder, write, writeScript } from "./support.ts"

const named = (name: string): ActionRef => ({ _tag: "Name", name })
const path = (text: string): ActionRef => ({ _tag: "Path", path: text })

/** Calls an agent of the project in `folder` once. */
const call = (folder: string, ref: ActionRef, overrides: Partial<ActionCall> = {}, workflow = "flow") =>
  Effect.gen(function* () {
    const project = yield* open({ from: folder, modules })
    const made = makeCall(folder, { name: ref._tag === "Name" ? ref.name : "agent", ref, workflow, ...overrides })
    const { execute } = yield* project.executors.find(ref, workflow, made.call.pluginDirs)
    return yield* Effect.scoped(execute(made.call))
  })

/** The prompt that the stand-in got. */
const prompt = (folder: string, ref: ActionRef, overrides: Partial<ActionCall> = {}) =>
  Effect.map(call(folder, ref, overrides), () => read(folder, `prompt.${calls(folder)}`))

const message = (folder: string, ref: ActionRef, overrides: Partial<ActionCall> = {}) =>
  Effect.map(Effect.flip(call(folder, ref, overrides)), (error) => error.message.replaceAll(folder, ""))

const instructions = FlowOutput.instructions.trim()

describe("an agent's prompt", () => {
  it.scopedLive("is its body and the instructions for the flow output", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(folder)
      write(folder, "agents/look.md", "\n\nLook at {{branch}}{{unknown}} $(x) '{{odd}}'.\n\n")
      const variables = { branch: "main", odd: "{{branch}}" }
      expect(yield* prompt(folder, named("look"), { variables })).toBe(
        `Look at main $(x) '{{branch}}'.\n\n${instructions}\n`
      )
    })
  )

  it.scopedLive("begins with the order not to commit, then with the last error", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(folder)
      write(folder, "agents/fix.md", "---\nrole: actor\ncan_commit: true\n---\nFix it.\n")
      write(folder, "agents/look.md", "Look.\n")
      const again = { dryRun: true, retryError: "it {{broke}}" }
      expect(yield* prompt(folder, named("fix"), again)).toMatch(
        /^This is a dry run: do not commit,.*\n\nThe attempt before this one failed\. Its error:\n\nit \{\{broke\}\}\n\nFix it\.\n\n/
      )
      expect(yield* prompt(folder, named("look"), { dryRun: true })).toMatch(/^Look\./)
    })
  )

  it.scopedLive("has the call's snippets, the workflow's own first, or by path", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(folder)
      write(folder, "agents/look.md", "Look.\n")
      write(folder, "prompts/tone.md", "Shared tone.\n")
      write(folder, "prompts/rules.md", "\n\nRules for {{branch}}.\n\n\n")
      write(folder, "prompts/empty.md", "\n")
      write(folder, "workflows/flow/prompts/tone.md", "Own tone.\n")
      write(folder, "docs/style.md", "Style.\n")
      const snippets = ["tone", "rules", "empty", "docs/style.md"]
      expect(yield* prompt(folder, named("look"), { snippets, variables: { branch: "main" } })).toBe(
        `Look.\n\nOwn tone.\n\nRules for main.\n\nStyle.\n\n${instructions}\n`
      )
      expect(yield* message(folder, named("look"), { snippets: ["gone"] })).toBe(
        "agent 'look' (/agents/look.md): no snippet 'gone'; searched /workflows/flow/prompts/gone.md, /prompts/gone.md"
      )
      expect(yield* message(folder, named("look"), { snippets: ["../x.md"] })).toContain("'..'")
      expect(calls(folder)).toBe(1)
    })
  )

  it.scopedLive("ends with the fields of the call's schema", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(folder)
      write(folder, "agents/look.md", "Look.\n")
      const schema = {
        name: "review",
        fields: [{ name: "approved", type: { _tag: "Boolean" as const }, optional: false, examples: [] }]
      }
      const text = yield* prompt(folder, named("look"), { schema })
      expect(text).toMatch(/^Look\.\n\n/)
      expect(text).toContain("Fields:\n- approved: ")
      expect(text).not.toContain("`markers` is a list")
    })
  )
})

describe("an agent's file", () => {
  it.scopedLive("is the workflow's own, the project's, that of .claude/agents, then a plugin's", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(folder)
      const places = ["workflows/flow/agents", "agents", ".claude/agents", "plugins/p/agents"]
      places.forEach((place, index) => {
        for (const name of ["a", "b", "c", "d"].slice(0, index + 1)) write(folder, `${place}/${name}.md`, `${place}.\n`)
      })
      const first = (name: string) =>
        Effect.map(prompt(folder, named(name), { pluginDirs: ["plugins/p"] }), (text) => text.split("\n")[0])
      expect(yield* first("a")).toBe("workflows/flow/agents.")
      expect(yield* first("b")).toBe("agents.")
      expect(yield* first("c")).toBe(".claude/agents.")
      expect(yield* first("d")).toBe("plugins/p/agents.")
      expect(yield* message(folder, named("d"))).toBe(
        "no action 'd'; searched /actions/d.*, /workflows/flow/agents/d.md, /agents/d.md, /.claude/agents/d.md"
      )
    })
  )

  it.scopedLive("may be given by its path, and gives way to an action of its name", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(folder)
      write(folder, "agents/both.md", "Agent.\n")
      writeScript(folder, "actions/both.sh", `#!/bin/sh\ncat <<'E'\n${answer('{"context": "action"}')}E\n`)
      expect((yield* call(folder, named("both"))).context).toBe("action")
      expect(yield* prompt(folder, path("agents/both.md"))).toMatch(/^Agent\./)
      expect(yield* message(folder, path("../agents/both.md"))).toContain("'..'")
      expect(yield* message(folder, path("agents/gone.md"))).toBe(
        "no action 'agents/gone.md'; searched /agents/gone.md"
      )
    })
  )

  it.scopedLive("gives role, can_commit and model to the step", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(folder)
      write(folder, "agents/fix.md", "---\nrole: actor\ncan_commit: true\nmodel: big\n---\n")
      write(folder, "agents/look.md", "")
      const { executors } = yield* open({ from: folder, modules })
      expect(yield* executors.find(named("fix"), "flow", [])).toMatchObject({
        role: "actor",
        canCommit: true,
        model: "big"
      })
      expect(yield* executors.find(named("look"), "flow", [])).toMatchObject({ role: "reviewer", canCommit: false })
      expect(yield* executors.names).toEqual(["fix", "look"])
    })
  )

  it.scopedLive("that is no agent, or that nothing runs, is told with the reason", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, "agents/fix.md", "Fix.\n")
      expect(yield* message(folder, named("fix"))).toBe(
        "no action 'fix'; searched /agents/fix.md (nothing runs agents: give `agent` in millrace.config.ts)"
      )
      writeAgentConfig(folder)
      write(folder, "agents/bad.md", "---\nrole: actr\n---\n")
      expect(yield* message(folder, named("bad"))).toBe(
        "no action 'bad'; searched /agents/bad.md (`role` is actor or reviewer; did you mean `actor`?)"
      )
      const host = (yield* open({ from: folder, modules })).host({ workingDirectory: folder })
      expect(host.action(named("fix"), "flow", [])).toEqual({ _tag: "Found" })
      expect(host.action(named("bad"), "flow", [])).toMatchObject({ _tag: "Missing", candidates: [] })
      expect(host.action(named("fxi"), "flow", [])).toMatchObject({ _tag: "Missing", candidates: ["bad", "fix"] })
    })
  )
})

describe("the agent command", () => {
  it.scopedLive("gets the arguments whose variables have a value", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(
        folder,
        `args: ["-p", ["--model", "{{model}}"], "--as={{identity}}", ["--plugin-dir", "{{plugin_dirs}}"],
          ["--max-turns", "{{max_turns}}"], { when: "can_commit", args: ["--write", "{{agent}}"] }]`
      )
      write(folder, "agents/fix.md", "---\nrole: actor\ncan_commit: true\n---\nFix.\n")
      write(folder, "agents/look.md", "Look.\n")
      yield* call(folder, named("look"))
      expect(read(folder, "args.1")).toBe("-p\n")
      const all = { model: "m {{x}}", identity: "bot", pluginDirs: ["a b", "/c"], maxTurns: 3 }
      yield* call(folder, named("fix"), all)
      expect(read(folder, "args.2").split("\n")).toEqual(
        ["-p", "--model", "m {{x}}", "--as=bot", "--plugin-dir", `${folder}/a b`, "--plugin-dir", "/c"].concat(
          ["--max-turns", "3", "--write", "fix"],
          ""
        )
      )
    })
  )

  it.scopedLive("has its own variables and those of the identity, and stands in the PATH or the project", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, "agents/look.md", "Look.\n")
      const env = `env: { AGENT_MODEL: "{{model}}", DIRS: "{{plugin_dirs}}" }`
      writeScript(folder, "bin/show", `#!/bin/sh\necho "$AGENT_MODEL $TOKEN $DIRS" > shown\n`)
      write(folder, "millrace.config.mjs", `export default { agent: { command: "bin/show", ${env} } }\n`)
      yield* call(folder, named("look"), { model: "m", identity: "bot", pluginDirs: ["a", "b"] }).pipe(
        Effect.provideService(ScriptEnvironment, {
          variables: (identity) => Effect.succeed({ TOKEN: `of ${identity}` })
        })
      )
      expect(read(folder, "shown")).toBe(`m of bot ${folder}/a:${folder}/b\n`)
      const other = (command: string) =>
        Effect.map(temporaryFolder, (elsewhere) => {
          write(elsewhere, "agents/look.md", "Look.\n")
          write(elsewhere, "millrace.config.mjs", `export default { agent: { command: "${command}" } }\n`)
          return elsewhere
        })
      expect(Object.keys(yield* call(yield* other("true"), named("look")))).toEqual(["metadata"])
      expect(yield* message(yield* other("no-such-agent"), named("look"))).toMatch(
        /agents\/look\.md\): the agent command 'no-such-agent' is not in the PATH$/
      )
    })
  )

  it.scopedLive("of the project is looked for by the validator, one of the PATH is not", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, "agents/look.md", "Look.\n")
      const told = Effect.map(open({ from: folder, modules }), (project) =>
        project.host({ workingDirectory: folder }).action(named("look"), "flow", [])
      )
      const config = write(folder, "millrace.config.mjs", `export default { agent: { command: "no-such-agent" } }\n`)
      expect(yield* told).toEqual({ _tag: "Found" })
      rmSync(config)
      write(folder, "millrace.config.js", `export default { agent: { command: "./bin/agent" } }\n`)
      const missing = (detail: string) => ({
        _tag: "Missing",
        searched: [expect.stringContaining(`bin/agent: ${detail}`)],
        candidates: []
      })
      expect(yield* told).toEqual(missing("there is no such file"))
      const file = write(folder, "bin/agent", "#!/bin/sh\n")
      expect(yield* told).toEqual(missing(`it is not executable; run: chmod +x ${file}`))
      chmodSync(file, 0o755)
      expect(yield* told).toEqual({ _tag: "Found" })
    })
  )

  it.scopedLive("gives markers, context, fields and usage by its flow output, and nothing without one", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeAgentConfig(folder)
      write(folder, "agents/look.md", "Look.\n")
      write(folder, "answer.1", answer('{"markers": ["bad"], "context": "two", "num_turns": 3, "cost_usd": "0.5"}'))
      const output = yield* call(folder, named("look"))
      expect(output).toMatchObject({
        markers: ["bad"],
        context: "two",
        structuredOutput: { num_turns: 3 },
        metadata: { num_turns: "3", cost_usd: "0.5" }
      })
      expect(Object.keys(yield* call(folder, named("look")))).toEqual(["metadata"])
      expect(read(folder, "stdout.log")).toBe("thinking\n")
    })
  )

  it.scopedLive("dies with its children when the attempt is interrupted", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(folder, "agents/look.md", "Look.\n")
      writeScript(folder, "bin/slow", "#!/bin/sh\nsleep 30 &\ntouch started\nwait\n")
      write(folder, "millrace.config.mjs", `export default { agent: { command: "./bin/slow" } }\n`)
      const fiber = yield* Effect.fork(call(folder, named("look")))
      expect(yield* eventually(() => existsSync(join(folder, "started")))).toBe(true)
      yield* Fiber.interrupt(fiber)
      expect(processesWith(folder)).toEqual([])
    })
  )
})

describe("a run with agents", () => {
  const project = (folder: string, body: string) => {
    const home = join(folder, ".conductor")
    writeAgentConfig(folder)
    write(home, "workflows/flow.wf", `workflow flow { ${body} }\n`)
    write(home, "agents/review.md", "---\nrole: reviewer\nmodel: big\n---\nReview {{branch}}.\n")
    write(home, "prompts/tone.md", "Be brief.\n")
    write(home, "schemas/verdict.yaml", "fields:\n  approved: boolean\n  branch: string\n")
    return home
  }

  it.scopedLive("tells the next attempt what the schema complained of", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const home = project(folder, `call review { output = verdict with = tone retries = 2 }`)
      write(folder, "answer.1", "no block\n")
      write(folder, "answer.2", answer('{"approved": "yes", "branch": "main"'))
      write(folder, "answer.3", answer('{"approved": "yes", "branch": "main"}'))
      const opened = yield* open({ from: folder, home, modules })
      expect(opened.root).toBe(folder)
      const { run: record, steps } = yield* runIn(opened, folder, "flow")
      expect(record.status).toBe("failed")
      expect(read(folder, "prompt.2")).toContain("Its error:\n\nno structured output, but its schema is 'verdict'")
      expect(read(folder, "prompt.3")).toContain("Its error:\n\nagent 'review'")
      expect(read(folder, "prompt.3")).toContain("its schema is 'verdict', but the flow output is ignored")
      expect(record.error).toContain("approved")
      expect(steps[0]?.role).toBe("reviewer")
    })
  )

  it.scopedLive("goes on with the fields that an agent gave", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const home = project(
        folder,
        `inputs { branch default = "none" } call review { output = verdict } if review.not_approved { call review }`
      )
      write(folder, "answer.1", answer('{"approved": false, "branch": "topic", "input_tokens": 7}'))
      const opened = yield* open({ from: folder, home, modules })
      const { outline, run: record } = yield* runIn(opened, folder, "flow")
      expect(outline).toEqual(["/review completed", "/if:review.not_approved/review completed"])
      expect(read(folder, "prompt.1")).toMatch(/^Review none\./)
      expect(read(folder, "prompt.2")).toMatch(/^Review topic\./)
      expect(record.totals.input_tokens).toBe(7)
    })
  )

  it.scopedLive("keeps an agent alive that prints, and ends one that is silent", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const talk = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done"
      write(folder, "workflows/flow.wf", "workflow flow { call talk { heartbeat = 1s } call wait { heartbeat = 1s } }")
      write(folder, "agents/talk.md", "talk\n")
      write(folder, "agents/wait.md", "wait\n")
      writeScript(folder, "bin/agent", `#!/bin/sh\ncase "$(cat)" in talk*) ${talk};; *) sleep 30;; esac\n`)
      write(folder, "millrace.config.mjs", `export default { agent: { command: "./bin/agent" } }\n`)
      const { outline, run: record } = yield* run(folder, "flow")
      expect(outline).toEqual(["/talk completed", "/wait timed_out"])
      expect(record.error).toContain("no heartbeat for 1000 ms")
    })
  )
})
