import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { GateQuestion } from "../../src/action/GateResolver.ts"
import type { ItemRequest } from "../../src/action/ItemProvider.ts"
import { functionGate, programGate } from "../../src/action/ProjectGates.ts"
import { functionItems, programItems } from "../../src/action/ProjectItems.ts"
import { ScriptEnvironment } from "../../src/action/Resolvers.ts"
import { RunSecrets } from "../../src/action/RunSecrets.ts"
import { redactorOf } from "../../src/workflow/Redactor.ts"
import { runId, stepPath } from "../../src/testing/SampleRecords.ts"
import { run } from "./projectSupport.ts"
import { eventually, processesWith, temporaryFolder, write, writeScript } from "./support.ts"

const request = (workingDirectory: string, ordered = false): ItemRequest => ({
  name: "each",
  scope: { kind: "open", list: ["a"] },
  filter: { label: "x" },
  ordered,
  workingDirectory,
  output: () => undefined,
  variables: { branch: "main" }
})

const question = (workingDirectory: string): GateQuestion => ({
  gate: "checks",
  prompt: "All green?",
  minApprovals: 1,
  mode: "min_approvals",
  options: [],
  timeout: 1_000,
  identity: "bot",
  run: runId("01RUN"),
  path: stepPath("/checks"),
  workingDirectory
})

describe("an executable provider", () => {
  const items = (folder: string, source: string, ordered = false) => {
    const file = writeScript(folder, "providers/tickets", source)
    return Effect.scoped(programItems("tickets", file).items(request(folder, ordered)))
  }
  const message = (folder: string, source: string) =>
    Effect.map(Effect.flip(items(folder, source)), (error) => error.message)

  it.scopedLive("is asked in JSON and answers in JSON", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const answer = `{"items": ["a", {"id": 2, "type": "ticket", "title": "T", "blocked_by": ["a"]}], "edges": [{"blocker": 2, "dependent": "c"}], "warnings": ["w"]}`
      const source = `#!/bin/sh\ncat > given.json\necho '${answer}'\n`
      const expected = [
        { type: "item", id: "a", ref: "a", context: {} },
        { type: "ticket", id: "2", ref: "2", context: { title: "T" } }
      ]
      expect(yield* items(folder, source)).toEqual({ items: expected, warnings: ["w"] })
      expect(JSON.parse(readFileSync(join(folder, "given.json"), "utf8"))).toEqual({
        name: "each",
        scope: { kind: "open", list: ["a"] },
        filter: { label: "x" },
        ordered: false,
        workingDirectory: folder,
        variables: { branch: "main" }
      })
      expect((yield* items(folder, source, true)).edges).toEqual([
        { blocker: "a", dependent: "2" },
        { blocker: "2", dependent: "c" }
      ])
    })
  )

  it.scopedLive("fails with what is wrong with its answer or its end", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      expect(yield* message(folder, "#!/bin/sh\necho oops >&2\nexit 3\n")).toBe("provider 'tickets': exit code 3: oops")
      expect(yield* message(folder, "#!/bin/sh\necho hello\n")).toBe("provider 'tickets': its output is no valid JSON")
      expect(yield* message(folder, `#!/bin/sh\necho '{"item": []}'\n`)).toBe(
        "provider 'tickets': the answer has the unknown key 'item'; did you mean 'items'?"
      )
      expect(yield* message(folder, "#!/bin/sh\necho '[1]'\n")).toBe(
        "provider 'tickets': item 1 of the answer is a number, not a text or an object with an id"
      )
      expect(yield* message(folder, `#!/bin/sh\necho '{"items": [], "edges": [{}]}'\n`)).toContain(
        "`edges` of the answer"
      )
    })
  )

  it.scopedLive("dies with its children when nobody waits for it any longer", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const fiber = yield* Effect.fork(items(folder, "#!/bin/sh\nsleep 30 &\ntouch started\nwait\n"))
      expect(yield* eventually(() => existsSync(join(folder, "started")))).toBe(true)
      yield* Fiber.interrupt(fiber)
      expect(processesWith(folder)).toEqual([])
    })
  )
})

describe("an executable gate", () => {
  const verdict = (folder: string, source: string) =>
    Effect.scoped(programGate(writeScript(folder, "gates/checks", source))(question(folder)))
  const message = (folder: string, source: string) =>
    Effect.map(Effect.flip(verdict(folder, source)), (error) => error.message)

  it.scopedLive("is asked in JSON, with the variables of its identity, and decides", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const source = (answer: string) => `#!/bin/sh\ncat > given.json\necho $TOKEN > token\necho '${answer}'\n`
      const asked = verdict(folder, source('{"verdict": "approved", "feedback": "go"}')).pipe(
        Effect.provideService(ScriptEnvironment, { variables: (identity) => Effect.succeed({ TOKEN: `${identity}` }) })
      )
      expect(yield* asked).toEqual({ _tag: "Approved", feedback: "go" })
      expect(readFileSync(join(folder, "token"), "utf8")).toBe("bot\n")
      const { run: id, ...rest } = question(folder)
      expect(JSON.parse(readFileSync(join(folder, "given.json"), "utf8"))).toEqual({ ...rest, runId: id })
      expect(yield* verdict(folder, source('{"verdict": "rejected", "reason": "red"}'))).toEqual({
        _tag: "Rejected",
        reason: "red"
      })
      expect(yield* verdict(folder, source('"pending"'))).toEqual({ _tag: "Pending" })
    })
  )

  it.scopedLive("is told a secret, and tells none where it fails, though its words are cut", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const hiding = Effect.provideService(RunSecrets, { redactor: redactorOf(["hunter2-long"]) })
      const cut = "#!/bin/sh\nprintf 'hunter2-long%1990s' x >&2\nexit 1\n"
      expect((yield* hiding(message(folder, cut))).startsWith("exit code 1: ***   ")).toBe(true)
      const source = `#!/bin/sh\nprintf '{"verdict": "approved", "feedback": "hunter2-long"}'\n`
      expect(yield* hiding(verdict(folder, source))).toEqual({ _tag: "Approved", feedback: "hunter2-long" })
    })
  )

  it.scopedLive("fails with what is wrong with its answer", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      expect(yield* message(folder, "#!/bin/sh\necho yes\n")).toBe("its output is no valid JSON")
      expect(yield* message(folder, `#!/bin/sh\necho '{"verdict": "aproved"}'\n`)).toBe(
        'the `verdict` of its answer is neither approved, rejected nor pending; did you mean "approved"?'
      )
      expect(yield* message(folder, "#!/bin/sh\necho '[]'\n")).toBe('its answer is a list, not {"verdict": "approved"}')
      expect(yield* message(folder, "#!/bin/sh\nkill -9 $$\n")).toBe("killed by signal SIGKILL")
    })
  )
})

describe("providers and gates as functions", () => {
  it.live("may give values, promises and Effects, and fail in all these ways", () =>
    Effect.gen(function* () {
      const given = (items: () => unknown) =>
        // SAFETY: what a function of JavaScript gives is only known when it is called.
        Effect.scoped(functionItems("mine", { items: items as () => [] }).items(request("/")))
      const ids = (items: () => unknown) => Effect.map(given(items), (all) => all.items.map(({ id }) => id))
      expect(yield* ids(() => ["a"])).toEqual(["a"])
      expect(yield* ids(async () => ({ items: [{ id: 1 }] }))).toEqual(["1"])
      expect(yield* ids(() => Effect.succeed(["b"]))).toEqual(["b"])
      const message = (items: () => unknown) => Effect.map(Effect.flip(given(items)), (error) => error.message)
      const throwing = () => {
        throw new Error("no")
      }
      expect(yield* message(throwing)).toBe("provider 'mine': failed: no")
      expect(yield* message(async () => throwing())).toBe("provider 'mine': failed: no")
      expect(yield* message(() => Effect.die("no"))).toBe("provider 'mine': failed: no")
      expect(yield* message(() => 3)).toBe("provider 'mine': the answer is a number, not a list of items")
      const gate = functionGate(() => Promise.resolve("rejected" as const))
      expect(yield* Effect.scoped(gate(question("/")))).toEqual({ _tag: "Rejected", reason: "rejected" })
    })
  )

  it.live("are told by their signal that nobody waits any longer", () =>
    Effect.gen(function* () {
      let signal: AbortSignal | undefined
      const gate = functionGate((_, context) => {
        signal = context.signal
        return new Promise(() => undefined)
      })
      const fiber = yield* Effect.fork(Effect.scoped(gate(question("/"))))
      expect(yield* eventually(() => signal !== undefined)).toBe(true)
      yield* Fiber.interrupt(fiber)
      expect(signal?.aborted).toBe(true)
    })
  )
})

describe("a run with executables of its project", () => {
  it.scopedLive("fans out over a provider's items in their order, behind a gate that is asked again", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      write(
        folder,
        "workflows/flow.wf",
        `workflow flow {
          gate checks {}
          foreach each { over = tickets max_parallel = 2 ordered = true workflow = one scope = { state = open } }
        }`
      )
      write(
        folder,
        "workflows/one.wf",
        `workflow one { script add { run = "echo {{item.id}} {{item.title}} >> done" } }`
      )
      writeScript(
        folder,
        "providers/tickets.sh",
        `#!/bin/sh\necho '[{"id": "b", "title": "B", "blocked_by": ["a"]}, {"id": "a", "title": "A"}]'\n`
      )
      writeScript(
        folder,
        "gates/checks",
        `#!/bin/sh\necho x >> asked\n[ -e open ] && echo '"approved"' || echo '"pending"'\n`
      )
      const fiber = yield* Effect.fork(run(folder, "flow"))
      const asked = () => existsSync(join(folder, "asked")) && readFileSync(join(folder, "asked"), "utf8").length > 2
      expect(yield* eventually(asked)).toBe(true)
      writeFileSync(join(folder, "open"), "")
      const { outline } = yield* Fiber.join(fiber)
      expect(outline).toEqual(["/checks completed", "/foreach:each completed"])
      expect(readFileSync(join(folder, "done"), "utf8")).toBe("a A\nb B\n")
    })
  )
})
