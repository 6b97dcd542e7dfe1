/** The kit's replay of users' workflows over their own journals: where a body does something else, it says where. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { Action, type Records, Workflow } from "millrace"
import { checkDeterminism } from "millrace/testing"

const Charge = Action.make("charge", { payload: Schema.Int, success: Schema.Int })
const Refund = Action.make("refund", { payload: Schema.Int })
const Ship = Action.make("ship", { payload: Schema.String })
const Release = Workflow.makeGate("release")

const Order = Workflow.make("order", { payload: Schema.Int, success: Schema.Unknown, error: Schema.String })

const Below = Workflow.make("below", { payload: Schema.Int, success: Schema.Int })
const below = Below.toLayer((n) => Effect.as(Workflow.sleep("1 hour"), n + 1))

type Needs = Action.HandlerOf<typeof Charge> | Action.HandlerOf<typeof Refund> | Action.HandlerOf<typeof Ship>

/** Actions that count how often they were called. */
const setup =
  (body: Effect.Effect<unknown, string, Needs | Workflow.WorkflowRun>, calls: Array<string> = []) =>
  () => ({
    layer: Layer.merge(
      Order.toLayer(() => body),
      below
    ).pipe(
      Layer.provide(
        Layer.mergeAll(
          Charge.toLayer((cents) => Effect.sync(() => (calls.push("charge"), cents))),
          Refund.toLayer(() => Effect.sync(() => void calls.push("refund"))),
          Ship.toLayer(() => Effect.sleep("1 minute"))
        )
      )
    ),
    people: [(run: Records.RunId) => Order.answer(run, Release, { approved: true })]
  })

const failureOf = <A, E extends Error, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

const charged = Action.call(Charge, 5).pipe(Workflow.withCompensation((cents) => Action.call(Refund, cents)))

describe("a body replayed over its own journal", { timeout: 60_000 }, () => {
  it.live("comes to the same everywhere, with time, chance, branches, a child and undos, and calls no handler", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const body = Effect.gen(function* () {
        const drawn = [yield* Workflow.uuid, yield* Workflow.now, yield* Workflow.random, yield* Random.next]
        yield* charged
        yield* Workflow.gate(Release).pipe(Effect.mapError(String))
        yield* Effect.sleep("3 days")
        yield* Workflow.timeout(Action.call(Ship, "slow"), "30 seconds").pipe(Effect.option)
        yield* Workflow.race({ a: Action.call(Ship, "a"), b: Workflow.sleep("2 minutes") })
        yield* Workflow.all([Action.call(Ship, "x"), Action.call(Ship, "y")])
        const child = yield* Workflow.child(Below, 1).pipe(Effect.mapError(String))
        return yield* Effect.fail(`enough ${drawn.length} ${child}`)
      })
      const { replays } = yield* checkDeterminism(Order, { payload: 1, setup: setup(body, calls) })
      expect(replays).toBeGreaterThan(15)
      expect(calls).toEqual(["charge", "refund"])
    })
  )

  it.live("that depends on a variable outside of it, comes to a step where it never was", () =>
    Effect.gen(function* () {
      let executions = 0
      const body = Effect.gen(function* () {
        executions += 1
        const cents = yield* Action.call(Charge, 5)
        if (executions > 1) yield* Action.call(Refund, cents)
        return cents
      })
      const options = { payload: 1, setup: setup(body) }
      const message = yield* failureOf(checkDeterminism(Order, options))
      expect(message).toContain("the body of workflow 'order' is not deterministic\nreplayed after write ")
      expect(message).toContain("it came to call 'refund' at /refund, and the first execution never came there")
      expect(message).toContain("use Workflow.now, random, uuid")
      const [, only = ""] = /only: (\d+)/.exec(message) ?? []
      executions = 0
      expect(yield* failureOf(checkDeterminism(Order, { ...options, only: Number(only) }))).toBe(message)
      expect(message).toContain("/charge completed, and nothing further")
    })
  )

  it.live("that comes to another kind of step at a path, does not even come to its end once", () =>
    Effect.gen(function* () {
      let executions = 0
      const body = Effect.suspend(() =>
        executions++ === 0 ? Workflow.sleep("1 minute") : Workflow.gate("sleep").pipe(Effect.mapError(String))
      )
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(body) }))).toContain(
        "it has to come to an end once, before it is replayed: the run of 'order' was parked: /sleep is recorded as sleep 'sleep', but the workflow now has gate 'sleep' there"
      )
    })
  )

  it.live("that skips a step, comes to the next one too early, or to its end", () =>
    Effect.gen(function* () {
      const skipping = (rest: Effect.Effect<unknown, string, Needs | Workflow.WorkflowRun>) => {
        let executions = 0
        return Effect.gen(function* () {
          executions += 1
          yield* Action.call(Charge, 5)
          if (executions === 1) yield* Action.call(Refund, 5)
          yield* rest
        })
      }
      const early = skipping(Action.call(Ship, "x"))
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(early) }))).toContain(
        "it came to call 'ship' at /ship, where the first execution first had call 'refund' at /refund"
      )
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(skipping(Effect.void)) }))).toContain(
        "it came to its end without call 'refund' at /refund"
      )
    })
  )

  it.live("that no longer comes to a step that is done, is found where the step's end is the last row", () =>
    Effect.gen(function* () {
      let executions = 0
      const body = Effect.gen(function* () {
        if (executions++ === 0) yield* Action.call(Charge, 5)
        yield* Action.call(Ship, "x")
      })
      expect(yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(body) }))).toContain(
        "it does not fit: /charge is recorded as call 'charge' (completed), but the workflow goes on to call 'ship' without coming to it"
      )
    })
  )

  it.live("that returns what only it knows, comes to another end", () =>
    Effect.gen(function* () {
      const body = Effect.zipRight(
        Action.call(Charge, 5),
        Effect.sync(() => process.hrtime.bigint().toString())
      )
      const message = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(body) }))
      expect(message).toContain("it came to another end\n  first  completed")
    })
  )

  it.live("has to have come to an end once", () =>
    Effect.gen(function* () {
      const never = Workflow.awaitSignal(Workflow.signal("go", Schema.Void)).pipe(Effect.mapError(String))
      const message = yield* failureOf(checkDeterminism(Order, { payload: 1, setup: setup(never) }))
      expect(message).toContain("the run is waiting after 60 days; it waits for the signal at /go")
    })
  )
})
