import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ActionCall, ActionFailed, type Executor } from "../../src/action/Action.ts"
import { action, failing, park, runIn } from "./TestEngine.ts"

const ok = action(() => ({}))

/** Fails `n` times, then succeeds; keeps the calls that it got. */
const flaky = (n: number, calls: Array<ActionCall> = []): Executor => {
  let left = n
  return (call) =>
    Effect.suspend(() => {
      calls.push(call)
      left -= 1
      return left >= 0
        ? Effect.fail(new ActionFailed({ message: `no ${n - left}` }))
        : Effect.succeed({ context: "ok" })
    })
}

const pick = <K extends keyof ActionCall>(call: ActionCall, ...keys: ReadonlyArray<K>) =>
  Object.fromEntries(keys.map((key) => [key, call[key]]))

describe("a call", () => {
  it.live("hands its executor all that the node, the run and the attempt say", () =>
    Effect.gen(function* () {
      const calls: Array<ActionCall> = []
      const end = yield* runIn(
        { actions: { a: flaky(1, calls) } },
        `workflow w {
          inputs { who required }
          call a {
            retries = 2 as = bot plugin_dirs = ["p2", "p1"] max_turns = 7 model = "m2" with = ["s1", "s2"]
            inputs { greeting = "hello {{who}} {{nobody}}" }
          }
        }`,
        {
          inputs: { who: "Ada" },
          target: "prod",
          settings: { pluginDirs: ["p1"], model: "m1", identity: "root", values: { branch: "main" } }
        }
      )
      const [first, second] = calls
      if (first === undefined || second === undefined) throw new Error("two attempts were expected")
      const same = ["name", "snippets", "model", "identity", "pluginDirs", "maxTurns", "dryRun", "target"] as const
      expect(pick(first, ...same)).toEqual({
        name: "a",
        snippets: ["s1", "s2"],
        model: "m2",
        identity: "bot",
        pluginDirs: ["p1", "p2"],
        maxTurns: 7,
        dryRun: false,
        target: "prod"
      })
      expect(first.variables).toMatchObject({ who: "Ada", branch: "main", greeting: "hello Ada {{nobody}}" })
      expect([first.attempt, first.retriesLeft, first.retryError]).toEqual([1, 2, undefined])
      expect([second.attempt, second.retriesLeft, second.retryError]).toEqual([2, 1, "no 1"])
      expect([first.idempotencyKey, first.stepId]).toEqual([second.idempotencyKey, second.stepId])
      expect(first.path).toBe("/a")
      expect(end.step("/a").attempts.map(({ number, outcome, error }) => [number, outcome, error])).toEqual([
        [1, "failed", "no 1"],
        [2, "completed", null]
      ])
    })
  )

  it.live("falls back on the run's identity and model", () =>
    Effect.gen(function* () {
      const calls: Array<ActionCall> = []
      yield* runIn({ actions: { a: flaky(0, calls) } }, "workflow w { call a }", {
        settings: { model: "m1", identity: "root" }
      })
      expect(calls.map((call) => [call.model, call.identity])).toEqual([["m1", "root"]])
    })
  )

  it.live("makes 1 + retries attempts, and one alone when another cannot help", () =>
    Effect.gen(function* () {
      const calls: Array<ActionCall> = []
      const end = yield* runIn({ actions: { a: flaky(9, calls) } }, "workflow w { call a { retries = 2 } }")
      expect(calls.map((call) => call.retriesLeft)).toEqual([2, 1, 0])
      expect(end.run.error).toBe("a: no 3")
      const permanent: Executor = () => Effect.fail(new ActionFailed({ message: "never", permanent: true }))
      const never = yield* runIn({ actions: { a: permanent } }, "workflow w { call a { retries = 2 } }")
      expect(never.step("/a").attempts).toHaveLength(1)
    })
  )

  it.live("fails an attempt that throws or dies, naming the action and what was thrown", () =>
    Effect.gen(function* () {
      const throws: Executor = () => {
        throw new Error("sync")
      }
      const dies =
        (defect: unknown): Executor =>
        () =>
          Effect.die(defect)
      const error = (executor: Executor) =>
        Effect.map(runIn({ actions: { a: executor } }, "workflow w { call a }"), ({ run }) => run.error)
      expect(yield* error(throws)).toBe("a: 'a' threw: sync")
      expect(yield* error(dies(new Error("boom")))).toBe("a: 'a' threw: boom")
      expect(yield* error(dies("text"))).toBe("a: 'a' threw: text")
      expect(yield* error(dies({ secret: 1 }))).toBe("a: 'a' threw")
      expect(yield* error(() => Effect.interrupt)).toBe("a: 'a' was interrupted")
    })
  )

  it.live("retries an attempt that threw", () =>
    Effect.gen(function* () {
      let left = 1
      const once: Executor = () => (left-- > 0 ? Effect.die(new Error("boom")) : Effect.succeed({}))
      const end = yield* runIn({ actions: { a: once } }, "workflow w { call a { retries = 1 } }")
      expect(end.run.status).toBe("completed")
    })
  )

  it.live("sums known numbers of its metadata, and warns of one that is no number", () =>
    Effect.gen(function* () {
      const metadata = {
        cost_usd: "0.25",
        num_turns: "3",
        duration_ms: "10",
        input_tokens: "1",
        output_tokens: "2",
        cache_read_input_tokens: "4",
        cache_creation_input_tokens: "many",
        colour: "red"
      }
      const end = yield* runIn({ actions: { a: action(() => ({ metadata })) } }, "workflow w { call a call a }")
      expect(end.run.totals).toEqual({
        cost_usd: 0.5,
        num_turns: 6,
        duration_ms: 20,
        input_tokens: 2,
        output_tokens: 4,
        cache_read_input_tokens: 8,
        cache_creation_input_tokens: 0
      })
      expect(end.step("/a").result.metadata).toEqual(metadata)
      const warning = 'metadata cache_creation_input_tokens is no number: "many"'
      expect(end.warnings).toEqual([warning, warning])
    })
  )

  it.live("fails when its structured output takes more bytes than the limit", () =>
    Effect.gen(function* () {
      const large = action(() => ({ structuredOutput: { text: "x".repeat(200) } }))
      const end = yield* runIn({ actions: { a: large }, settings: { maxOutputBytes: 100 } }, "workflow w { call a }")
      expect(end.run.error).toBe("a: the structured output takes 211 bytes; the limit is 100")
    })
  )

  it.live("keeps its structured output as JSON, as a resumed run would see it", () =>
    Effect.gen(function* () {
      const at = new Date(0)
      const end = yield* runIn(
        { actions: { a: action(() => ({ structuredOutput: { at, none: undefined } })) } },
        "workflow w { call a }"
      )
      expect(end.step("/a").result.structured).toEqual({ at: at.toISOString() })
    })
  )

  it.live("whose action does not exist parks the run", () =>
    Effect.gen(function* () {
      const { parked } = yield* park({}, "workflow w { call a }")
      expect(parked.status).toBe("needs_resume")
      expect(parked.error).toBe("no action 'a'")
    })
  )
})

describe("on_fail", () => {
  it.live("continue: records the step as skipped with its error and without markers, and goes on", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: failing("no"), b: ok }, workflows: ["workflow sub { call a }"] },
        `workflow w {
          call a { on_fail = continue retries = 1 }
          script s { run = "exit 3" on_fail = continue }
          call workflow sub { on_fail = continue }
          if a.bad { call b }
          call b
        }`
      )
      expect(end.outline).toEqual(["/a skipped", "/s skipped", "/workflow:sub skipped", "/b completed"])
      expect(end.step("/a").error).toBe("no")
      expect(end.step("/a").attempts).toHaveLength(2)
      expect(end.step("/s").error).toBe("exit code 3")
      expect(end.step("/workflow:sub").error).toBe("a: no")
      expect([end.run.status, end.run.error]).toEqual(["completed", null])
    })
  )

  it.live("continue: an earlier result of the step no longer counts", () =>
    Effect.gen(function* () {
      let calls = 0
      const once: Executor = () =>
        calls++ === 0 ? Effect.succeed({ markers: ["bad"] }) : Effect.fail(new ActionFailed({ message: "no" }))
      const end = yield* runIn(
        { actions: { a: once, b: ok } },
        "workflow w { call a if a.bad { call b } call a { on_fail = continue } if a.bad { call b } }"
      )
      expect(end.outline).toEqual(["/a completed", "/if:a.bad/b completed", "/a~2 skipped"])
    })
  )

  it.live("an action: runs once with what failed as its variables, then the step counts as failed", () =>
    Effect.gen(function* () {
      const calls: Array<ActionCall> = []
      const end = yield* runIn(
        { actions: { a: failing("no"), fix: flaky(0, calls), b: ok } },
        "workflow w { call a { retries = 2 on_fail = fix } call b }"
      )
      expect(end.outline).toEqual(["/a failed", "/a/on_fail completed"])
      expect(end.run.error).toBe("a: no")
      expect(calls.map((call) => [call.name, call.attempt])).toEqual([["fix", 1]])
      expect(calls[0]?.variables).toMatchObject({ failed_step: "a", failure_reason: "no", retry_count: "2" })
    })
  )

  it.live("an action: does the same for a script and a child workflow", () =>
    Effect.gen(function* () {
      const calls: Array<ActionCall> = []
      const end = yield* runIn(
        { actions: { a: failing("no"), fix: flaky(0, calls) }, workflows: ["workflow sub { call a }"] },
        `workflow w { script s { run = "exit 3" on_fail = fix } call workflow sub { on_fail = fix } }`,
        { settings: { failFast: false } }
      )
      expect(end.outline).toEqual([
        "/s failed",
        "/s/on_fail completed",
        "/workflow:sub failed",
        "/workflow:sub/on_fail completed"
      ])
      expect(calls.map((call) => call.variables["failed_step"])).toEqual(["s", "workflow:sub"])
      expect(end.run.error).toBe("s: exit code 3")
    })
  )

  it.live("an action: its result stays visible under its own name", () =>
    Effect.gen(function* () {
      const fix = action(() => ({ markers: ["fixed"], structuredOutput: { patch: "p1" } }))
      const seen: Array<string | undefined> = []
      const look = action(({ variables }) => {
        seen.push(variables["patch"])
        return {}
      })
      const end = yield* runIn(
        { actions: { a: failing("no"), fix, look } },
        "workflow w { call a { on_fail = fix } if fix.fixed { call look } }",
        { settings: { failFast: false } }
      )
      expect(end.outline).toEqual(["/a failed", "/a/on_fail completed", "/if:fix.fixed/look completed"])
      expect(seen).toEqual(["p1"])
    })
  )

  it.live("an action: its own failure does not replace the step's", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: failing("no"), fix: failing("worse") } },
        "workflow w { call a { on_fail = fix } }"
      )
      expect(end.outline).toEqual(["/a failed", "/a/on_fail failed"])
      expect(end.run.error).toBe("a: no")
    })
  )

  it.live("an action: inherits nothing of a surrounding do", () =>
    Effect.gen(function* () {
      const calls: Array<ActionCall> = []
      yield* runIn(
        { actions: { a: failing("no"), fix: flaky(0, calls) } },
        `workflow w { do { with = "s" call a { on_fail = fix } } }`
      )
      expect(calls.map((call) => call.snippets)).toEqual([[]])
    })
  )
})
