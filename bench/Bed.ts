/**
 * What the workloads run on: an engine over a store in a folder of its own.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Executor, Executors } from "../src/action/Action.ts"
import { GateResolvers } from "../src/action/GateResolver.ts"
import { type ItemProvider, ItemProviders } from "../src/action/ItemProvider.ts"
import { SchemaResolver, WorkflowResolver } from "../src/action/Resolvers.ts"
import { Engine } from "../src/engine/Engine.ts"
import { EngineConfig, type EngineSettings } from "../src/engine/EngineConfig.ts"
import { WorkflowFiles } from "../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../src/persistence/MemoryPersistence.ts"
import type { OutputStore } from "../src/persistence/OutputStore.ts"
import type { Persistence, PersistenceError } from "../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../src/persistence/SqlitePersistence.ts"
import { SqliteStats } from "../src/persistence/SqlitePersistence.ts"
import type { WriteCounts } from "../src/persistence/sql/SqliteWriter.ts"
import type { WorkflowDefinition } from "../src/workflow/Definition.ts"
import { parse } from "../src/workflow/Parser.ts"

/** `memory`, or what a commit on SQLite survives. */
export type Durability = "memory" | "FULL" | "NORMAL" | "OFF"

export interface BedOptions {
  readonly durability: Durability
  /** The database; default: one of its own. Needed where it is opened twice. */
  readonly folder?: string
  readonly executors?: Readonly<Record<string, Executor>>
  readonly providers?: Readonly<Record<string, ItemProvider>>
  readonly workflows?: ReadonlyArray<WorkflowDefinition>
  readonly settings?: Partial<EngineSettings>
}

export type BedServices = Engine | WorkflowFiles | Persistence | SqliteStats

/**
 * A folder of its own. It goes when the process ends: a disk that is told of room that was given back is busy for a
 * while, in the time of whoever is measured next.
 */
export const inFolder = <A>(use: (folder: string) => Promise<A>): Promise<A> => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"))
  folders.push(folder)
  return use(folder)
}

const folders: Array<string> = []
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Runs an effect on an engine, with all of it built before and closed after. */
export const onBed = <A, E>(options: BedOptions, use: Effect.Effect<A, E, BedServices>): Promise<A> =>
  inFolder((folder) => Effect.runPromise(Effect.provide(use, layer({ ...options, folder: options.folder ?? folder }))))

/** Of the database in a bed's folder. */
export const databaseName = "bench.db"

const instant: Executor = () => Effect.succeed({})

/** An engine over a store in the folder, as `onBed` builds it: for who closes it himself. */
export const layer = (options: BedOptions & { readonly folder: string }): Layer.Layer<BedServices, PersistenceError> =>
  WorkflowFiles.layer.pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provide(
      Layer.mergeAll(
        Executors.layer({ instant, ...options.executors }),
        ItemProviders.layer(options.providers ?? {}),
        GateResolvers.layer({}),
        WorkflowResolver.layerMemory(options.workflows ?? []),
        SchemaResolver.layerMemory({})
      )
    ),
    Layer.provideMerge(store(options.durability, join(options.folder, databaseName))),
    Layer.provide(EngineConfig.layerWith(options.settings ?? {}))
  )

const store = (
  durability: Durability,
  filename: string
): Layer.Layer<Persistence | OutputStore | SqliteStats, PersistenceError> =>
  durability === "memory"
    ? Layer.mergeAll(MemoryPersistence.layer, MemoryPersistence.layerOutputs, noStats)
    : SqlitePersistence.layer({ filename, synchronous: durability })

const noStats = Layer.succeed(SqliteStats, {
  counts: Effect.succeed<WriteCounts>({ transactions: 0, statements: 0, writers: 0 })
})

export const definitionOf = (text: string): WorkflowDefinition => {
  const { definition, diagnostics } = parse({ file: "bench.wf", text })
  if (definition === undefined || diagnostics.length > 0) throw new Error(`not a workflow: ${text.slice(0, 200)}`)
  return definition
}

/** Starts a run and waits for its end, which must be a good one. */
export const completeRun = (definition: WorkflowDefinition): Effect.Effect<void, never, Engine | WorkflowFiles> =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const run = yield* engine.await(yield* (yield* WorkflowFiles).start(definition))
    if (run.status !== "completed") throw new Error(`the run ended ${run.status}: ${run.error}`)
  }).pipe(Effect.orDie)
