/**
 * An engine for tests: any store, executors as functions, workflows from their text.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import {
  type ActionCall,
  ActionFailed,
  type ActionOutput,
  type Executor,
  Executors,
  type FoundExecutor
} from "../../src/action/Action.ts"
import { type GateResolver, GateResolvers } from "../../src/action/GateResolver.ts"
import { type ItemProvider, ItemProviders } from "../../src/action/ItemProvider.ts"
import { jsonItems } from "../../src/action/JsonItems.ts"
import { SchemaResolver, ScriptEnvironment, WorkflowResolver } from "../../src/action/Resolvers.ts"
import { Engine, type ProgramSource } from "../../src/engine/Engine.ts"
import { EngineConfig, type EngineSettings } from "../../src/engine/EngineConfig.ts"
import type { EngineEvent } from "../../src/engine/Events.ts"
import { type StartOptions, WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as OutputFiles from "../../src/persistence/OutputFiles.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import type { ItemRecord, RunId, RunRecord, StepRecord } from "../../src/persistence/Records.ts"
import type { Texts, WorkflowDefinition } from "../../src/workflow/Definition.ts"
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
  readonly actions?: Readonly<Record<string, Executor | FoundExecutor>>
  readonly fallback?: Executor
  /** Instead of `actions` and `fallback`. */
  readonly executors?: Context.Tag.Service<typeof Executors>
  readonly providers?: Readonly<Record<string, ItemProvider>>
  readonly gates?: Readonly<Record<string, GateResolver>>
  readonly schemas?: Readonly<Record<string, OutputSchema>>
  readonly settings?: Partial<EngineSettings>
  /** What scripts of an identity have in their environment. */
  readonly environment?: (identity: string | undefined) => Texts
  /** Looks at runs before they are claimed. */
  readonly knows?: ProgramSource["knows"]
}

/** For the test clock, on which each timer that fires costs real time: only what a test waits for has one. */
export const calm: Partial<EngineSettings> = {
  leaseTtl: 1e12,
  leaseRefresh: 1e12,
  watchdogInterval: 1e12,
  linger: 1e12
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
    world.executors === undefined
      ? Executors.layer(world.actions ?? {}, world.fallback)
      : Layer.succeed(Executors, world.executors),
    ItemProviders.layer({ json: jsonItems, ...world.providers }),
    GateResolvers.layer(world.gates ?? {}),
    WorkflowResolver.layerMemory((world.workflows ?? []).map(definitionOf)),
    SchemaResolver.layerMemory(world.schemas ?? {})
  )
  const config = EngineConfig.layerWith({ checkInvariants: true, linger: 20, ...world.settings })
  const { environment } = world
  const scripts =
    environment === undefined
      ? Layer.empty
      : Layer.succeed(ScriptEnvironment, { variables: (identity) => Effect.sync(() => environment(identity)) })
  return WorkflowFiles.layerWith({ knows: world.knows }).pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provide(services),
    Layer.provide(config),
    Layer.provide(scripts)
  )
}

export const memoryLayer = (store?: PersistenceService) =>
  Layer.merge(
    store === undefined ? MemoryPersistence.layer : Layer.succeed(Persistence, store),
    OutputFiles.layerTemporary
  )

export const layerOf = (world: World, store?: PersistenceService) =>
  engineLayer(world).pipe(Layer.provideMerge(memoryLayer(store)))

export interface Watch {
  /** The engine's events so far, in order. */
  readonly seen: ReadonlyArray<EngineEvent>
  /** Waits for the n-th (the first) event that fits, one that has been seen included. */
  readonly until: <E extends EngineEvent>(fits: (event: EngineEvent) => event is E, n?: number) => Effect.Effect<E>
}

/** The engine's events from now on, until the scope closes. */
export const watch = Effect.gen(function* () {
  const engine = yield* Engine
  const stream = yield* engine.events()
  const seen: Array<EngineEvent> = []
  const looking = new Set<() => void>()
  const note = (event: EngineEvent) => {
    seen.push(event)
    for (const look of looking) look()
  }
  yield* Effect.forkScoped(
    Stream.runForEach(stream, (event) => Effect.sync(() => event._tag !== "EventsMissed" && note(event)))
  )
  const until = <E extends EngineEvent>(fits: (event: EngineEvent) => event is E, n = 1): Effect.Effect<E> =>
    Effect.async<E>((resume) => {
      const look = () => {
        const event = seen.filter(fits)[n - 1]
        if (event === undefined) return
        looking.delete(look)
        resume(Effect.succeed(event))
      }
      looking.add(look)
      look()
      return Effect.sync(() => looking.delete(look))
    })
  return { seen, until } satisfies Watch
})

/** Events of a kind, of a step of this name. */
export const isEvent =
  <T extends EngineEvent["_tag"]>(tag: T, step?: string) =>
  (event: EngineEvent): event is Extract<EngineEvent, { _tag: T }> =>
    event._tag === tag && (step === undefined || ("step" in event && event.step === step))

/** Starts a workflow. */
export const start = (text: string, options: StartOptions = {}) =>
  Effect.flatMap(WorkflowFiles, (files) => files.start(definitionOf(text), options))

/** Starts a workflow and waits for its end. */
export const runToEnd = (text: string, options: StartOptions = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const watched = yield* watch
      const id = yield* start(text, options)
      return yield* awaitEnd(id, watched)
    })
  )

/** Waits until a run has ended and all its events have been seen. */
export const awaitEnd = (id: RunId, watched: Watch) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const run = yield* engine.await(id)
    yield* watched.until((event): event is EngineEvent => isLast(event) && event.run === id)
    return yield* ended(id, run, watched.seen)
  })

const isLast = (event: EngineEvent): boolean => event._tag === "RunCompleted" || event._tag === "RunCancelled"

/** Runs a workflow to its end in an engine of its own. */
export const runIn = (world: World, text: string, options: StartOptions = {}) =>
  Effect.provide(runToEnd(text, options), layerOf(world))

/** Runs a workflow in an engine of its own until it leaves it: ended, parked or let go. */
export const park = (world: World, text: string, options: StartOptions = {}) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const id = yield* start(text, options)
    const parked = yield* engine.awaitRelease(id)
    const steps = yield* Effect.flatMap(Persistence, (persistence) => persistence.steps(id))
    return { parked, steps }
  }).pipe(Effect.provide(layerOf(world)))

export interface Ended {
  readonly id: RunId
  readonly run: RunRecord
  readonly steps: ReadonlyArray<StepRecord>
  readonly items: ReadonlyArray<ItemRecord>
  /** Oldest first. */
  readonly children: ReadonlyArray<RunRecord>
  /** Of the run itself. */
  readonly events: ReadonlyArray<EngineEvent>
  /** The messages of its `StepWarning` events. */
  readonly warnings: ReadonlyArray<string>
  /** `name status` of the live user steps, in order. */
  readonly outline: ReadonlyArray<string>
  /** The live row at a path. */
  readonly step: (path: string) => StepRecord
}

export const ended = (id: RunId, run: RunRecord, seen: ReadonlyArray<EngineEvent> = []) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const steps = yield* persistence.steps(id)
    const items = yield* persistence.items(id)
    const children = yield* persistence.list({ parent: id, limit: 1_000 })
    const outline = steps
      .filter((step) => !step.superseded && !["condition", "loop", "block", "phase", "value"].includes(step.kind))
      .map((step) => `${step.path} ${step.status}`)
    const events = seen.filter((event) => event.run === id)
    const warnings = events.flatMap((event) => (event._tag === "StepWarning" ? [event.message] : []))
    const step = (path: string) => {
      const found = steps.find((step) => step.path === path && !step.superseded)
      if (found === undefined) throw new Error(`no step ${path} among ${steps.map((step) => step.path).join(", ")}`)
      return found
    }
    const ordered = children.toReversed()
    return { id, run, steps, items, children: ordered, events, warnings, outline, step } satisfies Ended
  })
