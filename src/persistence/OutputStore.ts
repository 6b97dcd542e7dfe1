/**
 * Files beside the database: large outputs under their content's hash, and the output of each attempt as it came.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { PersistenceError } from "./Persistence.ts"
import type { RunId, StepPath } from "./Records.ts"

export interface AttemptLog {
  readonly path: StepPath
  readonly epoch: number
  readonly attempt: number
  readonly stream: "stdout" | "stderr"
  /** Absolute. */
  readonly file: string
  readonly bytes: number
}

export class OutputStore extends Context.Tag("millrace/OutputStore")<
  OutputStore,
  {
    /** Copies a file under the hash of its content, written and synced before the effect succeeds; its new path. */
    readonly keep: (file: string) => Effect.Effect<string, PersistenceError>
    /** Where an attempt's stream goes; the folder exists when the effect succeeds. A lost attempt's file is replaced. */
    readonly logFile: (options: {
      readonly run: RunId
      readonly path: StepPath
      readonly epoch: number
      readonly attempt: number
      readonly stream: "stdout" | "stderr"
    }) => Effect.Effect<string, PersistenceError>
    /** The logs of a run, by path, epoch, attempt and stream. */
    readonly logs: (run: RunId) => Effect.Effect<ReadonlyArray<AttemptLog>, PersistenceError>
    /** Deletes the logs of runs that are pruned. */
    readonly remove: (runs: ReadonlyArray<RunId>) => Effect.Effect<void, PersistenceError>
  }
>() {}
