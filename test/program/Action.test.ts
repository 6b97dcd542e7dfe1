/** What an action says of itself, and that one name is one action. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ActionCollision } from "../../src/action/TypedAction.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { engine, until } from "./support.ts"

const Ship = Action.make("ship", { payload: Schema.String, success: Schema.Int })
/** Another action of the same name. */
const Weigh = Action.make("ship", { payload: Schema.Struct({ grams: Schema.Int }), success: Schema.Int })
const shipping = Ship.toLayer((parcel) => Effect.succeed(parcel.length))
const weighing = Weigh.toLayer(({ grams }) => Effect.succeed(grams))

const Parcel = Workflow.make("parcel", { payload: Schema.String, success: Schema.Int })
const parcel = Parcel.toLayer((name) => Action.call(Ship, name))
const weighed = Parcel.toLayer((name) => Action.call(Weigh, { grams: name.length }))

const store = Effect.map(MemoryPersistence.make(), ({ service }) => service)

/** The defect of a layer that cannot be built. */
const defectOf = <A, E>(layer: Layer.Layer<A, E>) =>
  Effect.map(Effect.exit(Effect.scoped(Layer.build(layer))), (exit) =>
    Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
  )

describe("an action's idempotency key", () => {
  const Charge = Action.make("charge", {
    payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
    idempotencyKey: ({ order }) => `order ${order}`,
    retry: { times: 2 }
  })
  const Twice = Workflow.make("twice", { payload: Schema.String })
  const twice = Twice.toLayer((order) =>
    Effect.zipRight(Action.call(Charge, { order, cents: 1 }), Action.call(Charge, { order: `${order}'`, cents: 2 }))
  )

  it.live("is made of the payload, and the same for all attempts of all calls with it", () =>
    Effect.gen(function* () {
      const keys: Array<string> = []
      const charging = Charge.toLayer((_, { attempt, idempotencyKey }) => {
        keys.push(idempotencyKey)
        return attempt === 1 ? Effect.die("once more") : Effect.void
      })
      const memory = yield* store
      const workflows = Layer.provide(twice, charging)
      yield* Effect.provide(Effect.zipRight(Twice.execute("a"), Twice.execute("a")), engine(memory, workflows))
      const perRun = ["order a", "order a", "order a'", "order a'"]
      expect(keys).toEqual([...perRun, ...perRun])
    })
  )

  it.live("is the step's own where the action makes none", () =>
    Effect.gen(function* () {
      const keys: Array<string> = []
      const noting = Ship.toLayer((_, { idempotencyKey }) => Effect.sync(() => keys.push(idempotencyKey)))
      const run = Effect.flatMap(Parcel.start("a"), (id) => Effect.as(Parcel.await(id), id))
      const id = yield* Effect.provide(run, engine(yield* store, Layer.provide(parcel, noting)))
      expect(keys).toEqual([`${id}/ship`])
    })
  )
})

describe("what an action is declared with", () => {
  const declared = (
    options: Partial<Action.ActionOptions<typeof Schema.Void, typeof Schema.Void, typeof Schema.Never>>
  ) => Action.make("send", { payload: Schema.Void, ...options })
  const time = (option: string) => `action 'send': \`${option}\` has to be a time above 0, such as "1 minute"`
  const times = "action 'send', retry: `times` has to be an integer of at least 0"
  const delay = "action 'send', retry: `delay` has to be a time of at least 0, such as \"1 second\""
  // SAFETY: what only the compiler keeps a program from.
  const unchecked = (value: unknown) => value as never

  it.each([
    [{ retry: { times: -1 } }, times],
    [{ retry: { times: 1.5 } }, times],
    [{ retry: { times: Number.NaN } }, times],
    [{ retry: { times: Number.POSITIVE_INFINITY } }, times],
    [{ retry: unchecked({}) }, times],
    [{ retry: { times: 1, delay: unchecked("later") } }, delay],
    [{ retry: { times: 1, delay: "-1 second" as const } }, delay],
    [{ retry: { times: 1, delay: -5 } }, delay],
    [{ retry: { times: 1, delay: Number.NaN } }, delay],
    [{ retry: { times: 1, delay: Number.POSITIVE_INFINITY } }, delay],
    [{ retry: { times: 1, exponential: unchecked("yes") } }, "action 'send', retry: `exponential` is true or false"],
    [{ timeout: unchecked("soon") }, time("timeout")],
    [{ timeout: unchecked("-1 second") }, time("timeout")],
    [{ timeout: unchecked(0) }, time("timeout")],
    [{ timeout: unchecked(Number.NaN) }, time("timeout")],
    [{ timeout: unchecked([-1, 0]) }, time("timeout")],
    [{ heartbeat: unchecked("x") }, time("heartbeat")],
    [{ heartbeat: unchecked("Infinity") }, time("heartbeat")]
  ])("is refused where it could not be kept: %j", (options, message) => {
    expect(() => declared(options)).toThrow(new RangeError(message))
  })

  it("is taken in whatever way a time can be said", () => {
    const Send = Action.make("send", {
      payload: Schema.Void,
      retry: { times: 0, delay: 0, exponential: false },
      timeout: "1.5 seconds",
      heartbeat: Duration.minutes(1)
    })
    expect(Send).toMatchObject({ timeout: 1_500, heartbeat: 60_000 })
  })

  it("is refused in the same way of workflows and gates", () => {
    const late = 'has to be a time above 0, such as "1 minute"'
    expect(() => Workflow.make("order", { payload: Schema.Void, timeout: unchecked("soon") })).toThrow(
      new RangeError(`workflow 'order': \`timeout\` ${late}`)
    )
    expect(() => Workflow.fromFile("flows/order.wf", { actions: [], payload: Schema.Void, timeout: -1 })).toThrow(
      new RangeError(`workflow 'order': \`timeout\` ${late}`)
    )
    expect(() => Workflow.makeGate("ask", { timeout: Number.POSITIVE_INFINITY })).toThrow(
      new RangeError(`gate 'ask': \`timeout\` ${late}`)
    )
  })
})

describe("an action without a time of its own", () => {
  it.live("has the run's step timeout, which no type names: the call dies of it", () =>
    Effect.gen(function* () {
      const never = Layer.provide(
        parcel,
        Ship.toLayer(() => Effect.never)
      )
      const ended = Effect.provide(Effect.flip(Parcel.execute("a")), EngineConfig.layerWith({ stepTimeout: 30 }))
      const error = yield* Effect.provide(ended, engine(yield* store, never))
      expect(error).toMatchObject({ _tag: "WorkflowFailed", status: "failed" })
      expect(error.message).toContain("defect: ")
      expect(error.message).toContain("/ship")
    })
  )
})

describe("two actions of one name", () => {
  it.live("cannot be supplied together, whatever they are for: the layers are not built, and both are named", () =>
    Effect.gen(function* () {
      const together = Layer.mergeAll(Layer.provide(parcel, shipping), Layer.provide(weighed, weighing))
      const defect = yield* defectOf(engine(yield* store, together))
      expect(defect).toBeInstanceOf(ActionCollision)
      const { message } = defect instanceof ActionCollision ? defect : new Error("no collision")
      expect(message).toContain("two actions are called 'ship'")
      expect(message).toContain("(string) =>")
      expect(message).toContain("({ readonly grams: Int }) => Int")
    })
  )

  it.live("are one action where their schemas are the same, as from a module that is loaded twice", () =>
    Effect.gen(function* () {
      const Again = Action.make("ship", { payload: Schema.String, success: Schema.Int })
      const both = Layer.mergeAll(
        Layer.provide(parcel, Layer.merge(shipping, shipping)),
        Again.toLayer(() => Effect.succeed(7))
      )
      expect(yield* defectOf(both.pipe(Layer.provide(engine(yield* store, Layer.empty))))).toBeUndefined()
    })
  )

  it.live("may follow each other: what was supplied is forgotten with its layers", () =>
    Effect.gen(function* () {
      const memo = yield* Layer.makeMemoMap
      const built = <A, E>(layer: Layer.Layer<A, E>) =>
        Effect.exit(Effect.scoped(Effect.flatMap(Effect.scope, (scope) => Layer.buildWithMemoMap(layer, memo, scope))))
      expect(Exit.isSuccess(yield* built(shipping))).toBe(true)
      expect(Exit.isSuccess(yield* built(weighing))).toBe(true)
      expect(Exit.isSuccess(yield* built(Layer.merge(shipping, weighing)))).toBe(false)
    })
  )

  it.live(
    "do not take each other's calls where one hides the other: the run is parked, and goes on with the right one",
    () =>
      Effect.gen(function* () {
        const memory = yield* store
        // What a type cannot tell apart: the schemas differ, their types are the same.
        const Local = Action.make("ship", { payload: Schema.String, success: Schema.NumberFromString })
        const local = Parcel.toLayer((name) => Action.call(Local, name))
        const hidden = Layer.provide(local, shipping)
        const id = yield* Effect.provide(
          Effect.tap(Parcel.start("abc"), (run) => until(memory, run, ({ status }) => status === "needs_resume")),
          engine(memory, hidden)
        )
        const { error } = yield* memory.get(id)
        expect(error).toContain("two actions are called 'ship'")
        expect(yield* Effect.provide(Parcel.await(id), engine(memory, Layer.provide(parcel, shipping)))).toBe(3)
      })
  )
})
