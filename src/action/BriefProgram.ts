/**
 * Running a program that is no step: a provider, a gate, a command that tells somebody. It has little time, and its
 * output is kept no longer than its caller looks at it.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as LogFile from "./LogFile.ts"
import * as Process from "./Process.ts"
import { RunSecrets } from "./RunSecrets.ts"

/** Code points of stderr that a failure shows. */
const shownStderr = 2_000

export interface BriefProgram extends Omit<Process.ProcessOptions, "stdout" | "stderr" | "redactor" | "plain"> {
  /** The longest time that it may take, ms. */
  readonly limit: number
  /** What is wrong with one that takes longer. */
  readonly late: string
}

/**
 * Runs a program to a good end and gives the file that holds what it printed, as it printed it; fails with what went
 * wrong, in words that tell no secret of the run around it. Its process group ends with the effect.
 */
export const run = ({ late, limit, ...program }: BriefProgram): Effect.Effect<string, string, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const { redactor } = yield* RunSecrets
    const plain = join(folder, "plain")
    const files = { stdout: join(folder, "stdout"), stderr: join(folder, "stderr"), plain }
    const exit = yield* Process.run({ ...program, ...files, redactor }).pipe(
      Effect.mapError(({ message }) => message),
      Effect.timeoutFail({ duration: limit, onTimeout: () => late })
    )
    return exit.code === 0 ? plain : yield* failure(exit)
  })

const temporaryFolder = Effect.acquireRelease(
  Effect.tryPromise({
    try: () => mkdtemp(join(tmpdir(), "millrace-ask-")),
    catch: (error) => `no folder for its output: ${error instanceof Error ? error.message : String(error)}`
  }),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

const failure = (exit: Process.ProcessExit): Effect.Effect<never, string> =>
  Effect.flatMap(readable(LogFile.readTrimmedTail(exit.stderr.file, shownStderr)), (shown) => {
    const end = exit.signal === null ? `exit code ${exit.code}` : `killed by signal ${exit.signal}`
    return Effect.fail(shown === "" ? end : `${end}: ${shown}`)
  })

/** What was read of an output, or why it cannot be read. */
export const readable = <A>(read: Effect.Effect<A, Error>): Effect.Effect<A, string> =>
  Effect.mapError(read, (error) => `cannot read its output: ${error.message}`)
