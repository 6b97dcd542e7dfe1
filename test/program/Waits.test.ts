import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { RunId, RunRecord } from "../../src/persistence/Records.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { intercept, type Interceptor } from "../../src/testing/CrashPoints.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"

const engine = (store: typeof Persistence.Service, workflow: Layer.Layer<never, never, Engine>) =>
  workflow.pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Layer.succeed(Persistence, store)),
    Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10 }))
  )

const letGo = (run: RunId) =>
  Effect.flatMap(Persistence, (persistence) =>
    Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), persistence.get(run)), {
      until: (record) => record.status === "waiting" && record.owner === null
    })
  )

const until = (store: typeof Persistence.Service, is: (record: RunRecord) => boolean) => (run: RunId) =>
  Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), store.get(run)), { until: (record) => is(record) })

const Go = Workflow.signal("go", Schema.Struct({ n: Schema.Int }))

describe("a durable sleep", () => {
  const Nap = Workflow.make("nap", { payload: Schema.Void, success: Schema.Number })
  const layer = Nap.toLayer(() =>
    Effect.gen(function* () {
      const before = yield* Workflow.now
      yield* Workflow.sleep("300 millis")
      return (yield* Workflow.now) - before
    })
  )

  it.live("is let go, and counts from its start in whichever engine it ends", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const run = yield* Effect.provide(Effect.tap(Nap.start(undefined), letGo), engine(service, layer))
      const slept = yield* Effect.provide(Nap.await(run), engine(service, layer))
      expect(slept).toBeGreaterThanOrEqual(300)
      const steps = yield* service.steps(run)
      expect(steps.map((step) => step.path)).toEqual(["/now", "/sleep", "/now~2", "/@body"])
    })
  )
})

describe("a run that is cancelled just as it is taken up again", () => {
  const Two = Workflow.make("two", { payload: Schema.Void })
  const layer = Two.toLayer(() => Effect.asVoid(Workflow.all([Workflow.sleep("1 minute"), Workflow.sleep("1 hour")])))

  /** How long it lasted, ms, if it is cancelled so many turns after the first write when its first sleep was over. */
  const lasted = (turns: number) =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      let isAwaited = false
      let cancel: Effect.Effect<unknown> = Effect.void
      const write: Interceptor["write"] = (_name, written) =>
        Effect.suspend(() => {
          if (!isAwaited) return written
          isAwaited = false
          const later = Effect.zipRight(Effect.repeatN(Effect.yieldNow(), turns), cancel)
          return Effect.zipLeft(written, Effect.forkDaemon(later))
        })
      const body = Effect.gen(function* () {
        const run = yield* Effect.tap(Two.start(undefined), letGo)
        cancel = Effect.either(service.send(run, { _tag: "Cancel", reason: "user", text: null }, 0))
        yield* Effect.sleep("59 seconds")
        isAwaited = true
        yield* Effect.exit(Two.await(run))
        const { endedAt, startedAt, status } = yield* service.get(run)
        return { status, ms: (endedAt ?? Number.NaN) - (startedAt ?? Number.NaN) }
      })
      return yield* Effect.provide(body, engine(intercept(service, { write, read: (read) => read }), layer))
    })

  it.live("does not wait for what else it waited for, whatever it had come to", () =>
    Effect.gen(function* () {
      for (let turns = 0; turns < 30; turns++) {
        const { ms, status } = yield* withVirtualClock(lasted(turns))
        expect({ turns, status, isSoon: ms >= 60_000 && ms < 60_100 }).toEqual({
          turns,
          status: "cancelled",
          isSoon: true
        })
      }
    })
  )
})

describe("a signal", () => {
  const Wait = Workflow.make("wait", { payload: Schema.Void, success: Schema.Array(Schema.Int) })
  const layer = Wait.toLayer(() =>
    Effect.orDie(
      Effect.map(Effect.all([Workflow.awaitSignal(Go), Workflow.awaitSignal(Go)]), (signals) =>
        signals.map(({ n }) => n)
      )
    )
  )
  const send = (run: RunId, n: number) =>
    Effect.flatMap(Persistence, (persistence) =>
      persistence.send(run, { _tag: "Signal", name: "go", value: { n } }, Date.now())
    )

  it.live("is kept when it comes early, and each is taken once, in order", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const taken = yield* Effect.provide(
        Effect.gen(function* () {
          const run = yield* Wait.start(undefined)
          yield* send(run, 1)
          yield* letGo(run)
          yield* send(run, 2)
          return yield* Wait.await(run)
        }),
        engine(service, layer)
      )
      expect(taken).toEqual([1, 2])
    })
  )

  it.live(
    "that the schema cannot read is passed over with a warning, also after a restart, and kept for code that can",
    () =>
      Effect.gen(function* () {
        const { service } = yield* MemoryPersistence.make()
        const said: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => said.push(`${logLevel.label} ${String(message)}`))
        const Any = Workflow.signal("go", Schema.Unknown)
        const Mixed = Workflow.make("wait", { payload: Schema.Void, success: Schema.Unknown })
        const mixed = Mixed.toLayer(() =>
          Effect.gen(function* () {
            const { n } = yield* Workflow.awaitSignal(Go)
            return [n, yield* Workflow.awaitSignal(Any)]
          })
        )
        const wrong = { _tag: "Signal", name: "go", value: "soon" } as const
        const run = yield* Effect.provide(
          Effect.gen(function* () {
            const run = yield* Mixed.start(undefined)
            yield* service.send(run, wrong, Date.now())
            yield* letGo(run)
            return run
          }),
          engine(service, mixed)
        ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
        expect(said).toEqual([
          "WARN a signal 'go' is passed over, and kept: its value cannot be read by the schema of 'go': Expected { readonly n: Int }, actual \"soon\""
        ])
        const taken = yield* Effect.provide(Effect.zipRight(send(run, 7), Mixed.await(run)), engine(service, mixed))
        expect(taken).toEqual([7, "soon"])
      })
  )

  it.live("that does not come in time fails typed", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const Late = Workflow.make("late", { payload: Schema.Void, error: Workflow.SignalTimedOut })
      const late = Late.toLayer(() => Effect.asVoid(Workflow.awaitSignal(Go, { timeout: "20 millis" })))
      const error = yield* Effect.flip(Effect.provide(Late.execute(undefined), engine(service, late)))
      expect(error).toEqual(new Workflow.SignalTimedOut({ signal: "go" }))
    })
  )
})

describe("a wait for a signal that has timed out", () => {
  const Late = Workflow.make("late", { payload: Schema.Void })
  const nap = Workflow.sleep("1 hour")

  it.live("parks the run where the code gives it no time any more: its types know of no such error", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const inTime = Effect.catchTag(Workflow.awaitSignal(Go, { timeout: "20 millis" }), "SignalTimedOut", () => nap)
      const before = Late.toLayer(() => Effect.asVoid(inTime))
      const asleep = until(
        service,
        ({ blockedOn, owner }) => owner === null && blockedOn.some(({ _tag }) => _tag === "sleep")
      )
      const run = yield* Effect.provide(Effect.tap(Late.start(), asleep), engine(service, before))
      const after = Late.toLayer(() => Effect.asVoid(Workflow.awaitSignal(Go)))
      const parked = until(service, ({ status }) => status === "needs_resume")
      yield* Effect.provide(Effect.zipRight(resume(run), parked(run)), engine(service, after))
      expect((yield* service.get(run)).error).toBe("the wait for /go timed out, and has no timeout now")
    })
  )
})

describe("race, timeout and forEach", () => {
  it.live("a race keeps its winner over a restart, and stops the others", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const Race = Workflow.make("race", { payload: Schema.Void, success: Schema.String })
      const layer = Race.toLayer(() =>
        Effect.gen(function* () {
          const first = yield* Workflow.race({
            slow: Effect.as(Workflow.sleep("1 hour"), "slow"),
            fast: Effect.as(Workflow.sleep("10 millis"), "fast")
          })
          yield* Effect.orDie(Workflow.awaitSignal(Go))
          return first
        })
      )
      const run = yield* Effect.provide(Effect.tap(Race.start(undefined), letGo), engine(service, layer))
      const winner = yield* Effect.provide(
        Effect.gen(function* () {
          yield* service.send(run, { _tag: "Signal", name: "go", value: { n: 1 } }, Date.now())
          yield* resume(run)
          return yield* Race.await(run)
        }),
        engine(service, layer)
      )
      expect(winner).toBe("fast")
      const steps = yield* service.steps(run)
      expect(steps.map((step) => `${step.path} ${step.status}`)).toEqual([
        "/race completed",
        "/race/slow/sleep cancelled",
        "/race/fast/sleep completed",
        "/go completed",
        "/@body completed"
      ])
    })
  )

  it.live("a timeout interrupts the work", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const Slow = Workflow.make("slow", { payload: Schema.Void, error: Workflow.WorkTimedOut })
      const layer = Slow.toLayer(() => Workflow.timeout(Workflow.sleep("1 hour"), "20 millis"))
      const error = yield* Effect.flip(Effect.provide(Slow.execute(undefined), engine(service, layer)))
      expect(error).toEqual(new Workflow.WorkTimedOut({ duration: 20 }))
    })
  )

  it.live("forEach names its branches by key and keeps the order of the items", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const Each = Workflow.make("each", { payload: Schema.Array(Schema.String), success: Schema.Array(Schema.String) })
      const layer = Each.toLayer((names) =>
        Workflow.forEach(
          names,
          (name) => Effect.as(Workflow.sleep(name === "a" ? "30 millis" : "1 millis"), `did ${name}`),
          {
            key: (name) => name,
            concurrency: 2
          }
        )
      )
      const done = yield* Effect.provide(Each.execute(["a", "b", "c"]), engine(service, layer))
      expect(done).toEqual(["did a", "did b", "did c"])
    })
  )
})
