/**
 * Branches that lost (design.md, "Concurrency in code workflows"): what they had begun does not outlive their block.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import { isTerminal } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { recordingStates } from "../../src/testing/CrashStates.ts"
import { loseEngines } from "../../src/testing/ProgramRunner.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"

const Wait = Action.make("wait", { payload: Schema.Int, success: Schema.Int })

const engineOn = (
  store: PersistenceService,
  workflows: Layer.Layer<never, never, Engine | Action.HandlerOf<typeof Wait>>
) =>
  workflows.pipe(
    Layer.provide(Wait.toLayer((ms) => Effect.as(Effect.sleep(ms), ms))),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Layer.succeed(Persistence, store)),
    Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10 }))
  )

describe("race", () => {
  const Endless = Workflow.make("endless", { payload: Schema.Void })
  const Race = Workflow.make("race", { payload: Schema.Void })
  const layer = Layer.mergeAll(
    Endless.toLayer(() => Effect.asVoid(Effect.orDie(Workflow.gate("never answered")))),
    Race.toLayer(() =>
      Effect.gen(function* () {
        yield* Workflow.race({ first: Action.call(Wait, 5), last: Workflow.child(Endless, undefined) })
        yield* Workflow.sleep("1 minute")
      }).pipe(Effect.orDie)
    )
  )

  /** The statuses of what the losing branch had begun, when the run has gone on. */
  const afterCrash = (store: PersistenceService) =>
    Effect.scoped(
      Effect.gen(function* () {
        const [root] = yield* store.list({ parent: null, limit: 1 })
        if (root === undefined) return []
        yield* loseEngines(store)
        yield* Layer.build(engineOn(store, layer))
        for (;;) {
          const steps = yield* store.steps(root.id)
          const isBehind = steps.some((step) => step.path === "/sleep")
          const children = yield* store.list({ parent: root.id, limit: 10 })
          if (isBehind) return [...steps.filter((step) => step.path.startsWith("/race/last/")), ...children]
          yield* Effect.sleep(1)
        }
      })
    )

  // Its fiber was interrupted before it came to the child that it had started before the crash: that went on for as
  // long as the run did.
  it.live("ends what its losers had begun, whenever the engine crashes", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const memory = yield* MemoryPersistence.make()
        const recording = recordingStates(memory, () => undefined)
        yield* Effect.provide(Race.execute(undefined), engineOn(recording.service, layer))
        const states = recording.states().filter(({ name }) => name === "commit")
        expect(states.length).toBeGreaterThan(8)
        for (const { snapshot, write } of states) {
          const { service } = yield* MemoryPersistence.make({ from: snapshot })
          for (const row of yield* afterCrash(service)) {
            const status = row.status
            const isOver = status !== "needs_resume" && status !== "cancelling" && isTerminal(status)
            expect(isOver, `after write ${write}: ${status}`).toBe(true)
          }
        }
      })
    )
  )
})
