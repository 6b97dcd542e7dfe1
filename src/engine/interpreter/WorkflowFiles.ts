/**
 * `.wf` runs in an engine: registers the interpreter, and creates runs (spec/engine.md, "Execution"). The record of a
 * new run: `NewWorkflowRun`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Executors } from "../../action/Action.ts"
import { GateResolvers } from "../../action/GateResolver.ts"
import { ItemProviders } from "../../action/ItemProvider.ts"
import { withSupplied } from "../../action/TypedAction.ts"
import { RunContextProvider, SchemaResolver, WorkflowResolver } from "../../action/Resolvers.ts"
import { OutputStore } from "../../persistence/OutputStore.ts"
import { Persistence, type PersistenceError, type RunAlreadyExists } from "../../persistence/Persistence.ts"
import type { RunId, RunRecord } from "../../persistence/Records.ts"
import type { WorkflowDefinition } from "../../workflow/Definition.ts"
import { createUnclaimed } from "../CreateRun.ts"
import { Engine, type ProgramSource } from "../Engine.ts"
import { definitionPrefix, Definitions, isDefinitionKey } from "./Definitions.ts"
import { makeProgram } from "./FileProgram.ts"
import { type InvalidInputs, makeRecord, type StartOptions } from "./NewWorkflowRun.ts"

export { checkInputs, InvalidInputs, type StartOptions } from "./NewWorkflowRun.ts"

/** What workflows name: actions, providers, gates, other workflows, schemas. */
export type Supplies = Executors | ItemProviders | GateResolvers | WorkflowResolver | SchemaResolver

export interface RunPlace {
  readonly supplies: Context.Context<Supplies>
  readonly scriptRoots: ReadonlyArray<string>
}

export interface WorkflowFilesOptions {
  /** Folders searched for script files after the working directory. */
  readonly scriptRoots?: ReadonlyArray<string>
  /** What a run has in place of the layer's own supplies and folders; undefined: those. */
  readonly placeOf?: (run: RunRecord) => RunPlace | undefined
  /** As `ProgramSource.knows`; absent: what a workflow names is missed when the run comes to it. */
  readonly knows?: ProgramSource["knows"] | undefined
}

/** Starts `.wf` workflows. */
export class WorkflowFiles extends Context.Tag("millrace/WorkflowFiles")<
  WorkflowFiles,
  {
    /** Creates a run of a definition and runs it here. */
    readonly start: (
      definition: WorkflowDefinition,
      options?: StartOptions
    ) => Effect.Effect<RunId, InvalidInputs | RunAlreadyExists | PersistenceError>
    /** Creates a run for whichever engine takes it up: this one, where it has a watchdog and room. */
    readonly submit: (
      definition: WorkflowDefinition,
      options?: StartOptions
    ) => Effect.Effect<RunId, InvalidInputs | RunAlreadyExists | PersistenceError>
  }
>() {
  static readonly layerWith = (
    options: WorkflowFilesOptions = {}
  ): Layer.Layer<WorkflowFiles, never, Engine | Persistence | OutputStore | Supplies> =>
    Layer.scoped(
      WorkflowFiles,
      Effect.suspend(() => make(options))
    )

  static readonly layer = WorkflowFiles.layerWith()
}

const make = (options: WorkflowFilesOptions) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const persistence = yield* Persistence
    const definitions = new Definitions(persistence)
    const outputs = yield* OutputStore
    const context = yield* Effect.context<Supplies>()
    const partsOf = ({ scriptRoots, supplies }: RunPlace) => {
      const all = Context.merge(context, supplies)
      return { services: { ...suppliesOf(all), outputs, scriptRoots, definitions }, all }
    }
    const own = partsOf({ supplies: context, scriptRoots: options.scriptRoots ?? [] })
    yield* engine.register({
      accepts: (run) => isDefinitionKey(run.definition),
      knows: options.knows,
      definitions: [definitionPrefix],
      make: (run) => {
        const place = options.placeOf?.(run.record)
        const { all, services } = place === undefined ? own : partsOf(place)
        return makeProgram(run, services, all)
      }
    })
    const { newRunId, settings } = engine
    const parts = { definitions, provider: yield* RunContextProvider, newRunId, stepTimeout: settings.stepTimeout }
    return {
      start: (definition: WorkflowDefinition, start: StartOptions = {}) =>
        Effect.flatMap(makeRecord(parts, definition, start), (record) => engine.start(record)),
      submit: (definition: WorkflowDefinition, start: StartOptions = {}) =>
        Effect.gen(function* () {
          const record = yield* makeRecord(parts, definition, start)
          yield* createUnclaimed(persistence, record, yield* Clock.currentTimeMillis)
          return record.id
        })
    }
  })

const suppliesOf = (supplies: Context.Context<Supplies>) => ({
  executors: withSupplied(Context.get(supplies, Executors), supplies),
  providers: Context.get(supplies, ItemProviders),
  resolvers: Context.get(supplies, GateResolvers),
  workflows: Context.get(supplies, WorkflowResolver),
  schemas: Context.get(supplies, SchemaResolver)
})
