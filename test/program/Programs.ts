/**
 * Typed programs for crash tests. What they do depends on nothing but the journal and the attempt, and their branches
 * end in an order that a restart keeps.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { PersistenceError, PersistenceService, RunNotFound } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { actAsPeople } from "../../src/testing/ProgramRunner.ts"
import type { Began, TypedProgram } from "../../src/testing/TypedProgram.ts"

class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { item: Schema.String }) {}

const Book = Action.make("book", {
  payload: Schema.Struct({ item: Schema.String, millis: Schema.Number }),
  success: Schema.String,
  error: SoldOut
})
const Cancel = Action.make("cancel", {
  payload: Schema.String,
  error: SoldOut,
  retry: { times: 1, delay: "1 second" }
})

/** `none` is sold out; what is `stuck` cannot be cancelled. The first attempt to cancel fails. */
const actions = (began: Began) =>
  Layer.mergeAll(
    Book.toLayer(({ item, millis }, attempt) =>
      began(attempt).pipe(
        Effect.zipRight(Effect.sleep(millis)),
        Effect.zipRight(item === "none" ? Effect.fail(new SoldOut({ item })) : Effect.succeed(`ticket ${item}`))
      )
    ),
    Cancel.toLayer((ticket, attempt) =>
      Effect.zipRight(
        began(attempt),
        attempt.attempt === 1 || ticket.endsWith("stuck") ? Effect.fail(new SoldOut({ item: ticket })) : Effect.void
      )
    )
  )

const book = (item: string, millis = 0) => Action.call(Book, { item, millis })

const booked = (item: string, millis = 0) =>
  book(item, millis).pipe(Workflow.withCompensation((ticket) => Action.call(Cancel, ticket)))

type Needs = Workflow.WorkflowRun | Action.HandlerOf<typeof Book> | Action.HandlerOf<typeof Cancel>

/** A program of one workflow, without a payload. */
const single = (
  name: string,
  body: Effect.Effect<unknown, unknown, Needs>,
  rest: Partial<TypedProgram> = {}
): TypedProgram => {
  const Single = Workflow.make(name, { payload: Schema.Void, error: SoldOut })
  const typed = Effect.mapError(Effect.asVoid(body), (error) =>
    error instanceof SoldOut ? error : new SoldOut({ item: String(error) })
  )
  return {
    name,
    start: Single.start(undefined),
    layer: (began) =>
      Layer.provide(
        Single.toLayer(() => typed),
        actions(began)
      ),
    ...rest
  }
}

/** ms between two looks of those who answer, signal and cancel. */
const lookInterval = 100

/** Does it again and again; what a crash test's store refuses is done at the next look. */
const everyNowAndThen = (look: Effect.Effect<unknown, unknown>): Effect.Effect<void> =>
  Effect.forever(
    Effect.zipRight(
      Effect.catchAll(look, () => Effect.void),
      Effect.sleep(lookInterval)
    )
  )

/** Cancels a run while it waits. */
const cancelled = (run: RunId, store: PersistenceService): Effect.Effect<void> =>
  everyNowAndThen(
    Effect.gen(function* () {
      const { status, cancelReason } = yield* store.get(run)
      if (status !== "waiting" || cancelReason !== null) return
      yield* store.send(run, { _tag: "Cancel", reason: "user", text: "enough" }, yield* Clock.currentTimeMillis)
    })
  )

/** Sends `go` with 1, 2 and 3 to a run, or to whichever it continued as; each once, whatever was sent before a crash. */
const signalled = (first: RunId, store: PersistenceService): Effect.Effect<void> =>
  everyNowAndThen(
    Effect.gen(function* () {
      const { last, sent } = yield* signalsOf(first, store)
      if (sent === 3) return
      yield* store.send(last, { _tag: "Signal", name: "go", value: sent + 1 }, yield* Clock.currentTimeMillis)
    })
  )

/** The run that a chain has come to, and how many signals its runs have taken or still hold. */
const signalsOf = (
  run: RunId,
  store: PersistenceService
): Effect.Effect<{ readonly last: RunId; readonly sent: number }, RunNotFound | PersistenceError> =>
  Effect.gen(function* () {
    const { journal, inbox } = yield* store.load(run)
    const taken = [...journal.steps.values()].filter(({ kind, status }) => kind === "signal" && status === "completed")
    const { continuedAs } = journal.run
    if (continuedAs === null) return { last: run, sent: taken.length + inbox.length }
    const { last, sent } = yield* signalsOf(continuedAs, store)
    return { last, sent: taken.length + sent }
  })

/** Pauses the run at the top while an action has been at work for a while in it or below, and lets it go on later. */
const paused = (_run: RunId, store: PersistenceService): Effect.Effect<void> =>
  actAsPeople({ answers: {}, pauseAt: "book" }, store)

/** Each run of the chain is paused before it continues. */
const pausedChain = (): TypedProgram => {
  const { Relay, layer } = relayWorkflow()
  return {
    name: "a pause of each run of a chain, which comes to where it would continue",
    start: Relay.start(1),
    layer,
    meanwhile: paused
  }
}

/** The parent knows the first run of the chain; the pause is for the one that it has come to. */
const pausedParent = (): TypedProgram => {
  const { Relay, layer } = relayWorkflow()
  const Parent = Workflow.make("parent", { payload: Schema.Void, success: Schema.Int })
  const parent = Parent.toLayer(() => Effect.orDie(Workflow.child(Relay, 1)))
  return {
    name: "a pause of a parent, for each run of its child's chain",
    start: Parent.start(undefined),
    layer: (began) => Layer.merge(parent, layer(began)),
    meanwhile: paused
  }
}

const relayWorkflow = () => {
  const Relay = Workflow.make("relay", { payload: Schema.Int, success: Schema.Int })
  const layer = (began: Began) =>
    Layer.provide(
      Relay.toLayer((round) =>
        Effect.gen(function* () {
          yield* book(`round ${round}`, 700)
          return round === 3 ? round : yield* Workflow.continueAsNew(Relay, round + 1)
        }).pipe(Effect.orDie)
      ),
      actions(began)
    )
  return { Relay, layer }
}

/** A completed child is taken back by its parent, a failed one by itself. */
const parentOfLegs = (): TypedProgram => {
  const Leg = Workflow.make("leg", { payload: Schema.String, success: Schema.String, error: SoldOut })
  const Tour = Workflow.make("tour", { payload: Schema.Void, error: SoldOut })
  const leg = Leg.toLayer((item) => booked(`${item}-a`).pipe(Effect.zipLeft(booked(item))))
  const tour = Tour.toLayer(() =>
    Effect.gen(function* () {
      yield* Workflow.child(Leg, "one").pipe(Workflow.withCompensation((ticket) => Action.call(Cancel, ticket)))
      yield* Workflow.child(Leg, "none")
    }).pipe(Effect.catchTag("WorkflowFailed", Effect.die))
  )
  return {
    name: "children that complete and fail below a parent that fails",
    start: Tour.start(undefined),
    layer: (began) => Layer.provide(Layer.merge(leg, tour), actions(began))
  }
}

const Rounds = Schema.Struct({ round: Schema.Int, tickets: Schema.Array(Schema.String) })

const countingWorkflow = () => {
  const Count = Workflow.make("count", {
    payload: Rounds,
    success: Schema.Array(Schema.String),
    idempotencyKey: () => "the counter"
  })
  const layer = (began: Began) =>
    Layer.provide(
      Count.toLayer(({ round, tickets }) =>
        Effect.gen(function* () {
          const ticket = yield* booked(`round ${round}`)
          const all = [...tickets, ticket]
          if (round === 4) return all
          yield* Workflow.all([book("side", 10_000), Workflow.continueAsNew(Count, { round: round + 1, tickets: all })])
          return all
        }).pipe(Effect.orDie)
      ),
      actions(began)
    )
  return { Count, layer }
}

/** Each round is a run of its own, with work under way in another branch when it ends. */
const counting = (): TypedProgram => {
  const { Count, layer } = countingWorkflow()
  return { name: "a run that continues as new three times", start: Count.start({ round: 1, tickets: [] }), layer }
}

/** A child that continues; its parent waits for the last one and goes on with its result. */
const countingChild = (): TypedProgram => {
  const { Count, layer } = countingWorkflow()
  const Parent = Workflow.make("parent", { payload: Schema.Void, success: Schema.Number })
  const parent = Parent.toLayer(() =>
    Effect.gen(function* () {
      const tickets = yield* Workflow.child(Count, { round: 2, tickets: [] })
      yield* Workflow.sleep("1 second")
      return tickets.length
    }).pipe(Effect.orDie)
  )
  return {
    name: "a child that continues as new twice",
    start: Parent.start(undefined),
    layer: (began) => Layer.merge(parent, layer(began))
  }
}

/** Signals that are sent early go along the chain: each is taken once, in order. */
const listening = (): TypedProgram => {
  const Go = Workflow.signal("go", Schema.Number)
  const Listen = Workflow.make("listen", { payload: Schema.Array(Schema.Number), success: Schema.Array(Schema.Number) })
  const layer = Listen.toLayer((heard) =>
    Effect.gen(function* () {
      const next = yield* Workflow.awaitSignal(Go)
      const all = [...heard, next]
      return all.length === 3 ? all : yield* Workflow.continueAsNew(Listen, all)
    }).pipe(Effect.orDie)
  )
  return {
    name: "signals that come early or late, along a chain",
    start: Listen.start([]),
    layer: () => layer,
    meanwhile: signalled
  }
}

export const programs: ReadonlyArray<TypedProgram> = [
  single(
    "a saga that fails behind three bookings",
    Effect.all([booked("a"), booked("b"), booked("c"), booked("none")])
  ),

  single(
    "bookings in branches of branches, and a failure behind them",
    Effect.gen(function* () {
      yield* booked("first")
      yield* Workflow.all({
        slow: booked("slow", 400),
        quick: booked("quick", 100),
        each: Workflow.forEach(["p", "q"], (item) => booked(item, item === "p" ? 200 : 300), { key: (item) => item })
      })
      yield* booked("none")
    })
  ),

  single(
    "a race that is lost behind a booking, and a branch that fails while another one is at work",
    Effect.gen(function* () {
      yield* Workflow.race({
        loser: Effect.zipRight(booked("early"), booked("late", 5_000)),
        winner: booked("quick", 500)
      })
      yield* Workflow.all([Effect.zipRight(booked("x"), booked("y", 5_000)), booked("none", 500)])
    })
  ),

  single(
    "a cancellation during a long sleep, with undos that wait",
    Effect.gen(function* () {
      yield* book("a").pipe(
        Workflow.withCompensation((ticket) => Effect.zipRight(Workflow.sleep("3 seconds"), Action.call(Cancel, ticket)))
      )
      yield* booked("b")
      yield* Workflow.sleep("30 days")
    }),
    { meanwhile: cancelled }
  ),

  single(
    "an undo that fails for good among others",
    Effect.all([booked("a"), booked("stuck"), booked("c"), booked("none")])
  ),

  single(
    "an undo in several branches, one of which fails",
    Effect.gen(function* () {
      yield* book("a").pipe(
        Workflow.withCompensation((ticket) =>
          Workflow.all({ one: Action.call(Cancel, `${ticket} one`), two: Action.call(Cancel, `${ticket} stuck`) })
        )
      )
      yield* booked("b")
      yield* book("none")
    })
  ),

  single(
    "a pause while a booking is under way that fails, with undos that have to wait for it",
    Effect.all([booked("a"), booked("b"), booked("none", 700)]),
    { meanwhile: paused }
  ),
  pausedChain(),
  pausedParent(),
  parentOfLegs(),
  counting(),
  countingChild(),
  listening()
]
