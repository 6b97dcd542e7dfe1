/**
 * What goes wrong only in some order of fibers and timers, tried in many.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { answer } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import * as Action from "../../../src/program/Action.ts"
import * as Workflow from "../../../src/program/Workflow.ts"
import { inAnyOrder } from "../../../src/testing/simulation/AnyOrder.ts"
import { start, type World } from "../TestEngine.ts"
import { untilStatus, virtualLayer } from "./support.ts"

const seeds = Array.from({ length: 60 }, (_, index) => index + 1)

/** In each order it has to end, with what it gives. */
const expectAlways = <A, E>(body: Effect.Effect<A, E, Scope.Scope>, expected: A) => {
  for (const seed of seeds) {
    const exit = inAnyOrder(seed, Effect.scoped(body), { turn: 12 + (seed % 20) })
    expect(exit, `seed ${seed}`).toEqual(Exit.succeed(expected))
  }
}

const engine = (world: World) =>
  Effect.flatMap(MemoryPersistence.make(), ({ service }) => Layer.build(virtualLayer(world, service)))

describe("in any order of fibers and timers", () => {
  // A branch that the message woke after the decision to let the run go, and before its interruption, journaled the
  // answer: the run was let go with nothing left in its inbox that would bring it back.
  it("a run that is being let go goes on after a message", () => {
    const Both = Workflow.make("both", { payload: Schema.Void })
    const body = Workflow.all({ left: Workflow.gate("left"), right: Workflow.gate("right") })
    const ended = Effect.gen(function* () {
      const services = yield* engine({ settings: { linger: 10 } })
      yield* Layer.build(
        Layer.provide(
          Both.toLayer(() => Effect.asVoid(Effect.orDie(body))),
          Layer.succeedContext(services)
        )
      )
      const store = Context.get(services, Persistence)
      const run = yield* Effect.provide(Both.start(), services)
      yield* Effect.provide(untilStatus(run, "waiting"), services)
      const sent = Effect.all([
        answer(run, { gate: "left", approved: true }),
        answer(run, { gate: "right", approved: true })
      ])
      yield* Effect.all([Effect.provide(sent, services), Context.get(services, Engine).letGo(run)], { concurrency: 2 })
      yield* Effect.sleep("10 seconds")
      return (yield* store.get(run)).status
    })
    expectAlways(ended, "completed")
  })

  // The branch that lost was still parked, and already interrupted: the run was let go until its sleep would have ended.
  it("a run whose race was just decided goes on after a shutdown", () => {
    const Race = Workflow.make("race", { payload: Schema.Void })
    const Quick = Action.make("quick", { payload: Schema.Void })
    const body = Workflow.race({ quick: Action.call(Quick, undefined), slow: Workflow.sleep("1 day") })
    const layer = Layer.provide(
      Race.toLayer(() => Effect.asVoid(Effect.orDie(body))),
      Quick.toLayer(() => Effect.void)
    )
    const ended = Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const typed = Layer.provideMerge(layer, virtualLayer({}, store))
      const first = yield* Scope.make()
      const run = yield* Effect.provide(Race.start(), yield* Layer.buildWithScope(typed, first))
      yield* Effect.repeatN(Effect.yieldNow(), yield* Random.nextIntBetween(0, 12))
      yield* Scope.close(first, Exit.void)
      yield* Layer.build(typed)
      yield* Effect.sleep("10 seconds")
      return (yield* store.get(run)).status
    })
    expectAlways(ended, "completed")
  })

  // The time of an attempt ran out while the fiber that was about to wait for it gave way: nobody ended the attempt.
  it("an attempt ends when its time is over, however soon that is", () => {
    const ended = Effect.gen(function* () {
      const services = yield* engine({ actions: { a: () => Effect.never }, settings: { stepTimeout: 0 } })
      const calls = "call a { on_fail = continue } ".repeat(20)
      const run = yield* Effect.provide(start(`workflow w { ${calls} }`), services)
      yield* Effect.sleep("10 seconds")
      return (yield* Context.get(services, Persistence).get(run)).status
    })
    expectAlways(ended, "completed")
  })
})
