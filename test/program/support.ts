/** Typed workflows in engines of their own, on a memory store. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig, type EngineSettings } from "../../src/engine/EngineConfig.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId, RunRecord } from "../../src/persistence/Records.ts"

export type Workflows = Layer.Layer<never, never, Engine | Persistence>

/** An engine that knows these workflows. */
export const engine = (store: PersistenceService, workflows: Workflows, settings: Partial<EngineSettings> = {}) =>
  workflows.pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Layer.succeed(Persistence, store)),
    Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10, ...settings }))
  )

/** `path status` of the live rows, in order. */
export const outline = (store: PersistenceService, run: RunId) =>
  Effect.map(store.steps(run), (steps) =>
    steps.filter(({ superseded }) => !superseded).map(({ path, status }) => `${path} ${status}`)
  )

/** Waits until a record is as it should be, on a virtual clock. */
export const until = (store: PersistenceService, run: RunId, is: (record: RunRecord) => boolean) =>
  Effect.repeat(Effect.zipRight(Effect.sleep("1 second"), store.get(run)), { until: (record) => is(record) })

export const letGo = (store: PersistenceService, run: RunId) =>
  until(store, run, ({ owner, status }) => status === "waiting" && owner === null)

export const parked = (store: PersistenceService, run: RunId) =>
  until(store, run, ({ status }) => status === "needs_resume")
