/**
 * A typed workflow as the subject of a crash test: run in an engine of its own on any store, and gone on with in another.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Engine } from "../engine/Engine.ts"
import { EngineConfig, type EngineSettings } from "../engine/EngineConfig.ts"
import { Persistence, type PersistenceError, type PersistenceService } from "../persistence/Persistence.ts"
import type { RunId } from "../persistence/Records.ts"
import { awaitInEngine, lastRecord } from "../program/Following.ts"
import type { CrashSubject } from "./CrashTest.ts"
import type { RunOptions } from "./ProgramRunner.ts"
import { readTree, type RunTree } from "./RecordComparison.ts"
import type { Execution } from "./TestProgram.ts"

/** Told by a handler, first thing, of the attempt that it makes. */
export type Began = (attempt: Execution) => Effect.Effect<void>

export interface TypedProgram {
  readonly name: string
  readonly start: Effect.Effect<RunId, unknown, Engine | Persistence>
  /** The workflows with all that they need; handlers call `began`, and depend on nothing but the attempt. */
  readonly layer: (began: Began) => Layer.Layer<never, never, Engine | Persistence>
  /** Answers, signals and cancels, while the run is under way; done again after each crash. */
  readonly meanwhile?: (run: RunId, store: PersistenceService) => Effect.Effect<void>
  readonly settings?: Partial<EngineSettings>
}

/** For `crashEverywhere`. */
export const typedSubject = (program: TypedProgram): CrashSubject => ({
  name: program.name,
  run: (options) => inEngine(program, options, Effect.orDie(program.start)),
  resume: (root, options) => inEngine(program, options, Effect.succeed(root))
})

const inEngine = (
  program: TypedProgram,
  options: RunOptions,
  start: Effect.Effect<RunId, never, Engine | Persistence>
): Effect.Effect<RunTree, PersistenceError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const root = yield* start
      const meanwhile = program.meanwhile?.(root, options.store) ?? Effect.void
      yield* Effect.forkScoped(meanwhile)
      yield* Effect.catchTag(lastRecord(program, root, awaitInEngine), "RunNotFound", Effect.die)
      return yield* readTree(root)
    })
  ).pipe(Effect.provide(layerOf(program, options)))

const layerOf = (program: TypedProgram, { began, settings, store }: RunOptions) => {
  const told: Began = ({ run, path, attempt, idempotencyKey }) =>
    Effect.sync(() => began?.({ run, path, attempt, idempotencyKey }))
  const config = { checkInvariants: true, linger: 20, ...program.settings, ...settings }
  return program
    .layer(told)
    .pipe(
      Layer.provideMerge(Engine.layer),
      Layer.provideMerge(Layer.succeed(Persistence, store)),
      Layer.provide(EngineConfig.layerWith(config))
    )
}
