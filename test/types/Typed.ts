/**
 * What must compile, and what must not: checked by `tsc`, since every `@ts-expect-error` has to meet an error. Nothing of
 * this runs.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import {
  Action,
  Build,
  Engine,
  type InvalidWorkflow,
  MemoryPersistence,
  type OutputStore,
  type Persistence,
  type PersistenceError,
  Workflow
} from "millrace"
import { SqlitePersistence } from "millrace/sqlite"

/** Fails to compile where two types are not the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T => true as T

class Declined extends Schema.TaggedError<Declined>()("Declined", { reason: Schema.String }) {}

const Charge = Action.make("charge", {
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String, at: Schema.Date }),
  error: Declined,
  timeout: "30 seconds"
})
const Ship = Action.make("ship", { payload: Schema.String, success: Schema.Number })

const Order = Workflow.make("order", {
  payload: Schema.Struct({ id: Schema.String, cents: Schema.Int }),
  success: Schema.Number,
  error: Declined,
  idempotencyKey: ({ id }) => id
})

// ---- an action's call

const called = Action.call(Charge, { order: "o", cents: 1 })
is<
  Same<
    typeof called,
    Effect.Effect<
      { readonly receipt: string; readonly at: Date },
      Declined | Action.ActionTimedOut,
      Workflow.WorkflowRun | Action.HandlerOf<typeof Charge>
    >
  >
>()

// @ts-expect-error: cents is missing
export const noCents = Action.call(Charge, { order: "o" })
// @ts-expect-error: cents is no text
export const wrongCents = Action.call(Charge, { order: "o", cents: "1" })
// @ts-expect-error: the payload is a text
export const wrongShip = Action.call(Ship, { parcel: 1 })
const supplied = Effect.provide(
  called,
  Charge.toLayer(() => Effect.never)
)
// @ts-expect-error: outside of a body there is no run, whatever layers there are
export const outside: Promise<unknown> = Effect.runPromise(supplied)

// ---- an action's time

// Without a time of its own an action fails with its own errors only.
const shipped = Action.call(Ship, "x")
is<Same<Effect.Effect.Error<typeof shipped>, never>>()
const Watched = Action.make("watched", { payload: Schema.Void, error: Declined, heartbeat: "1 second" })
const watched = Action.call(Watched, undefined)
is<Same<Effect.Effect.Error<typeof watched>, Declined | Action.ActionTimedOut>>()
const Bounded = Action.make("bounded", { payload: Schema.Void, timeout: 500 })
const bounded = Action.call(Bounded, undefined)
is<Same<Effect.Effect.Error<typeof bounded>, Action.ActionTimedOut>>()
const Unbounded = Action.make("unbounded", { payload: Schema.Void, error: Declined })
const unbounded = Action.call(Unbounded, undefined)
is<Same<Effect.Effect.Error<typeof unbounded>, Declined>>()
// @ts-expect-error: there is no time that could pass
export const uncaught = Effect.catchTag(Action.call(Ship, "x"), "ActionTimedOut", Effect.die)

// ---- what .wf files ask of an action

export const Marked = Action.make("marked", {
  payload: Schema.Struct({ text: Schema.String }),
  success: Schema.Struct({ findings: Schema.Int, summary: Schema.String }),
  markers: ({ findings }) => (findings > 0 ? ["has_findings"] : []),
  summary: ({ summary }) => summary,
  idempotencyKey: ({ text }) => text
})
// @ts-expect-error: the success has no such field
export const wrongMarkers = Action.make("m", { payload: Schema.Void, markers: ({ findings }) => findings })
// @ts-expect-error: the payload has no such field
export const wrongKey = Action.make("k", { payload: Schema.Struct({ a: Schema.String }), idempotencyKey: ({ b }) => b })

// ---- one name, two actions

const OtherShip = Action.make("ship", { payload: Schema.Number, success: Schema.Number })
const shipsOther = Order.toLayer(() => Action.call(OtherShip, 1))
const suppliedWithShip = shipsOther.pipe(
  Layer.provide(Ship.toLayer(() => Effect.succeed(1))),
  Layer.provideMerge(Engine.layer),
  Layer.provideMerge(MemoryPersistence.layer)
)
const notTheOther = Effect.provide(Order.execute({ id: "o", cents: 1 }), suppliedWithShip)
// @ts-expect-error: what is supplied is the other action called 'ship'
export const shippedOther: Promise<number> = Effect.runPromise(notTheOther)

// ---- handlers

// @ts-expect-error: the handler gives no receipt
export const wrongSuccess = Charge.toLayer(() => Effect.succeed({ at: new Date() }))
// @ts-expect-error: the handler fails with another error
export const wrongError = Charge.toLayer(() => Effect.fail(new Error("no")))

class Pool extends Effect.Tag("Pool")<Pool, { readonly size: number }>() {}
const shipping = Ship.toLayer(() => Effect.map(Pool.size, (size) => size))
is<Same<typeof shipping, Layer.Layer<Action.HandlerOf<typeof Ship>, never, Pool>>>()
const scoped = Ship.toLayer(() =>
  Effect.as(
    Effect.acquireRelease(Effect.void, () => Effect.void),
    1
  )
)
is<Same<typeof scoped, Layer.Layer<Action.HandlerOf<typeof Ship>>>>()

// ---- bodies, and what they need

const body = Order.toLayer(({ id, cents }) =>
  Effect.gen(function* () {
    yield* Action.call(Charge, { order: id, cents })
    return yield* Action.call(Ship, id)
  }).pipe(Effect.catchTag("ActionTimedOut", Effect.die))
)
is<
  Same<typeof body, Layer.Layer<never, never, Engine | Action.HandlerOf<typeof Charge> | Action.HandlerOf<typeof Ship>>>
>()

// @ts-expect-error: a timed out action is no error of the workflow
export const leaking = Order.toLayer(({ id, cents }) => Effect.as(Action.call(Charge, { order: id, cents }), 1))
export const sound = Order.toLayer(({ id }) => Action.call(Ship, id))
// @ts-expect-error: a text is no success of the workflow
export const wrongEnd = Order.toLayer(() => Effect.succeed("done"))
// @ts-expect-error: the payload has no such field
export const wrongField = Order.toLayer(({ parcel }) => Effect.succeed(parcel))

const charging = Charge.toLayer(() => Effect.succeed({ receipt: "r", at: new Date() }))
const withoutShip = body.pipe(
  Layer.provide(charging),
  Layer.provideMerge(Engine.layer),
  Layer.provideMerge(MemoryPersistence.layer)
)
const unshipped = Effect.provide(Order.execute({ id: "o", cents: 1 }), withoutShip)
// @ts-expect-error: the layer of 'ship' is missing
export const unshippable: Promise<number> = Effect.runPromise(unshipped)

// ---- primitives stand in bodies only

// @ts-expect-error: there is no run
export const asleep: Promise<void> = Effect.runPromise(Workflow.sleep("1 second"))
// @ts-expect-error: there is no run
export const patched: Promise<boolean> = Effect.runPromise(Workflow.patched("p"))
// @ts-expect-error: there is no run
export const timed: Promise<number> = Effect.runPromise(Workflow.now)

// ---- combinators

const both = Workflow.all({ receipt: called, parcels: Action.call(Ship, "x") })
is<
  Same<
    Effect.Effect.Success<typeof both>,
    { receipt: { readonly receipt: string; readonly at: Date }; parcels: number }
  >
>()
const tuple = Workflow.all([Effect.succeed(1), Effect.succeed("a")])
is<Same<Effect.Effect.Success<typeof tuple>, [number, string]>>()
const raced = Workflow.race({ a: Effect.succeed(1), b: Effect.fail("b" as const) })
is<Same<typeof raced, Effect.Effect<number, "b", Workflow.WorkflowRun>>>()
const limited = Workflow.timeout(Effect.succeed(1), "1 second")
is<Same<Effect.Effect.Error<typeof limited>, Workflow.WorkTimedOut>>()

const piped = Workflow.pipeline(
  ["a", "b"],
  { key: (item) => item },
  (item) => Effect.succeed(item.length),
  (length, item) => (length > 1 ? Effect.fail(new Declined({ reason: item })) : Effect.succeed(length > 0))
)
is<Same<Effect.Effect.Success<typeof piped>, ReadonlyArray<Exit.Exit<boolean, Declined>>>>()
const keyed = { key: (item: string) => item }
const measure = (item: string) => Effect.succeed(item.length)
// @ts-expect-error: the stage before gives a number
export const wrongStage = Workflow.pipeline(["a"], keyed, measure, (length: string) => Effect.succeed(length))

// ---- compensation, continuing, children

const compensated = called.pipe(Workflow.withCompensation(({ receipt }) => Action.call(Ship, receipt)))
is<
  Same<
    Effect.Effect.Context<typeof compensated>,
    Workflow.WorkflowRun | Action.HandlerOf<typeof Charge> | Action.HandlerOf<typeof Ship>
  >
>()
is<Same<Effect.Effect.Error<typeof compensated>, Declined | Action.ActionTimedOut>>()
// @ts-expect-error: what is to be undone is a receipt, not a number
export const wrongUndo = Workflow.withCompensation(called, (receipt: number) => Effect.succeed(receipt))

const continued = Workflow.continueAsNew(Order, { id: "o", cents: 2 })
is<Same<typeof continued, Effect.Effect<never, never, Workflow.WorkflowRun>>>()
// @ts-expect-error: cents is missing
export const continuedWrong = Workflow.continueAsNew(Order, { id: "o" })
// @ts-expect-error: cents is missing
export const childless = Workflow.child(Order, { id: "o" })

// ---- gates

const Release = Workflow.makeGate("release", {
  options: { now: "Now", later: "Later" },
  answer: Schema.Struct({ discount: Schema.NumberFromString })
})
const released = Workflow.gate(Release)
is<Same<Effect.Effect.Success<typeof released>, Workflow.Approval<"now" | "later", { readonly discount: number }>>>()
const plain = Workflow.gate("plain")
is<Same<Effect.Effect.Success<typeof plain>, Workflow.Approval<never, void>>>()

const run = Effect.runSync(Effect.die("never")) as never
export const answered = Order.answer(run, Release, { approved: true, value: { discount: 1 }, selections: ["now"] })
// @ts-expect-error: the gate asks for a discount
export const valueless = Order.answer(run, Release, { approved: true })
// @ts-expect-error: the discount is a number here
export const wrongValue = Order.answer(run, Release, { approved: true, value: { discount: "1" } })
// @ts-expect-error: there is no such option
export const wrongOption = Order.answer(run, Release, { approved: true, value: { discount: 1 }, selections: ["never"] })
export const rejected = Order.answer(run, Release, { approved: false, feedback: "no" })

// ---- signals

const Go = Workflow.signal("go", Schema.Struct({ n: Schema.Int }))
const went = Workflow.awaitSignal(Go)
is<Same<typeof went, Effect.Effect<{ readonly n: number }, never, Workflow.WorkflowRun>>>()
const wentInTime = Workflow.awaitSignal(Go, { timeout: "1 day" })
is<Same<Effect.Effect.Success<typeof wentInTime>, { readonly n: number }>>()
is<Same<Effect.Effect.Error<typeof wentInTime>, Workflow.SignalTimedOut>>()
const maybeInTime = Workflow.awaitSignal(Go, {} as { readonly timeout?: number })
is<Same<Effect.Effect.Error<typeof maybeInTime>, Workflow.SignalTimedOut>>()
const noTime = Workflow.awaitSignal(Go, {})
is<Same<Effect.Effect.Error<typeof noTime>, never>>()
// @ts-expect-error: there is no time that could pass
export const neverLate = Effect.catchTag(Workflow.awaitSignal(Go), "SignalTimedOut", Effect.die)
// @ts-expect-error: that is no time
export const wrongTime = Workflow.awaitSignal(Go, { timeout: { days: "x" } })
// @ts-expect-error: n is a number
export const wrongSignal = Order.signal(run, Go, { n: "1" })

// ---- files

const fromFile = Workflow.fromFile("check.wf", {
  actions: [Charge, Ship],
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String }),
  idempotencyKey: ({ order }) => order
})
is<
  Same<
    Layer.Layer.Context<typeof fromFile.layer>,
    Engine | Persistence | OutputStore | Action.HandlerOf<typeof Charge> | Action.HandlerOf<typeof Ship>
  >
>()
is<Same<Layer.Layer.Error<typeof fromFile.layer>, InvalidWorkflow | PersistenceError>>()
const fileRun = fromFile.execute({ order: "o", cents: 1 })
is<
  Same<
    typeof fileRun,
    Effect.Effect<
      { readonly receipt: string },
      Workflow.RunFailed | Workflow.IdempotencyConflict | PersistenceError | InvalidWorkflow,
      Engine | Persistence
    >
  >
>()
// @ts-expect-error: cents is missing
export const wrongFileStart = fromFile.start({ order: "o" })
const nothingCalled = Workflow.fromFile("none.wf", { actions: [], payload: Schema.Void })
is<Same<Layer.Layer.Context<typeof nothingCalled.layer>, Engine | Persistence | OutputStore>>()
const fileWithoutShip = fromFile.layer.pipe(
  Layer.provide(charging),
  Layer.provideMerge(Engine.layer),
  Layer.provideMerge(SqlitePersistence.layer({ filename: "x.db" }))
)
const unshippedFile = Effect.provide(fileRun, fileWithoutShip)
// @ts-expect-error: the layer of 'ship' is missing
export const unshippableFile: Promise<{ readonly receipt: string }> = Effect.runPromise(unshippedFile)

// ---- handles

const started = Order.start({ id: "o", cents: 1 })
is<Same<Effect.Effect.Context<typeof started>, Engine | Persistence>>()
const executed = Order.execute({ id: "o", cents: 1 })
is<Same<Effect.Effect.Success<typeof executed>, number>>()
is<
  Same<
    Effect.Effect.Error<typeof executed>,
    Declined | Workflow.RunFailed | Workflow.IdempotencyConflict | PersistenceError
  >
>()
// @ts-expect-error: cents is missing
export const wrongStart = Order.start({ id: "o" })

// A client needs the store, and nothing that runs anything.
const remote = Order.client.execute({ id: "o", cents: 1 })
is<Same<Effect.Effect.Context<typeof remote>, Persistence>>()
const polled = Order.client.poll({ idempotencyKey: "o" })
is<Same<Effect.Effect.Context<typeof polled>, Persistence>>()
is<Same<Effect.Effect.Success<typeof polled>, Option.Option<Workflow.RunState<number, Declined>>>>()
export const fromAfar: Promise<number> = Effect.runPromise(
  Effect.provide(remote, MemoryPersistence.layer).pipe(Effect.orDie)
)
// @ts-expect-error: starting here needs an engine
export const noEngine: Promise<unknown> = Effect.runPromise(Effect.provide(started, MemoryPersistence.layer))

// ---- definitions made in code

export const built = Build.workflow("w", {}, [Build.parallel({}, [Build.call(Ship, { if: "b.c" })])])
// @ts-expect-error: only calls of a parallel block or a pipeline have an `if`
export const conditional = Build.workflow("w", {}, [Build.call("a", { if: "b.c" })])
// @ts-expect-error: a parallel block has at least one call
export const callless = Build.parallel({}, [])
// @ts-expect-error: the workflow's own `always` is an option of it
export const alwaysInside = Build.workflow("w", {}, [Build.always([])])
// @ts-expect-error: a loop has an end
export const endless = Build.while("a.b", {}, [])
// @ts-expect-error: a loop looks at a marker
export const markerless = Build.while("a", { maxIterations: 1 }, [])
// @ts-expect-error: there is no such option
export const misspelt = Build.call("a", { retrys: 1 })
