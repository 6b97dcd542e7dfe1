import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { type ActionCall, ActionFailed, type Executor } from "../../src/action/Action.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { action, awaitEnd, isEvent, layerOf, runIn, start, watch } from "./TestEngine.ts"

const ok = action(() => ({}))

/** Keeps the calls that it got. Variables are made when they are read: here at once. */
const noting = () => {
  const calls: Array<Pick<ActionCall, "variables" | "model" | "identity" | "snippets" | "workingDirectory">> = []
  const execute = action(({ variables, model, identity, snippets, workingDirectory, pluginDirs, target }) => {
    const kept = { variables, model, identity, snippets, workingDirectory, pluginDirs, target }
    calls.push(kept)
    return {}
  })
  return { calls, execute }
}

describe("call workflow", () => {
  it.live("is a run of its own, linked to the parent's run and step", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok }, workflows: [`workflow sub { meta { title = "The sub" } call a }`] },
        "workflow w { call workflow sub }"
      )
      const [child] = end.children
      expect(child).toMatchObject({
        workflow: "sub",
        title: "The sub",
        status: "completed",
        parent: { run: end.id, path: "/workflow:sub" },
        root: end.id,
        depth: 1
      })
      expect(end.step("/workflow:sub")).toMatchObject({ kind: "workflow", role: "workflow", childRun: child?.id })
    })
  )

  it.live("hands the run's settings on to the child, with its identity, but not inputs, results or feedback", () =>
    Effect.gen(function* () {
      const { calls, execute } = noting()
      const first = action(() => ({ markers: ["m"], context: "c", structuredOutput: { x: "1" } }))
      const end = yield* runIn(
        { actions: { first, a: execute }, workflows: ["workflow sub { call a if first.m { call a } }"] },
        `workflow w {
          inputs { secret default = "s" }
          call first
          do { with = "outer" call workflow sub { as = bot } call workflow sub }
        }`,
        {
          target: "prod",
          settings: {
            model: "m",
            identity: "root",
            pluginDirs: ["p"],
            values: { branch: "main" },
            workingDirectory: "/tmp",
            failFast: false,
            stepTimeout: 1_234
          }
        }
      )
      expect(calls).toHaveLength(2)
      const [call, second] = calls
      expect(call).toMatchObject({ model: "m", identity: "bot", pluginDirs: ["p"], target: "prod", snippets: [] })
      expect(second?.identity).toBe("root")
      expect(call?.workingDirectory).toBe("/tmp")
      expect(call?.variables).toMatchObject({ branch: "main", prior_context: "", prior_contexts: "[]" })
      expect([call?.variables["secret"], call?.variables["x"]]).toEqual([undefined, undefined])
      const { settings } = end.children[0] ?? { settings: null }
      expect(settings).toMatchObject({ failFast: false, stepTimeout: 1_234, runTimeout: null })
    })
  )

  it.live(
    "gives the child its inputs: substituted, unknown names kept, defaults under them, others with a warning",
    () =>
      Effect.gen(function* () {
        const { calls, execute } = noting()
        const end = yield* runIn(
          {
            actions: { a: execute },
            workflows: [`workflow sub { inputs { x required y default = "d" deep boolean } call a }`]
          },
          `workflow w {
          inputs { who default = "Ada" }
          call workflow sub { inputs { x = "{{who}} {{inputs.who}} {{nobody}}" extra = "1" } }
        }`
        )
        expect(end.children[0]?.inputs).toEqual({ x: "Ada Ada {{nobody}}", y: "d", deep: "false", extra: "1" })
        expect(calls[0]?.variables).toMatchObject({ x: "Ada Ada {{nobody}}", extra: "1" })
        expect(end.warnings).toEqual(["workflow 'sub' declares no input 'extra'"])
      })
  )

  it.live("fails without a child when a required input is missing", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { workflows: ["workflow sub { inputs { x required y required } call a }"] },
        `workflow w { call workflow sub { retries = 3 inputs { x = "1" } } }`
      )
      expect(end.run.error).toBe("workflow:sub: workflow 'sub' needs the input 'y'")
      expect([end.step("/workflow:sub").attempts.length, end.children.length]).toEqual([1, 0])
    })
  )

  it.live("takes markers and context from the last completed step of the child's body, not of its always block", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        {
          actions: {
            a: action(() => ({ markers: ["m"], context: "c", structuredOutput: { x: 1 } })),
            z: action(() => ({ markers: ["late"], context: "late" }))
          },
          workflows: ["workflow sub { call a always { call z } }"]
        },
        "workflow w { call workflow sub if sub.m { call a } if sub.late { call z } }"
      )
      const { result } = end.step("/workflow:sub")
      expect([result.markers, result.context, result.structured]).toEqual([["m"], "c", null])
      expect(end.outline).toEqual(["/workflow:sub completed", "/if:sub.m/a completed"])
    })
  )

  it.live("makes the child's results and contexts visible in order, its own children's too, before its own entry", () =>
    Effect.gen(function* () {
      const { calls, execute } = noting()
      const gives = (name: string) =>
        action(() => ({ markers: [name], context: `context of ${name}`, structuredOutput: { last: name } }))
      const end = yield* runIn(
        {
          actions: { a: gives("a"), b: gives("b"), look: execute },
          workflows: ["workflow sub { call workflow inner call b }", "workflow inner { call a }"]
        },
        "workflow w { call workflow sub if a.a { call look } }"
      )
      expect(end.outline).toEqual(["/workflow:sub completed", "/if:a.a/look completed"])
      const contexts: ReadonlyArray<{ step: string; context: string }> = JSON.parse(
        calls[0]?.variables["prior_contexts"] ?? ""
      )
      expect(contexts.map(({ step, context }) => `${step}: ${context}`)).toEqual([
        "a: context of a",
        "workflow:inner: context of a",
        "b: context of b",
        "workflow:sub: context of b"
      ])
      expect(calls[0]?.variables["last"]).toBe("b")
    })
  )

  it.live("wins over a step of the child of the same name", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        {
          actions: { sub: action(() => ({ markers: ["inner"] })), b: action(() => ({ markers: ["outer"] })), c: ok },
          workflows: ["workflow sub { call sub call b }"]
        },
        "workflow w { call workflow sub if sub.inner { call c } if sub.outer { call c } }"
      )
      expect(end.outline).toEqual(["/workflow:sub completed", "/if:sub.outer/c completed"])
    })
  )

  it.live("adds the child's totals to its parent's", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        {
          actions: { a: action(() => ({ metadata: { cost_usd: "1", num_turns: "2" } })) },
          workflows: ["workflow sub { call a call workflow inner }", "workflow inner { call a }"]
        },
        "workflow w { call a call workflow sub }"
      )
      expect(end.run.totals).toMatchObject({ cost_usd: 3, num_turns: 6 })
    })
  )

  it.live("fails its attempt when the child failed; a retry starts a new child", () =>
    Effect.gen(function* () {
      let calls = 0
      const flaky: Executor = () =>
        calls++ === 0
          ? Effect.fail(new ActionFailed({ message: "no" }))
          : Effect.succeed({ metadata: { num_turns: "1" } })
      const end = yield* runIn(
        { actions: { a: flaky }, workflows: ["workflow sub { call a }"] },
        "workflow w { call workflow sub { retries = 1 } }"
      )
      const attempts = end.step("/workflow:sub").attempts
      expect(attempts.map(({ outcome, error }) => [outcome, error])).toEqual([
        ["failed", "a: no"],
        ["completed", null]
      ])
      expect(end.children.map(({ status }) => status)).toEqual(["failed", "completed"])
      expect(new Set(attempts.map(({ childRun }) => childRun)).size).toBe(2)
      expect(end.run.totals.num_turns).toBe(1)
    })
  )

  it.live("counts what a child cost once, also when it failed and was opened again", () =>
    Effect.gen(function* () {
      let broken = true
      const turn = { metadata: { num_turns: "1" } }
      const a: Executor = () => (broken ? Effect.fail(new ActionFailed({ message: "no" })) : Effect.succeed(turn))
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* Engine
          const watched = yield* watch
          const id = yield* start(`workflow w {
            call items
            call workflow sub
            foreach each { over = json scope = { from = "items.list" } workflow = sub max_parallel = 1 }
          }`)
          const failed = yield* awaitEnd(id, watched)
          expect(failed.run.totals.num_turns).toBe(1)
          broken = false
          yield* resume(id)
          return yield* engine.await(id)
        })
      ).pipe(
        Effect.provide(
          layerOf({
            actions: {
              first: action(() => turn),
              a,
              items: action(() => ({ structuredOutput: { list: ["1", "2"] } }))
            },
            workflows: ["workflow sub { call first call a }"]
          })
        )
      )
      expect(end.status).toBe("completed")
      expect(end.totals.num_turns).toBe(6)
    })
  )

  it.live("counts what a child cost that was cancelled with it", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        {
          actions: { first: action(() => ({ metadata: { num_turns: "1" } })), a: () => Effect.never },
          workflows: ["workflow sub { call first call a }"]
        },
        "workflow w { call workflow sub { timeout = 100ms } }"
      )
      expect(end.run.totals.num_turns).toBe(1)
    })
  )

  it.live("chains at most 5 workflows, the root included", () =>
    Effect.gen(function* () {
      const chain = [2, 3, 4, 5, 6].map((n) => `workflow w${n} { ${n === 6 ? "call a" : `call workflow w${n + 1}`} }`)
      const end = yield* runIn({ actions: { a: ok }, workflows: chain }, "workflow w1 { call workflow w2 }")
      expect(end.run.error).toMatch(/w5: workflow:w6: a chain of more than 5 workflows$/)
      const fine = yield* runIn(
        { actions: { a: ok }, workflows: [...chain.slice(0, 3), "workflow w5 { call a }"] },
        "workflow w1 { call workflow w2 }"
      )
      expect(fine.run.status).toBe("completed")
    })
  )

  it.live("with a timeout cancels the child, its always included, and is timed out", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: () => Effect.never, z: ok }, workflows: ["workflow sub { call a always { call z } }"] },
        "workflow w { call workflow sub { timeout = 50ms } }"
      )
      expect(end.step("/workflow:sub").status).toBe("timed_out")
      const [child] = end.children
      expect([child?.status, child?.cancelReason]).toEqual(["cancelled", "parent cancelled"])
      expect(child?.summary).toContain("- z: completed")
    })
  )

  it.live("is cancelled with its parent, reason parent cancelled, and never retried", () =>
    Effect.gen(function* () {
      const begun = Deferred.unsafeMake<void>(FiberId.none)
      const a: Executor = () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start("workflow w { call workflow sub { retries = 3 on_fail = continue } }")
          yield* Deferred.await(begun)
          yield* Client.cancel(id, "enough")
          return yield* awaitEnd(id, watched)
        })
      ).pipe(Effect.provide(layerOf({ actions: { a }, workflows: ["workflow sub { call a }"] })))
      expect([end.run.status, end.run.cancelReason]).toEqual(["cancelled", "user requested: enough"])
      expect(end.step("/workflow:sub")).toMatchObject({ status: "cancelled", error: "user requested: enough" })
      expect(end.step("/workflow:sub").attempts).toHaveLength(1)
      expect(end.children.map(({ status, cancelReason }) => [status, cancelReason])).toEqual([
        ["cancelled", "parent cancelled"]
      ])
    })
  )

  it.live("lists the child's gate as what its parent is blocked on, and an answer to the parent is the child's", () =>
    Effect.gen(function* () {
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const persistence = yield* Persistence
          const watched = yield* watch
          const id = yield* start("workflow w { call workflow sub }")
          yield* watched.until((event): event is typeof event => event._tag === "RunWaiting" && event.run === id)
          const waiting = yield* persistence.get(id)
          expect(waiting.status).toBe("waiting")
          expect(waiting.blockedOn).toMatchObject([{ _tag: "gate", name: "human_approval", prompt: "Deploy?" }])
          const answered = yield* Client.answer(id, { approved: true })
          expect(waiting.blockedOn[0]?.run).toBe(answered.run)
          expect(answered.run).not.toBe(id)
          return yield* awaitEnd(id, watched)
        })
      ).pipe(
        Effect.provide(
          layerOf({
            workflows: [`workflow sub { gate human_approval { prompt = "Deploy?" } }`],
            settings: { linger: 1e6 }
          })
        )
      )
      expect(end.run.status).toBe("completed")
      expect(end.run.blockedOn).toEqual([])
      expect(end.events.filter(isEvent("RunWaiting"))).toHaveLength(1)
    })
  )

  it.live("goes on with a child that was dispatched, whatever has become of its workflow's file meanwhile", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const text = "workflow w { call workflow sub }"
      const id = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start(text)
          yield* watched.until((event): event is typeof event => event._tag === "RunWaiting" && event.run === id)
          return id
        })
      ).pipe(
        Effect.provide(
          layerOf({ workflows: ["workflow sub { gate human_approval { } }"], settings: { linger: 1e6 } }, store)
        )
      )
      const end = yield* Effect.gen(function* () {
        const engine = yield* Engine
        yield* Client.answer(id, { approved: true })
        yield* engine.take(id)
        return yield* engine.await(id)
      }).pipe(Effect.provide(layerOf({}, store)))
      expect([end.status, end.error]).toEqual(["completed", null])
    })
  )
})
