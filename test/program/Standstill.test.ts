/** Who waits for a run that goes on only when somebody sees to its code is told so, once, and goes on waiting. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, parked, type Workflows } from "./support.ts"

const Nap = Workflow.make("nap", { payload: Schema.Number, success: Schema.Number, idempotencyKey: String })
const naps = Nap.toLayer((seconds) => Effect.as(Workflow.sleep(seconds * 1_000), seconds))
/** Does not fit the journals of `naps`. */
const gates = Nap.toLayer(() => Effect.as(Workflow.gate("sleep"), 0).pipe(Effect.orDie))

const Other = Workflow.make("other", { payload: Schema.Void })
const other = Other.toLayer(() => Effect.void)

/** On a virtual clock, with a store; what is logged meanwhile goes to `said`. */
const world = <A, E>(body: (store: PersistenceService, said: ReadonlyArray<string>) => Effect.Effect<A, E>) => {
  const said: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => said.push(`${logLevel.label} ${String(message)}`))
  return Effect.flatMap(MemoryPersistence.make(), ({ service }) => withVirtualClock(body(service, said))).pipe(
    Effect.provide(Logger.replace(Logger.defaultLogger, logger))
  )
}

/** For as long as an engine with these workflows lives. */
const living = <A, E>(
  store: PersistenceService,
  workflows: Workflows,
  effect: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof engine>>>
) => Effect.provide(effect, engine(store, workflows))

const asleep = (store: PersistenceService, seconds: number) =>
  living(
    store,
    naps,
    Effect.tap(Nap.start(seconds), (run) => letGo(store, run))
  )

describe("a run whose workflow this process has no layer for", () => {
  it.live("is left to a process that has one; `execute` says once what it waits for, and ends with the run", () =>
    world((store, said) =>
      living(
        store,
        other,
        Effect.gen(function* () {
          const waiting = yield* Effect.fork(Nap.execute(3))
          yield* Effect.sleep("1 hour")
          const [run] = yield* store.list({ limit: 1 })
          expect(run).toMatchObject({ status: "pending", owner: null })
          expect(said).toHaveLength(1)
          expect(said[0]).toContain(
            `WARN run ${run?.id} of workflow 'nap' has not begun: no layer of 'nap' is provided`
          )
          expect(said[0]).toContain("`toLayer`")
          expect(yield* living(store, naps, Fiber.join(waiting))).toBe(3)
          expect(said).toHaveLength(1)
        })
      )
    )
  )

  it.live("is nothing to tell of where another process takes it up at once, even if that takes long", () =>
    world((store, said) =>
      living(store, naps, living(store, other, Effect.flatMap(Nap.start(100), Nap.await))).pipe(
        Effect.map((seconds) => expect(seconds).toBe(100)),
        // What `start` says is of this process.
        Effect.map(() => expect(said.filter((text) => text.includes("has not begun"))).toEqual([]))
      )
    )
  )

  it.live("is told of by `start`, for the first of them in an engine; by `client` it is meant so", () =>
    world((store, said) =>
      living(
        store,
        Layer.empty,
        Effect.gen(function* () {
          const run = yield* Nap.start(1)
          yield* Nap.start(2)
          yield* Nap.client.start(3)
          yield* Other.client.start(undefined)
          expect(said).toHaveLength(1)
          expect(said[0]).toContain("no layer of 'nap' is provided to the engine of this process")
          expect(said[0]).toContain(`such as ${run},`)
          expect(said[0]).toContain("`client`")
          expect(yield* Effect.flatten(Nap.poll(run))).toEqual({ _tag: "Pending", run })
        })
      )
    )
  )

  it.live("is taken up by an engine that is there already, which a parked one would not be", () =>
    world((store) =>
      living(
        store,
        naps,
        Effect.gen(function* () {
          const run = yield* living(store, Layer.empty, Nap.start(2))
          expect(yield* Nap.await(run)).toBe(2)
        })
      )
    )
  )

  it.live("is none where its layer is only built later: it begins then", () =>
    world((store, said) =>
      living(
        store,
        Layer.empty,
        Effect.gen(function* () {
          const run = yield* Nap.start(2)
          yield* Effect.sleep("1 minute")
          expect(yield* Effect.provide(Nap.await(run), naps)).toBe(2)
          expect(said).toHaveLength(1)
        })
      )
    )
  )
})

describe("a run that could go on", () => {
  it.live("where this process has no layer for it: who waits is told so, once, and it goes on where there is one", () =>
    world((store, said) =>
      Effect.gen(function* () {
        const run = yield* asleep(store, 20)
        const waiting = yield* Effect.fork(living(store, other, Nap.await(run)))
        yield* Effect.sleep("10 seconds")
        expect(said).toEqual([])
        yield* Effect.sleep("1 hour")
        expect(said).toHaveLength(1)
        expect(said[0]).toContain(`WARN run ${run} of workflow 'nap' could go on: no layer of 'nap' is provided`)
        expect(yield* living(store, naps, Fiber.join(waiting))).toBe(20)
        expect(said).toHaveLength(1)
      })
    )
  )
})

describe("a run that is parked", () => {
  it.live("while somebody waits for it: they are told why, and what lets it go on", () =>
    world((store, said) =>
      Effect.gen(function* () {
        const run = yield* asleep(store, 20)
        yield* living(
          store,
          gates,
          Effect.gen(function* () {
            const waiting = yield* Effect.fork(Nap.await(run))
            yield* parked(store, run)
            yield* Effect.sleep("1 hour")
            expect(said).toHaveLength(1)
            expect(said[0]).toContain(`WARN run ${run} of workflow 'nap' stands still: it is parked (needs_resume): `)
            expect(said[0]).toContain(
              "/sleep is recorded as sleep 'sleep', but the workflow now has gate 'sleep' there"
            )
            expect(said[0]).toContain(`it is resumed there: \`resume("${run}")\``)
            yield* Fiber.interrupt(waiting)
          })
        )
        expect(yield* living(store, naps, Nap.await(run))).toBe(20)
        expect(said).toHaveLength(1)
      })
    )
  )

  it.live("in another process is told of too, also to a client without an engine, to each who waits", () =>
    world((store, said) =>
      Effect.gen(function* () {
        const run = yield* asleep(store, 20)
        const watching = yield* Effect.fork(living(store, other, Nap.await(run)))
        const client = yield* Effect.fork(Effect.provideService(Nap.client.await(run), Persistence, store))
        yield* Effect.sleep("1 second")
        yield* living(store, gates, parked(store, run))
        yield* Effect.sleep("1 hour")
        expect(said).toHaveLength(2)
        for (const text of said) expect(text).toContain(`run ${run} of workflow 'nap' stands still`)
        expect(yield* living(store, naps, Effect.all([Fiber.join(watching), Fiber.join(client)]))).toEqual([20, 20])
        expect(said).toHaveLength(2)
      })
    )
  )

  it.live("is told of to one who joins those who have been told, and not to them again", () =>
    world((store, said) =>
      Effect.gen(function* () {
        const run = yield* asleep(store, 20)
        yield* living(store, gates, Effect.zipRight(parked(store, run), Effect.sleep("1 minute")))
        yield* living(
          store,
          other,
          Effect.gen(function* () {
            const first = yield* Effect.fork(Nap.await(run))
            yield* Effect.sleep("1 minute")
            expect(said).toHaveLength(1)
            const second = yield* Effect.fork(Nap.await(run))
            yield* Effect.sleep("1 minute")
            expect(said).toHaveLength(2)
            yield* Fiber.interruptAll([first, second])
          })
        )
      })
    )
  )

  it.live("below another one is why that stands still: a child whose layer is missing", () =>
    world((store, said) => {
      const Parent = Workflow.make("parent", { payload: Schema.Void, success: Schema.Number })
      const parent = Parent.toLayer(() => Effect.orDie(Workflow.child(Nap, 5)))
      return Effect.gen(function* () {
        const waiting = yield* Effect.fork(living(store, parent, Parent.execute()))
        yield* Effect.sleep("1 hour")
        const [child] = yield* store.list({ status: ["needs_resume"], limit: 1 })
        expect(said).toHaveLength(1)
        expect(said[0]).toContain(
          `of workflow 'parent' stands still: run ${child?.id} of workflow 'nap' below it is parked`
        )
        expect(said[0]).toContain("workflow 'nap' is not known here")
        yield* Fiber.interrupt(waiting)
      })
    })
  )

  it.live("is told of once more only when it is parked for another reason", () =>
    world((store, said) =>
      Effect.gen(function* () {
        const run = yield* asleep(store, 20)
        const client = yield* Effect.fork(Effect.provideService(Nap.client.await(run), Persistence, store))
        const signals = Nap.toLayer(() =>
          Effect.as(Workflow.awaitSignal(Workflow.signal("sleep", Schema.Void)), 0).pipe(Effect.orDie)
        )
        for (const code of [gates, gates, signals]) {
          yield* living(store, code, Effect.zipRight(Effect.sleep("1 minute"), parked(store, run)))
        }
        expect(said.map((text) => /now has (\w+)/.exec(text)?.[1])).toEqual(["gate", "signal"])
        yield* Fiber.interrupt(client)
      })
    )
  )
})

describe("a run that waits for a person, a message or the time", () => {
  it.live("is as it should be: nothing is said", () =>
    world((store, said) => {
      const Asked = Workflow.make("asked", { payload: Schema.Void })
      const Go = Workflow.signal("go", Schema.Void)
      const asked = Asked.toLayer(() =>
        Effect.gen(function* () {
          yield* Effect.orDie(Workflow.awaitSignal(Go))
          yield* Effect.orDie(Workflow.gate("release", { timeout: "10 days" }))
        })
      )
      return living(
        store,
        asked,
        Effect.gen(function* () {
          const run = yield* Asked.start()
          const waiting = yield* Effect.fork(Asked.await(run))
          yield* letGo(store, run)
          yield* Asked.signal(run, Go, undefined)
          yield* Effect.sleep("1 hour")
          yield* Asked.pause(run)
          yield* Effect.sleep("1 hour")
          yield* Asked.unpause(run)
          yield* Asked.answer(run, Workflow.makeGate("release"), { approved: true })
          yield* Fiber.join(waiting)
          expect(said).toEqual([])
        })
      )
    })
  )
})
