/**
 * Pausing typed workflows: their primitives begin nothing while the run is paused (engine/Pause, Z2).
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ChildRunner, otherEngine } from "../../src/engine/ChildRunner.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import { isAtRest, isPaused } from "../../src/engine/Pause.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { isEnded, type RunId } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"

const minute = 60_000

type Store = typeof Persistence.Service

const engine = (store: Store, workflow: Layer.Layer<never, never, Engine>) =>
  workflow.pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Layer.succeed(Persistence, store)),
    Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10 }))
  )

const untilPaused = (run: RunId) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    for (;;) {
      const record = yield* persistence.get(run)
      if (isPaused(record) && isAtRest(record) && record.owner === null) return record
      yield* Effect.sleep(1)
    }
  })

const paths = (store: Store, run: RunId) =>
  Effect.map(store.steps(run), (steps) => steps.map(({ path, status }) => `${path} ${status}`))

const Work = Action.make("work", { payload: Schema.String, success: Schema.String, retry: { times: 1 } })

/** Handlers that log, and end when they are told to. */
const stage = () => {
  const log: Array<string> = []
  const gates = new Map<string, Deferred.Deferred<void>>()
  const gate = (name: string) => {
    const known = gates.get(name) ?? Deferred.unsafeMake<void>(FiberId.none)
    gates.set(name, known)
    return known
  }
  const work = Work.toLayer((name) =>
    Effect.gen(function* () {
      log.push(name)
      if (name.startsWith("slow")) yield* Deferred.await(gate(name))
      return name
    })
  )
  return { log, work, end: (name: string) => Deferred.succeed(gate(name), undefined) }
}

const scenario = <A, E>(body: (store: Store) => Effect.Effect<A, E>) =>
  withVirtualClock(Effect.flatMap(MemoryPersistence.make(), ({ service }) => body(service)))

describe("a code workflow that is paused", () => {
  const Program = Workflow.make("program", { payload: Schema.Void, success: Schema.Unknown })

  const held: Readonly<
    Record<string, Effect.Effect<unknown, unknown, Workflow.WorkflowRun | Action.HandlerOf<typeof Work>>>
  > = {
    "calls an action": Action.call(Work, "next"),
    sleeps: Workflow.sleep("1 second"),
    "takes the time": Workflow.now,
    "draws a value": Effect.all([Workflow.random, Workflow.uuid]),
    "waits for a gate": Workflow.gate("sure"),
    "waits for a signal": Workflow.awaitSignal(Workflow.signal("go", Schema.String)),
    "runs branches side by side": Workflow.all({ a: Action.call(Work, "a"), b: Action.call(Work, "b") }),
    races: Workflow.race({ a: Action.call(Work, "a"), b: Workflow.sleep("1 hour") })
  }
  for (const [name, body] of Object.entries(held)) {
    it.live(`and comes to where it ${name} begins nothing there`, () =>
      scenario((store) => {
        const { end, log, work } = stage()
        const layer = Program.toLayer(() =>
          Effect.gen(function* () {
            yield* Effect.orDie(Action.call(Work, "slow"))
            yield* Effect.orDie(Effect.asVoid(body))
          })
        )
        return Effect.gen(function* () {
          const run = yield* Program.start(undefined)
          while (log.length === 0) yield* Effect.sleep(1)
          yield* Client.pause(run)
          yield* Effect.sleep(1)
          yield* end("slow")
          yield* untilPaused(run)
          yield* Effect.sleep(minute)
          expect(log).toEqual(["slow"])
          expect(yield* paths(store, run)).toEqual(["/work completed"])
          yield* Client.unpause(run)
          while ((yield* store.steps(run)).length === 1) yield* Effect.sleep(1)
        }).pipe(Effect.provide(engine(store, Layer.provide(layer, work))))
      })
    )
  }

  it.live(
    "keeps a sleep whose time passes, a signal that comes and a race that would be decided until it goes on",
    () =>
      scenario((store) => {
        const Go = Workflow.signal("go", Schema.String)
        const { work } = stage()
        const layer = Program.toLayer(() =>
          Effect.gen(function* () {
            const first = yield* Workflow.race({
              timer: Effect.as(Workflow.sleep("1 second"), "timer"),
              signal: Effect.orDie(Workflow.awaitSignal(Go))
            })
            const late = yield* Effect.either(Workflow.timeout(Workflow.sleep("1 hour"), "1 second"))
            return [first, late._tag]
          })
        )
        return Effect.gen(function* () {
          const waiting = (run: RunId) =>
            Effect.repeat(Effect.zipRight(Effect.sleep(1), store.get(run)), {
              until: ({ status }) => status === "waiting"
            })
          const one = yield* Program.start(undefined)
          const two = yield* Program.start(undefined)
          for (const run of [one, two]) {
            yield* waiting(run)
            yield* Client.pause(run)
            yield* untilPaused(run)
          }
          yield* store.send(two, { _tag: "Signal", name: "go", value: "signal" }, 1)
          yield* Effect.sleep(minute)
          for (const run of [one, two]) {
            expect(yield* paths(store, run)).toEqual([
              "/race running",
              "/race/timer/sleep waiting",
              "/race/signal/go waiting"
            ])
            yield* Client.unpause(run)
          }
          expect(yield* Program.await(one)).toEqual(["timer", "Left"])
          // Both were over: either may be seen first.
          expect([
            ["timer", "Left"],
            ["signal", "Left"]
          ]).toContainEqual(yield* Program.await(two))
        }).pipe(Effect.provide(engine(store, Layer.provide(layer, work))))
      })
  )

  it.live("lets branches that are at work end, and starts neither others nor further attempts", () =>
    scenario((store) => {
      const { end, log, work } = stage()
      const Flaky = Action.make("flaky", { payload: Schema.Void, retry: { times: 1 } })
      const failing = Deferred.unsafeMake<void>(FiberId.none)
      const attempts: Array<number> = []
      const flaky = Flaky.toLayer(() =>
        Effect.suspend(() =>
          attempts.push(attempts.length) === 1
            ? Effect.zipRight(Deferred.await(failing), Effect.dieMessage("no"))
            : Effect.void
        )
      )
      const layer = Program.toLayer(() =>
        Effect.orDie(
          Workflow.all(
            {
              a: Effect.zipRight(Action.call(Work, "slow"), Action.call(Work, "after")),
              b: Action.call(Flaky, undefined),
              c: Action.call(Work, "last")
            },
            { concurrency: 2 }
          )
        )
      )
      return Effect.gen(function* () {
        const run = yield* Program.start(undefined)
        while (log.length === 0 || attempts.length === 0) yield* Effect.sleep(1)
        yield* Client.pause(run)
        yield* Effect.sleep(1)
        yield* end("slow")
        yield* Deferred.succeed(failing, undefined)
        yield* untilPaused(run)
        yield* Effect.sleep(minute)
        expect([log, attempts]).toEqual([["slow"], [0]])
        expect(yield* paths(store, run)).toEqual(["/all running", "/all/a/work completed", "/all/b/flaky running"])
        yield* Client.unpause(run)
        expect(yield* Program.await(run)).toEqual({ a: "after", c: "last" })
        expect(attempts).toEqual([0, 1])
      }).pipe(Effect.provide(engine(store, Layer.provide(layer, Layer.merge(work, flaky)))))
    })
  )
})

describe("a child of a code workflow", () => {
  const Inner = Workflow.make("inner", { payload: Schema.String, success: Schema.String })
  const Outer = Workflow.make("outer", { payload: Schema.Void, success: Schema.String })
  const inner = Inner.toLayer((name) => Effect.as(Effect.orDie(Workflow.gate("sure")), `sure of ${name}`))
  const outer = Outer.toLayer(() => Effect.orDie(Workflow.child(Inner, "it")))

  it.live("is paused and unpaused with it", () =>
    scenario((store) =>
      Effect.gen(function* () {
        const run = yield* Outer.start(undefined)
        const childOf = Effect.map(store.list({ parent: run, limit: 1 }), ([child]) => child?.id)
        yield* Effect.repeat(Effect.zipRight(Effect.sleep(1), store.get(run)), {
          until: ({ status }) => status === "waiting"
        })
        const child = (yield* childOf) ?? expect.fail("no child")
        yield* Client.pause(run)
        yield* untilPaused(run)
        yield* untilPaused(child)
        yield* Client.answer(run, { approved: true })
        yield* Effect.sleep(minute)
        expect(yield* paths(store, child)).toEqual(["/sure waiting"])
        yield* Client.unpause(run)
        expect(yield* Outer.await(run)).toBe("sure of it")
      }).pipe(Effect.provide(engine(store, Layer.merge(inner, outer))))
    )
  )

  it.live("is started elsewhere where a runner takes it, and paused there with its parent", () =>
    scenario((store) =>
      Effect.gen(function* () {
        const theirs = (yield* MemoryPersistence.make()).service
        const other = yield* Layer.build(Layer.fresh(engine(theirs, inner)))
        const runner = otherEngine({ engine: Context.get(other, Engine), persistence: theirs })
        const here = Layer.provide(Layer.fresh(engine(store, outer)), ChildRunner.layerWith(runner))
        yield* Effect.gen(function* () {
          const run = yield* Outer.start(undefined)
          yield* Effect.repeat(Effect.zipRight(Effect.sleep(1), store.get(run)), {
            until: ({ status }) => status === "waiting"
          })
          const [child] = yield* theirs.list({ limit: 1 })
          const id = child?.id ?? expect.fail("no child")
          yield* Client.pause(run)
          yield* Effect.provideService(untilPaused(id), Persistence, theirs)
          yield* Client.unpause(run)
          while (isPaused(yield* theirs.get(id))) yield* Effect.sleep(1)
          yield* Effect.provideService(Client.answer(id, { approved: true }), Persistence, theirs)
          expect(yield* Outer.await(run)).toBe("sure of it")
        }).pipe(Effect.provide(here))
      }).pipe(Effect.scoped)
    )
  )
})

describe("a code workflow that takes back what it did", () => {
  const Trip = Workflow.make("trip", { payload: Schema.Void, error: Schema.String })

  /** Books, does a slow step, and fails; what is booked is cancelled by `undo`, a step too. */
  const trip = (undo: string) =>
    Trip.toLayer(() =>
      Effect.gen(function* () {
        const booked = Effect.orDie(Action.call(Work, "book"))
        yield* Workflow.withCompensation(booked, () => Action.call(Work, undo))
        yield* Effect.orDie(Action.call(Work, "slow"))
        return yield* Effect.fail("sold out")
      })
    )

  it.live("waits with that while it is paused, in any engine, and goes on with it when it is unpaused", () =>
    scenario((store) => {
      const { end, log, work } = stage()
      const layer = Layer.provide(trip("undo"), work)
      return Effect.gen(function* () {
        const run = yield* Effect.gen(function* () {
          const run = yield* Trip.start(undefined)
          while (!log.includes("slow")) yield* Effect.sleep(1)
          yield* Client.pause(run)
          yield* Effect.sleep(1)
          yield* end("slow")
          yield* untilPaused(run)
          yield* Effect.sleep(minute)
          return run
        }).pipe(Effect.provide(Layer.fresh(engine(store, layer))))
        expect(log).toEqual(["book", "slow"])
        expect(yield* paths(store, run)).toEqual([
          "/work completed",
          "/undo completed",
          "/work~2 completed",
          "/@body failed"
        ])
        yield* Effect.gen(function* () {
          yield* Effect.sleep(minute)
          expect(log).toEqual(["book", "slow"])
          yield* Client.unpause(run)
          expect(yield* Effect.flip(Trip.await(run))).toBe("sold out")
          expect(log).toEqual(["book", "slow", "undo"])
        }).pipe(Effect.provide(Layer.fresh(engine(store, layer))))
      })
    })
  )

  it.live("is not paused once that has begun", () =>
    scenario((store) => {
      const { end, log, work } = stage()
      return Effect.gen(function* () {
        const run = yield* Trip.start(undefined)
        while (!log.includes("slow")) yield* Effect.sleep(1)
        yield* end("slow")
        while (!log.includes("slow undo")) yield* Effect.sleep(1)
        yield* Client.pause(run)
        yield* Effect.sleep(1)
        expect(yield* store.load(run)).toMatchObject({ inbox: [], journal: { run: { blockedOn: [] } } })
        yield* end("slow undo")
        expect(yield* Effect.flip(Trip.await(run))).toBe("sold out")
      }).pipe(Effect.provide(engine(store, Layer.provide(trip("slow undo"), work))))
    })
  )

  it.live("does so at once when it is cancelled while it is paused", () =>
    scenario((store) => {
      const { end, log, work } = stage()
      return Effect.gen(function* () {
        const run = yield* Trip.start(undefined)
        while (!log.includes("slow")) yield* Effect.sleep(1)
        yield* Client.pause(run)
        yield* Effect.sleep(1)
        yield* end("slow")
        yield* untilPaused(run)
        yield* Client.cancel(run)
        yield* Effect.exit(Trip.await(run))
        // The body had failed already.
        expect((yield* store.get(run)).status).toBe("failed")
        expect(log).toEqual(["book", "slow", "undo"])
      }).pipe(Effect.provide(engine(store, Layer.provide(trip("undo"), work))))
    })
  )
})

describe("a code workflow that continues as new", () => {
  const Relay = Workflow.make("relay", {
    payload: Schema.Int,
    success: Schema.Int,
    idempotencyKey: () => "the relay"
  })
  const relay = (name: (round: number) => string) =>
    Relay.toLayer((round) =>
      Effect.gen(function* () {
        yield* Action.call(Work, name(round))
        return round === 3 ? round : yield* Workflow.continueAsNew(Relay, round + 1)
      }).pipe(Effect.orDie)
    )
  const slow = (round: number) => `slow ${round}`

  it.live("does not while it is paused", () =>
    scenario((store) => {
      const { end, log, work } = stage()
      return Effect.gen(function* () {
        const run = yield* Relay.start(1)
        while (log.length === 0) yield* Effect.sleep(1)
        yield* Client.pause(run)
        yield* Effect.sleep(1)
        yield* end("slow 1")
        yield* untilPaused(run)
        yield* Effect.sleep(minute)
        expect(yield* paths(store, run)).toEqual(["/work completed"])
        yield* Client.unpause(run)
        yield* Effect.all([end("slow 2"), end("slow 3")])
        expect(yield* Relay.await(run)).toBe(3)
      }).pipe(Effect.provide(engine(store, Layer.provide(relay(slow), work))))
    })
  )

  it.live("hands a pause that came too late on to the next run, which begins nothing", () =>
    scenario((memory) => {
      const { log, work } = stage()
      // It comes with the commit that decides to go on as another run.
      const store: Store = {
        ...memory,
        commit: (commit) => {
          const isPaused = commit.changes.some(
            (change) => change._tag === "Step" && change.step.path === "/@continue" && change.step.value === 2
          )
          const sent = memory.send(commit.run, { _tag: "Pause" }, 1)
          return isPaused ? Effect.zipRight(Effect.orDie(sent), memory.commit(commit)) : memory.commit(commit)
        }
      }
      return Effect.gen(function* () {
        const first = yield* Relay.start(1)
        const { continuedAs } = yield* Effect.repeat(Effect.zipRight(Effect.sleep(1), store.get(first)), {
          until: ({ continuedAs }) => continuedAs !== null
        })
        const next = continuedAs ?? expect.fail("it did not continue")
        expect(yield* untilPaused(next)).toMatchObject({ status: "pending", startedAt: null })
        yield* Effect.sleep(minute)
        expect(log).toEqual(["1"])
        expect(yield* Client.isPaused(first)).toBe(true)
        // By the id of the first, which has ended.
        yield* Client.unpause(first)
        expect(yield* Relay.await(first)).toBe(3)
        expect(log).toEqual(["1", "2", "3"])
      }).pipe(Effect.provide(engine(store, Layer.provide(relay(String), work))))
    })
  )

  it.live("is paused and unpaused by its id or its idempotency key, whichever run it has come to", () =>
    scenario((store) => {
      const { end, log, work } = stage()
      return Effect.gen(function* () {
        const first = yield* Relay.start(1)
        yield* end("slow 1")
        while (!log.includes("slow 2")) yield* Effect.sleep(1)
        yield* Relay.pause(first)
        yield* Effect.sleep(1)
        yield* end("slow 2")
        const { continuedAs } = yield* store.get(first)
        yield* untilPaused(continuedAs ?? expect.fail("it did not continue"))
        yield* Relay.unpause({ idempotencyKey: "the relay" })
        yield* end("slow 3")
        expect(yield* Relay.await(first)).toBe(3)
        expect(yield* Effect.flip(Relay.pause(first))).toMatchObject({ _tag: "RunAlreadyEnded" })
      }).pipe(Effect.provide(engine(store, Layer.provide(relay(slow), work))))
    })
  )

  it.live("as a child is paused with its parent, which knows the first of its runs only", () =>
    scenario((store) => {
      const { end, log, work } = stage()
      const Outer = Workflow.make("outer", { payload: Schema.Void, success: Schema.Int })
      const outer = Outer.toLayer(() => Effect.orDie(Workflow.child(Relay, 1)))
      return Effect.gen(function* () {
        const run = yield* Outer.start(undefined)
        yield* end("slow 1")
        while (!log.includes("slow 2")) yield* Effect.sleep(1)
        yield* Client.pause(run)
        yield* Effect.sleep(1)
        yield* end("slow 2")
        const chain = yield* store.list({ parent: run, limit: 9 })
        const child = chain.find(({ status }) => !isEnded(status))
        yield* untilPaused(child?.id ?? expect.fail("no child"))
        yield* untilPaused(run)
        yield* Effect.sleep(minute)
        expect(log).toEqual(["slow 1", "slow 2"])
        yield* Client.unpause(run)
        yield* end("slow 3")
        expect(yield* Outer.await(run)).toBe(3)
      }).pipe(Effect.provide(engine(store, Layer.merge(outer, Layer.provide(relay(slow), work)))))
    })
  )
})
