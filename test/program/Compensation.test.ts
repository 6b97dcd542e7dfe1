/**
 * V1–V4: what was done is taken back, in the reverse order of its journaled completion, when the run does not come to a
 * good end, and only then.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { fork, resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, outline, parked, until } from "./support.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { item: Schema.String }) {
  override get message() {
    return "sold out"
  }
}
class Refused extends Schema.TaggedError<Refused>()("Refused", { message: Schema.String }) {}

const Book = Action.make("book", { payload: Schema.String, success: Schema.String, error: OutOfStock })
const Cancel = Action.make("cancel", { payload: Schema.String, error: Refused, retry: { times: 1 } })

/** What the actions did, in order. */
interface World {
  readonly did: Array<string>
  /** Items whose cancellation is refused. */
  readonly refuses: Set<string>
}

const newWorld = (refuses: ReadonlyArray<string> = []): World => ({ did: [], refuses: new Set(refuses) })

/** `book "x:20"` takes 20 ms; `book "none"` fails. */
const actions = ({ did, refuses }: World) =>
  Layer.mergeAll(
    Book.toLayer((item) =>
      Effect.gen(function* () {
        const [name = "", delay = "0"] = item.split(":")
        yield* Effect.sleep(Number(delay))
        if (name === "none") return yield* new OutOfStock({ item })
        did.push(`book ${name}`)
        return `ticket ${name}`
      })
    ),
    Cancel.toLayer((ticket) =>
      Effect.suspend(() => {
        did.push(`cancel ${ticket}`)
        return refuses.has(ticket) ? Effect.fail(new Refused({ message: "not now" })) : Effect.void
      })
    )
  )

const booked = (item: string) =>
  Action.call(Book, item).pipe(Workflow.withCompensation((ticket) => Action.call(Cancel, ticket)))

const Trip = Workflow.make("trip", { payload: Schema.Void, error: OutOfStock })

type Body = Effect.Effect<
  unknown,
  OutOfStock,
  Workflow.WorkflowRun | Action.HandlerOf<typeof Book> | Action.HandlerOf<typeof Cancel>
>

const trip = (world: World, body: Body) =>
  Layer.provide(
    Trip.toLayer(() => Effect.asVoid(body)),
    actions(world)
  )

const runTrip = (world: World, body: Body) =>
  withVirtualClock(
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      return yield* Effect.gen(function* () {
        const run = yield* Trip.start(undefined)
        const error = yield* Effect.flip(Trip.await(run))
        return { store, run, error, rows: yield* outline(store, run) }
      }).pipe(Effect.provide(engine(store, trip(world, body))))
    })
  )

describe("a run that fails", () => {
  it.live("takes back what it did in reverse order, as a phase of its own", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { error, rows } = yield* runTrip(
        world,
        Effect.gen(function* () {
          yield* booked("flight")
          yield* booked("hotel")
          yield* booked("none")
        })
      )
      expect(error).toEqual(new OutOfStock({ item: "none" }))
      expect(world.did).toEqual(["book flight", "book hotel", "cancel ticket hotel", "cancel ticket flight"])
      expect(rows).toEqual([
        "/book completed",
        "/undo completed",
        "/book~2 completed",
        "/undo~2 completed",
        "/book~3 failed",
        "/@body failed",
        "/@compensation/undo~2 completed",
        "/@compensation/undo~2/cancel completed",
        "/@compensation/undo completed",
        "/@compensation/undo/cancel completed",
        "/@compensation completed"
      ])
    })
  )

  it.live("goes by the order of completion across branches, at any depth", () =>
    Effect.gen(function* () {
      const world = newWorld()
      yield* runTrip(
        world,
        Effect.gen(function* () {
          yield* Workflow.all({
            slow: Effect.zipRight(booked("a:30"), booked("b:30")),
            quick: booked("c:10"),
            each: Workflow.forEach(["d:20", "e:50"], booked, { key: (item) => item.slice(0, 1) })
          })
          yield* booked("none")
        })
      )
      const order = world.did.filter((did) => did.startsWith("book")).map((did) => did.slice(5))
      expect(order).toEqual(["c", "d", "a", "e", "b"])
      const undone = world.did.filter((did) => did.startsWith("cancel")).map((did) => did.slice(14))
      expect(undone).toEqual(order.toReversed())
    })
  )

  it.live("takes back what was done in branches that a failure or a race stopped", () =>
    Effect.gen(function* () {
      const world = newWorld()
      yield* runTrip(
        world,
        Effect.gen(function* () {
          const won = Workflow.race({
            loser: Effect.zipRight(booked("early"), booked("late:1000")),
            winner: booked("quick:10")
          })
          yield* won
          yield* Workflow.all([Effect.zipRight(booked("x"), booked("y:1000")), booked("none:10")])
        })
      )
      expect(world.did).toEqual([
        "book early",
        "book quick",
        "book x",
        "cancel ticket x",
        "cancel ticket quick",
        "cancel ticket early"
      ])
    })
  )

  it.live("keeps what was done when the body gets over a failure, and undoes it all the same at a bad end", () =>
    Effect.gen(function* () {
      const world = newWorld()
      yield* runTrip(
        world,
        Effect.gen(function* () {
          yield* Effect.zipRight(booked("flight"), booked("none")).pipe(
            Effect.catchTag("OutOfStock", () => Effect.void)
          )
          yield* Action.call(Book, "train")
          yield* booked("none")
        })
      )
      expect(world.did).toEqual(["book flight", "book train", "cancel ticket flight"])
    })
  )

  it.live("undoes an effect of several steps once, behind what is nested in it", () =>
    Effect.gen(function* () {
      const world = newWorld()
      yield* runTrip(
        world,
        Effect.gen(function* () {
          yield* Effect.zipRight(booked("inner"), Action.call(Book, "more")).pipe(
            Workflow.withCompensation((ticket) => Action.call(Cancel, `all of ${ticket}`))
          )
          yield* booked("none")
        })
      )
      expect(world.did.slice(2)).toEqual(["cancel all of ticket more", "cancel ticket inner"])
    })
  )

  it.live("hands the typed error to its undos, and the services around the effect", () =>
    Effect.gen(function* () {
      const causes: Array<unknown> = []
      class Suffix extends Effect.Tag("Suffix")<Suffix, string>() {}
      const world = newWorld()
      yield* runTrip(
        world,
        Effect.gen(function* () {
          yield* Action.call(Book, "flight").pipe(
            Workflow.withCompensation((ticket, cause) =>
              Effect.gen(function* () {
                causes.push(Cause.squash(cause))
                yield* Effect.acquireRelease(Effect.void, () => Effect.sync(() => causes.push("released")))
                yield* Action.call(Cancel, `${ticket}${yield* Suffix}`)
              })
            ),
            Effect.provideService(Suffix, "!")
          )
          yield* booked("none")
        })
      )
      expect(causes).toEqual([new OutOfStock({ item: "none" }), "released"])
      expect(world.did.at(-1)).toBe("cancel ticket flight!")
    })
  )

  it.live("by a defect is compensated too", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { error } = yield* runTrip(world, Effect.zipRight(booked("flight"), Effect.dieMessage("oh no")))
      expect(error).toMatchObject({ _tag: "WorkflowFailed", reason: "defect: oh no" })
      expect(world.did).toEqual(["book flight", "cancel ticket flight"])
    })
  )

  it.live("without anything to take back has no phase of it, and is resumed as ever", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { rows } = yield* runTrip(world, Effect.zipRight(Action.call(Book, "flight"), booked("none")))
      expect(rows).toEqual(["/book completed", "/book~2 failed", "/@body failed"])
    })
  )
})

describe("a run that does not fail", () => {
  it.live("undoes nothing when it completes", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { service: store } = yield* MemoryPersistence.make()
      const rows = yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Trip.start(undefined)
          yield* Trip.await(run)
          return yield* outline(store, run)
        }).pipe(Effect.provide(engine(store, trip(world, booked("flight")))))
      )
      expect(world.did).toEqual(["book flight"])
      expect(rows).toEqual(["/book completed", "/undo completed", "/@body completed"])
    })
  )
})

describe("an undo that fails for good", () => {
  it.live("ends the run with CompensationFailed, and the others are done", () =>
    Effect.gen(function* () {
      const world = newWorld(["ticket hotel"])
      const { error, store, run } = yield* runTrip(
        world,
        Effect.gen(function* () {
          yield* booked("flight")
          yield* booked("hotel")
          yield* booked("none")
        })
      )
      expect(error).toEqual(
        new Workflow.CompensationFailed({
          workflow: "trip",
          run,
          failures: [{ path: "/undo~2", message: "Refused: not now" }],
          reason: "OutOfStock: sold out"
        })
      )
      expect(world.did.slice(2)).toEqual(["cancel ticket hotel", "cancel ticket hotel", "cancel ticket flight"])
      const record = yield* store.get(run)
      expect(record).toMatchObject({ status: "failed", error: expect.stringContaining("/undo~2: Refused: not now") })
    })
  )

  it.live("is tried again, alone, by an explicit resume; the run then ends as its body did", () =>
    Effect.gen(function* () {
      const world = newWorld(["ticket hotel"])
      const body = Effect.gen(function* () {
        yield* booked("flight")
        yield* booked("hotel")
        yield* booked("none")
      })
      const { store, run } = yield* runTrip(world, body)
      world.refuses.clear()
      world.did.length = 0
      const error = yield* withVirtualClock(
        Effect.provide(Effect.zipRight(resume(run), Effect.flip(Trip.await(run))), engine(store, trip(world, body)))
      )
      expect(error).toEqual(new OutOfStock({ item: "none" }))
      expect(world.did).toEqual(["cancel ticket hotel"])
    })
  )

  it.live(
    "takes nothing back: its run goes on from a step, with all that it did, and tries the undo again at its end",
    () =>
      Effect.gen(function* () {
        const world = newWorld(["ticket flight"])
        const body = Effect.zipRight(booked("flight"), Workflow.all([booked("hotel:5"), booked("none:50")]))
        const { rows, store, run } = yield* runTrip(newWorld(["ticket flight", "ticket hotel"]), body)
        expect(rows).toContain("/@compensation/undo failed")
        const again = resume(run, { _tag: "From", step: "/all/1/book" })
        const error = yield* withVirtualClock(
          Effect.provide(Effect.zipRight(again, Effect.flip(Trip.await(run))), engine(store, trip(world, body)))
        )
        expect(error).toBeInstanceOf(Workflow.CompensationFailed)
        expect(world.did).toEqual(["cancel ticket hotel", "cancel ticket flight", "cancel ticket flight"])
      })
  )

  it.live(
    "counts apart from one that was done: a run goes on, or a fork starts, only where nothing was taken back",
    () =>
      Effect.gen(function* () {
        const world = newWorld(["ticket flight"])
        const body = Effect.gen(function* () {
          yield* booked("flight")
          yield* booked("hotel")
          yield* booked("none")
        })
        const { store, run } = yield* runTrip(world, body)
        world.did.length = 0
        const tried = Effect.gen(function* () {
          const refused = yield* Effect.flip(resume(run, { _tag: "From", step: "/book~3" }))
          const refusedFork = yield* Effect.flip(fork(run, { fromStep: "/book~3" }))
          expect([refused._tag, refusedFork._tag]).toEqual(["RunCompensated", "RunCompensated"])
          return yield* Effect.flip(Trip.await(yield* fork(run, { fromStep: "/book~2" })))
        })
        yield* withVirtualClock(Effect.provide(tried, engine(store, trip(world, body))))
        expect(world.did.slice(0, 2)).toEqual(["book hotel", "cancel ticket hotel"])
      })
  )
})

describe("a compensated run", () => {
  const body = Effect.zipRight(booked("flight"), booked("none"))

  it.live("is not resumed for what failed, nor from a step: what it did is gone", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { store, run } = yield* runTrip(world, body)
      const errors = yield* Effect.provide(
        Effect.all([Effect.flip(resume(run)), Effect.flip(resume(run, { _tag: "From", step: "/book~2" }))]),
        engine(store, trip(world, body))
      )
      expect(errors.map(({ _tag }) => _tag)).toEqual(["RunCompensated", "RunCompensated"])
    })
  )

  it.live("is run again as a whole", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { store, run } = yield* runTrip(world, body)
      world.did.length = 0
      yield* withVirtualClock(
        Effect.provide(
          Effect.zipRight(resume(run, { _tag: "Restart" }), Effect.flip(Trip.await(run))),
          engine(store, trip(world, body))
        )
      )
      expect(world.did).toEqual(["book flight", "cancel ticket flight"])
    })
  )
})

describe("a run that is stopped", () => {
  const waiting = Effect.zipRight(booked("flight"), Workflow.sleep("20 seconds"))

  it.live("compensates when it is cancelled while it waits, in whichever engine", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { service: store } = yield* MemoryPersistence.make()
      const status = yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Effect.provide(
            Effect.tap(Trip.start(undefined), (run) => letGo(store, run)),
            engine(store, trip(world, waiting))
          )
          return yield* Effect.provide(
            Effect.gen(function* () {
              yield* Trip.cancel(run, "enough")
              return (yield* until(store, run, ({ endedAt }) => endedAt !== null)).status
            }),
            engine(store, trip(world, waiting))
          )
        })
      )
      expect(status).toBe("cancelled")
      expect(world.did).toEqual(["book flight", "cancel ticket flight"])
    })
  )

  it.live("compensates when its own time is over, and ends failed", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const Short = Workflow.make("short", { payload: Schema.Void, timeout: "10 seconds" })
      const { service: store } = yield* MemoryPersistence.make()
      const layer = Layer.provide(
        Short.toLayer(() => Effect.orDie(Effect.asVoid(waiting))),
        actions(world)
      )
      const error = yield* withVirtualClock(Effect.provide(Effect.flip(Short.execute(undefined)), engine(store, layer)))
      expect(error.message).toContain("timed out after 10000 ms")
      expect(world.did).toEqual(["book flight", "cancel ticket flight"])
    })
  )

  it.live("does not compensate at a shutdown, and goes on where it was", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { service: store } = yield* MemoryPersistence.make()
      const body = Effect.gen(function* () {
        yield* booked("flight")
        yield* booked("hotel:100")
      })
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Effect.provide(
            Effect.tap(Trip.start(undefined), () => Effect.sleep(50)),
            engine(store, trip(world, body))
          )
          yield* Effect.provide(Trip.await(run), engine(store, trip(world, body)))
        })
      )
      expect(world.did).toEqual(["book flight", "book hotel"])
    })
  )

  it.live("a cancellation does not cut its compensation short", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const body = Effect.gen(function* () {
        yield* Action.call(Book, "flight").pipe(
          Workflow.withCompensation((ticket) =>
            Effect.zipRight(Workflow.sleep("20 seconds"), Action.call(Cancel, ticket))
          )
        )
        yield* booked("none")
      })
      const { service: store } = yield* MemoryPersistence.make()
      const record = yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Trip.start(undefined)
          yield* letGo(store, run)
          yield* Trip.cancel(run)
          return yield* until(store, run, ({ endedAt }) => endedAt !== null)
        }).pipe(Effect.provide(engine(store, trip(world, body))))
      )
      expect(record.status).toBe("failed")
      expect(world.did).toEqual(["book flight", "cancel ticket flight"])
    })
  )

  it.live("parks instead of compensating when its body no longer comes to what it did", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { service: store } = yield* MemoryPersistence.make()
      const other = Effect.asVoid(Workflow.sleep("20 seconds"))
      const old = Effect.zipRight(Workflow.now, waiting)
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Effect.provide(
            Effect.tap(Trip.start(undefined), (run) => letGo(store, run)),
            engine(store, trip(world, old))
          )
          yield* Effect.provide(
            Effect.zipRight(Trip.cancel(run), parked(store, run)),
            engine(store, trip(world, Effect.zipRight(Workflow.uuid, other)))
          )
          expect(world.did).toEqual(["book flight"])
          yield* Effect.provide(
            until(store, run, ({ endedAt }) => endedAt !== null),
            engine(store, trip(world, old))
          )
        })
      )
      expect(world.did).toEqual(["book flight", "cancel ticket flight"])
    })
  )
})

describe("children", () => {
  const Leg = Workflow.make("leg", { payload: Schema.String, success: Schema.String, error: OutOfStock })
  const legs = (world: World) =>
    Layer.provide(
      Leg.toLayer((item) => booked(`${item}-a`).pipe(Effect.zipLeft(booked(item)))),
      actions(world)
    )

  it.live("a completed child is taken back by its parent's undo only, a failed one by itself", () =>
    Effect.gen(function* () {
      const world = newWorld()
      const { service: store } = yield* MemoryPersistence.make()
      const Tour = Workflow.make("tour", { payload: Schema.Void, error: OutOfStock })
      const tour = Tour.toLayer(() =>
        Effect.gen(function* () {
          yield* Workflow.child(Leg, "one").pipe(
            Workflow.withCompensation((ticket) => Action.call(Cancel, `leg of ${ticket}`))
          )
          yield* Workflow.child(Leg, "none")
        }).pipe(Effect.catchTag("WorkflowFailed", Effect.die), Effect.asVoid)
      ).pipe(Layer.provide(actions(world)))
      const error = yield* withVirtualClock(
        Effect.provide(Effect.flip(Tour.execute(undefined)), engine(store, Layer.merge(tour, legs(world))))
      )
      expect(error).toEqual(new OutOfStock({ item: "none" }))
      expect(world.did).toEqual([
        "book one-a",
        "book one",
        "book none-a",
        "cancel ticket none-a",
        "cancel leg of ticket one-a"
      ])
    })
  )
})
