/**
 * The order of a shutdown (design.md): runs stop, and attempts with them, before what their handlers use closes; nothing
 * fails of it.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { temporaryDatabase } from "../persistence/support.ts"

/** Connections that can be used until the pool closes. */
class Pool extends Context.Tag("test/Pool")<
  Pool,
  { readonly use: <A>(work: Effect.Effect<A>) => Effect.Effect<A, string> }
>() {}

const poolLayer = (log: Array<string>) =>
  Layer.scoped(
    Pool,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => ({ isOpen: true })),
        (pool) =>
          Effect.sync(() => {
            pool.isOpen = false
            log.push("pool closed")
          })
      ),
      (pool) => ({
        use: (work) =>
          Effect.acquireUseRelease(
            Effect.suspend(() =>
              pool.isOpen ? Effect.sync(() => log.push("connected")) : Effect.fail("pool is closed")
            ),
            () => work,
            () => Effect.sync(() => log.push(pool.isOpen ? "disconnected" : "cut off"))
          )
      })
    )
  )

const Query = Action.make("query", { payload: Schema.Number, success: Schema.Number, error: Schema.String })

/** Each attempt asks the pool twice, with its time in between; only the first run of a test takes it. */
const query = (isSlow: () => boolean) =>
  Query.toLayer((n) =>
    Effect.gen(function* () {
      const pool = yield* Pool
      yield* pool.use(isSlow() ? Effect.never : Effect.void)
      return yield* pool.use(Effect.succeed(n + 1))
    })
  )

const Report = Workflow.make("report", { payload: Schema.Number, success: Schema.Number, error: Schema.String })
const report = Report.toLayer((n) =>
  Effect.flatMap(Action.call(Query, n), (one) => Action.call(Query, one)).pipe(
    Workflow.withCompensation(() => Effect.void)
  )
)

const config = EngineConfig.layerWith({ checkInvariants: true })

const connected = (log: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.suspend(() =>
    log.includes("connected") ? Effect.void : Effect.zipRight(Effect.sleep("5 millis"), connected(log))
  )

describe("a shutdown", () => {
  it.scopedLive("with the natural layering, waits for the attempts before it closes the pool that they use", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const log: Array<string> = []
      let isSlow = true
      const layers = report.pipe(
        Layer.provide(query(() => isSlow)),
        Layer.provide(poolLayer(log)),
        Layer.provideMerge(Engine.layer),
        Layer.provideMerge(SqlitePersistence.layer({ filename })),
        Layer.provide(config)
      )
      const first = ManagedRuntime.make(layers)
      const run = yield* Effect.promise(() => first.runPromise(Effect.zipLeft(Report.start(1), connected(log))))
      yield* Effect.promise(() => first.dispose())
      expect(log).toEqual(["connected", "disconnected", "pool closed"])

      isSlow = false
      const second = ManagedRuntime.make(layers)
      const { end, record, steps } = yield* Effect.promise(() =>
        second.runPromise(
          Effect.gen(function* () {
            const store = yield* Persistence
            const end = yield* Report.await(run)
            return { end, record: yield* store.get(run), steps: yield* store.steps(run) }
          })
        )
      )
      yield* Effect.promise(() => second.dispose())
      expect(end).toBe(3)
      expect(record.status).toBe("completed")
      const outcomes = steps
        .find(({ path }) => path === "/query")
        ?.attempts.map(({ number, outcome }) => [number, outcome])
      expect(outcomes).toEqual([
        [1, "lost"],
        [1, "completed"]
      ])
      expect(log).not.toContain("cut off")
    })
  )

  it.scopedLive("of an action alone interrupts its attempts, and fails none of them", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const log: Array<string> = []
      let isSlow = true
      const base = yield* Layer.build(
        Layer.provideMerge(Engine.layer, SqlitePersistence.layer({ filename })).pipe(Layer.provide(config))
      )
      const { atClose, run, steps } = yield* Effect.gen(function* () {
        const supplied = yield* Scope.make()
        const workflows = yield* Scope.make()
        const action = Layer.provide(
          query(() => isSlow),
          poolLayer(log)
        )
        const actions = yield* Layer.buildWithScope(action, supplied)
        const store = yield* Persistence
        yield* Layer.buildWithScope(Layer.provide(report, Layer.succeedContext(actions)), workflows)
        const run = yield* Report.start(1)
        yield* connected(log)
        yield* Scope.close(supplied, Exit.void)
        const atClose = [...log]
        const steps = yield* store.steps(run)
        yield* Scope.close(workflows, Exit.void)
        return { atClose, run, steps }
      }).pipe(Effect.provide(base))
      expect(atClose).toEqual(["connected", "disconnected", "pool closed"])
      expect(steps.find(({ path }) => path === "/query")?.status).toBe("running")

      isSlow = false
      const again = report.pipe(Layer.provide(query(() => isSlow)), Layer.provide(poolLayer(log)))
      const end = yield* Effect.provide(Effect.zipRight(Layer.build(again), Report.await(run)), base)
      expect(end).toBe(3)
    })
  )
})
