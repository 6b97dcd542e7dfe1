/** What is asked of runs from outside, typed: in the engine's process, and in one that has only the store. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { Engine } from "../../src/engine/Engine.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { RunId } from "../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { startProcess } from "../engine/durability/EngineProcess.ts"
import { temporaryDatabase } from "../persistence/support.ts"
import { Approval, Order, Paid, SoldOut } from "./processes/Shop.ts"
import { engine, letGo, parked } from "./support.ts"

const shop = join(import.meta.dirname, "processes", "shopEngine.ts")

/** Looks until a run is as it should be, with the means of a client. */
const untilState = (target: Workflow.RunTarget, tag: string) =>
  Effect.repeat(Effect.zipRight(Effect.sleep("10 millis"), Effect.flatten(Order.client.poll(target))), {
    until: (state) => state._tag === tag
  })

/** A process that executes orders, on a database of its own. */
const openShop = Effect.gen(function* () {
  const filename = yield* temporaryDatabase
  const process = yield* startProcess(shop, filename)
  yield* process.said("ready")
  return { filename, process }
})

describe("a client without an engine", () => {
  it.scopedLive(
    "starts, answers, signals, polls and awaits runs that another process executes",
    () =>
      Effect.gen(function* () {
        const { filename, process } = yield* openShop
        yield* Effect.gen(function* () {
          const run = yield* Order.client.start({ id: "o-1", items: ["lamp", "books"] })
          const key = { idempotencyKey: "o-1" }
          expect(yield* Order.client.start({ id: "o-1", items: ["lamp", "books"] })).toBe(run)
          const conflict = yield* Effect.flip(Order.client.start({ id: "o-1", items: [] }))
          expect(conflict).toMatchObject({ _tag: "IdempotencyConflict", run })

          const waiting = yield* untilState(key, "Waiting")
          expect(waiting).toMatchObject({ run, on: [{ name: "approval" }] })
          yield* Order.client.signal(run, Paid, { cents: 100 })
          yield* Order.client.answer(key, Approval, { approved: true, value: { discount: 30 } })
          const end = yield* Order.client.await(key)
          expect(end).toEqual({ parcels: [4, 5], cents: 70, pid: process.pid })
          expect(yield* Order.client.poll(run)).toEqual(Option.some({ _tag: "Completed", run, value: end }))

          // Noticed by the other process's look at the database, not by its watchdog's interval of 5 s.
          const store = yield* Persistence
          const { createdAt, startedAt } = yield* store.get(run)
          expect((startedAt ?? Number.POSITIVE_INFINITY) - createdAt).toBeLessThan(3_000)

          const failed = yield* Effect.flip(Order.client.execute({ id: "o-2", items: ["unicorn"] }))
          expect(failed).toEqual(new SoldOut({ item: "unicorn" }))
          const other = yield* Order.client.start({ id: "o-3", items: [] })
          yield* untilState(other, "Waiting")
          yield* Order.client.cancel(other, "no longer wanted")
          expect(yield* Effect.flip(Order.client.await(other))).toMatchObject({
            _tag: "WorkflowFailed",
            status: "cancelled",
            reason: "user requested: no longer wanted"
          })
          expect(yield* Effect.flip(Order.client.cancel(other))).toMatchObject({ _tag: "RunAlreadyEnded" })
        }).pipe(Effect.provide(SqlitePersistence.layer({ filename })))
      }),
    60_000
  )

  it.scopedLive(
    "starts a run that waits for the first engine that knows it",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryDatabase
        yield* Effect.gen(function* () {
          const run = yield* Order.client.start({ id: "early", items: ["unicorn"] })
          expect(yield* Order.client.poll(run)).toEqual(Option.some({ _tag: "Pending", run }))
          yield* startProcess(shop, filename)
          expect(yield* Effect.flip(Order.client.await(run))).toEqual(new SoldOut({ item: "unicorn" }))
        }).pipe(Effect.provide(SqlitePersistence.layer({ filename })))
      }),
    60_000
  )
})

describe("an engine without a workflow's layer", () => {
  it.scopedLive(
    "leaves the runs that it starts to a process that is there and has one, and waits for them",
    () =>
      Effect.gen(function* () {
        const { filename } = yield* openShop
        yield* Effect.gen(function* () {
          expect(yield* Effect.flip(Order.execute({ id: "o-1", items: ["unicorn"] }))).toEqual(
            new SoldOut({ item: "unicorn" })
          )
          const run = yield* Order.start({ id: "o-2", items: [] })
          yield* untilState(run, "Waiting")
          yield* Order.cancel(run, "enough")
          expect(yield* Effect.flip(Order.await(run))).toMatchObject({ _tag: "WorkflowFailed", status: "cancelled" })
        }).pipe(
          Effect.provide(Engine.layer.pipe(Layer.provideMerge(SqlitePersistence.layer({ filename })))),
          Logger.withMinimumLogLevel(LogLevel.Error)
        )
      }),
    60_000
  )
})

describe("a handle", () => {
  const Nap = Workflow.make("nap", { payload: Schema.Number, success: Schema.Number, idempotencyKey: String })
  const Other = Workflow.make("other", { payload: Schema.Void })
  const naps = Nap.toLayer((seconds) => Effect.as(Workflow.sleep(seconds * 1_000), seconds))

  it.live("polls a run in each of its states", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      yield* withVirtualClock(
        Effect.gen(function* () {
          const [run, cancelled] = yield* Effect.all([Nap.client.start(20), Nap.client.start(30)])
          expect(yield* Nap.poll(run)).toEqual(Option.some({ _tag: "Pending", run }))
          yield* Effect.provide(
            Effect.gen(function* () {
              yield* letGo(store, run)
              expect(yield* Nap.poll(run)).toMatchObject(Option.some({ _tag: "Waiting", on: [{ _tag: "sleep" }] }))
              yield* Nap.cancel(cancelled, "enough")
              yield* Nap.await(run)
              yield* Effect.flip(Nap.await(cancelled))
            }),
            engine(store, naps)
          )
          expect(yield* Nap.poll(run)).toEqual(Option.some({ _tag: "Completed", run, value: 20 }))
          const reason = "user requested: enough"
          expect(yield* Nap.poll(cancelled)).toEqual(Option.some({ _tag: "Cancelled", run: cancelled, reason }))
        }).pipe(Effect.provideService(Persistence, store))
      )
    })
  )

  it.live("tells a parked run's reason", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Effect.provide(
            Effect.tap(Nap.start(20), (run) => letGo(store, run)),
            engine(store, naps)
          )
          const gate = Nap.toLayer(() => Effect.as(Workflow.gate("sleep"), 0).pipe(Effect.orDie))
          const poll = Effect.zipRight(parked(store, run), Nap.poll(run))
          expect(yield* Effect.provide(poll, engine(store, gate))).toMatchObject(
            Option.some({
              _tag: "Parked",
              reason: "/sleep is recorded as sleep 'sleep', but the workflow now has gate 'sleep' there"
            })
          )
        })
      )
    })
  )

  it.live("finds nothing under an unknown id or key, and refuses another workflow's run", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const other = yield* Effect.provideService(Other.client.start(undefined), Persistence, store)
      const unknown = RunId.make("01ARZ3NDEKTSV4RRFFQ69G5FAV")
      yield* Effect.gen(function* () {
        expect(yield* Nap.poll(unknown)).toEqual(Option.none())
        expect(yield* Nap.poll({ idempotencyKey: "none" })).toEqual(Option.none())
        const missing = yield* Effect.flip(Nap.cancel({ idempotencyKey: "none" }))
        expect(missing.message).toBe("there is no run of 'nap' for key 'none'")
        expect(yield* Effect.flip(Nap.cancel(other))).toMatchObject({
          _tag: "RunOfOtherWorkflow",
          message: `run ${other} is one of workflow 'other', not of 'nap'`
        })
        expect(yield* Effect.flip(Nap.client.await(other))).toMatchObject({ _tag: "RunOfOtherWorkflow" })
      }).pipe(Effect.provideService(Persistence, store))
    })
  )
})
