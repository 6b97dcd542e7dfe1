/**
 * Files beside the database: large outputs under their content's hash, and what each attempt printed. Where a run has
 * secrets its logs are without them, and the standard output is kept as it came in a file of its own.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { PersistenceError } from "./Persistence.ts"
import type { RunId, StepPath } from "./Records.ts"

/** An attempt whose output is kept. */
export interface AttemptOutput {
  readonly run: RunId
  readonly path: StepPath
  /** The path as it may be shown, where that is another. */
  readonly shown?: string
  readonly epoch: number
  readonly attempt: number
}

export interface AttemptLog {
  /** As it may be shown. */
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
    readonly logFile: (
      output: AttemptOutput & { readonly stream: "stdout" | "stderr" }
    ) => Effect.Effect<string, PersistenceError>
    /** Where an attempt's standard output goes as it came, for later steps only: no log, and read by nobody else. */
    readonly plainFile: (output: AttemptOutput) => Effect.Effect<string, PersistenceError>
    /** The logs of a run, by path, epoch, attempt and stream. */
    readonly logs: (run: RunId) => Effect.Effect<ReadonlyArray<AttemptLog>, PersistenceError>
    /** Deletes the outputs of runs that are pruned. */
    readonly remove: (runs: ReadonlyArray<RunId>) => Effect.Effect<void, PersistenceError>
    /** The runs that have logs. */
    readonly logged: Effect.Effect<ReadonlyArray<RunId>, PersistenceError>
    /** The outputs that were last kept before a time. */
    readonly kept: (before: number) => Effect.Effect<ReadonlyArray<KeptOutput>, PersistenceError>
    /**
     * Deletes outputs, and what interrupted calls left behind; but not what was kept (again) since that time, since a
     * step may be about to name it. Those deleted.
     */
    readonly discard: (
      names: ReadonlyArray<string>,
      before: number
    ) => Effect.Effect<ReadonlyArray<KeptOutput>, PersistenceError>
  }
>() {}

/** A file that `keep` made. */
export interface KeptOutput {
  /** The hash of its content. */
  readonly name: string
  readonly bytes: number
}

/** The name of a kept output by its path; undefined for any other file. */
export const outputName = (file: string | null): string | undefined =>
  file === null ? undefined : /[/\\]outputs[/\\]([0-9a-f]{64})$/.exec(file)?.[1]
