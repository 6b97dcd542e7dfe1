/** Scripted handlers and executors, and the recorder of events, as a user's test has them. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  Action,
  Engine,
  GateResolvers,
  ItemProviders,
  MemoryPersistence,
  Parser,
  SchemaResolver,
  Workflow,
  WorkflowFiles,
  WorkflowResolver
} from "millrace"
import {
  dies,
  fails,
  hangs,
  recordEvents,
  scripted,
  scriptedExecutors,
  succeeds,
  withVirtualClock
} from "millrace/testing"

class Declined extends Schema.TaggedError<Declined>()("Declined", { cents: Schema.Int }) {}

const Charge = Action.make("charge", {
  payload: Schema.Int,
  success: Schema.String,
  error: Declined,
  retry: { times: 3, delay: "1 second" },
  timeout: "1 minute"
})
const Order = Workflow.make("order", { payload: Schema.Int, success: Schema.String, error: Declined })
const order = Order.toLayer((cents) => Effect.catchTag(Action.call(Charge, cents), "ActionTimedOut", Effect.die))

const engine = Layer.provideMerge(Engine.layer, MemoryPersistence.layer)

describe("a scripted handler", () => {
  it.live("gives each attempt its outcome, the last one to all that follow, and remembers its calls", () =>
    Effect.gen(function* () {
      const charging = scripted(Charge, [
        dies("no network"),
        hangs,
        fails(new Declined({ cents: 1 })),
        succeeds("receipt", { after: "3 seconds" })
      ])
      const layer = Layer.provideMerge(Layer.provide(order, charging.layer), engine)
      expect(yield* withVirtualClock(Effect.provide(Order.execute(7), layer))).toBe("receipt")
      expect(charging.calls().map(({ attempt, payload }) => [payload, attempt.attempt])).toEqual([
        [7, 1],
        [7, 2],
        [7, 3],
        [7, 4]
      ])
      const declining = scripted(Charge, (cents) =>
        cents > 5 ? [fails(new Declined({ cents }))] : [succeeds(`receipt of ${cents}`)]
      )
      const other = Layer.provideMerge(Layer.provide(order, declining.layer), engine)
      const both = Effect.all([Order.execute(5), Effect.flip(Order.execute(6))])
      expect(yield* withVirtualClock(Effect.provide(both, other))).toEqual(["receipt of 5", new Declined({ cents: 6 })])
      expect(declining.calls()).toHaveLength(5)
    })
  )
})

describe("the recorder of events", () => {
  it.live("has what happened, in order, and waits for what has not", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const recorder = yield* recordEvents
        const run = yield* Order.start(1)
        const end = yield* recorder.first(({ _tag }) => _tag === "RunCompleted")
        expect(end).toMatchObject({ run, succeeded: true })
        expect(yield* recorder.first(({ _tag }) => _tag === "RunStarted")).toMatchObject({ run })
        expect((yield* recorder.outline).filter((words) => !words.startsWith("Metrics"))).toEqual([
          "RunStarted",
          "StepStarted /charge",
          "StepRetrying /charge",
          "StepStarted /charge",
          "StepCompleted /charge",
          "RunCompleted completed"
        ])
        expect((yield* recorder.events).every((event) => event._tag !== "EventsMissed")).toBe(true)
      })
    ).pipe(
      Effect.provide(
        Layer.provideMerge(Layer.provide(order, scripted(Charge, [dies("no"), succeeds("receipt")]).layer), engine)
      ),
      (effect) => withVirtualClock(effect)
    )
  )
})

describe("scripted executors", () => {
  it.live("are what a `.wf` file's actions do", () =>
    Effect.gen(function* () {
      const { definition } = Parser.parse({
        text: "workflow w { call review { retries = 1 } if review.bad { call fix } }",
        file: "w.wf"
      })
      if (definition === undefined) throw new Error("no definition")
      const executors = scriptedExecutors({
        review: [fails("busy"), succeeds({ markers: ["bad"] })],
        fix: [succeeds({})]
      })
      const needed = Layer.mergeAll(
        executors.layer,
        ItemProviders.layer({}),
        GateResolvers.layer({}),
        WorkflowResolver.layerMemory([]),
        SchemaResolver.layerMemory({}),
        MemoryPersistence.layerOutputs
      )
      const files = WorkflowFiles.layer.pipe(Layer.provideMerge(engine), Layer.provide(needed))
      const run = Effect.flatMap(WorkflowFiles, (workflows) =>
        Effect.flatMap(workflows.start(definition, { inputs: {} }), (id) =>
          Effect.flatMap(Engine, (running) => running.await(id))
        )
      )
      const { status } = yield* withVirtualClock(Effect.provide(run, files))
      expect(status).toBe("completed")
      expect(executors.calls().map(({ attempt, name }) => `${name} ${attempt}`)).toEqual([
        "review 1",
        "review 2",
        "fix 1"
      ])
    })
  )
})
