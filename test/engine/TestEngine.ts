/**
 * An engine for tests: any store, executors as functions, workflows from their text.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type ActionCall, ActionFailed, type ActionOutput, type Executor, Executors } from "../../src/action/Action.ts"
import { type GateResolver, GateResolvers } from "../../src/action/GateResolver.ts"
import { type ItemProvider, ItemProviders } from "../../src/action/ItemProvider.ts"
import { jsonItems } from "../../src/action/JsonItems.ts"
import { SchemaResolver, WorkflowResolver } from "../../src/action/Resolvers.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig, type EngineSettings } from "../../src/engine/EngineConfig.ts"
import { type StartOptions, WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as OutputFiles from "../../src/persistence/OutputFiles.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId, RunRecord, StepRecord } from "../../src/persistence/Records.ts"
import type { WorkflowDefinition } from "../../src/workflow/Definition.ts"
import type { OutputSchema } from "../../src/workflow/OutputSchema.ts"
import { renderAll } from "../../src/workflow/DiagnosticRenderer.ts"
import { parse } from "../../src/workflow/Parser.ts"

export const definitionOf = (text: string): WorkflowDefinition => {
  const { definition, diagnostics } = parse({ file: "test.wf", text })
  if (definition === undefined || diagnostics.some((d) => d.severity === "error"))
    throw new Error(renderAll(diagnostics))
  return definition
}

export interface World {
  readonly workflows?: ReadonlyArray<string>
  readonly actions?: Readonly<Record<string, Executor>>
  readonly fallback?: Executor
  readonly providers?: Readonly<Record<string, ItemProvider>>
  readonly gates?: Readonly<Record<string, GateResolver>>
  readonly schemas?: Readonly<Record<string, OutputSchema>>
  readonly settings?: Partial<EngineSettings>
}

/** An action that gives what a function of the call gives. */
export const action =
  (output: (call: ActionCall) => ActionOutput): Executor =>
  (call) =>
    Effect.sync(() => output(call))

export const failing =
  (message: string): Executor =>
  () =>
    Effect.fail(new ActionFailed({ message }))

/** Everything but the store. */
export const engineLayer = (world: World) => {
  const services = Layer.mergeAll(
    Executors.layer(world.actions ?? {}, world.fallback),
    ItemProviders.layer({ json: jsonItems, ...world.providers }),
    GateResolvers.layer(world.gates ?? {}),
    WorkflowResolver.layerMemory((world.workflows ?? []).map(definitionOf)),
    SchemaResolver.layerMemory(world.schemas ?? {})
  )
  const config = EngineConfig.layerWith({ checkInvariants: true, linger: 20, ...world.settings })
  return WorkflowFiles.layer.pipe(Layer.provideMerge(Engine.layer), Layer.provide(services), Layer.provide(config))
}

export const memoryLayer = (store?: PersistenceService) =>
  Layer.merge(
    store === undefined ? MemoryPersistence.layer : Layer.succeed(Persistence, store),
    OutputFiles.layerTemporary
  )

export const layerOf = (world: World, store?: PersistenceService) =>
  engineLayer(world).pipe(Layer.provideMerge(memoryLayer(store)))

/** Starts a workflow and waits for its end. */
export const runToEnd = (text: string, options: StartOptions = {}) =>
  Effect.gen(function* () {
    const files = yield* WorkflowFiles
    const engine = yield* Engine
    const id = yield* files.start(definitionOf(text), options)
    return yield* ended(id, yield* engine.await(id))
  })

export interface Ended {
  readonly id: RunId
  readonly run: RunRecord
  readonly steps: ReadonlyArray<StepRecord>
  /** `name status` of the live user steps, in order. */
  readonly outline: ReadonlyArray<string>
}

export const ended = (id: RunId, run: RunRecord) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const steps = yield* persistence.steps(id)
    const outline = steps
      .filter((step) => !step.superseded && !["condition", "loop", "block", "phase", "value"].includes(step.kind))
      .map((step) => `${step.path} ${step.status}`)
    return { id, run, steps, outline } satisfies Ended
  })
