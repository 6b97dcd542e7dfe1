/**
 * Asking a program: JSON on its standard input, JSON on its standard output. For providers and gates, which give an
 * answer rather than do work: their output is not kept.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { parse } from "../workflow/Json.ts"
import * as LogFile from "./LogFile.ts"
import * as Process from "./Process.ts"
import { ScriptEnvironment } from "./Resolvers.ts"
import { RunSecrets } from "./RunSecrets.ts"

/** The largest answer, in bytes. */
export const maxAnswerBytes = 16 * 1024 * 1024

/** Code points of stderr that a failure shows. */
const shownStderr = 2_000

export interface Question {
  readonly file: string
  readonly cwd: string
  /** Whose variables it has in its environment. */
  readonly identity: string | undefined
  readonly input: unknown
  /** The longest time that it may take, ms. */
  readonly limit: number
}

/** The program's answer as JSON; fails with what went wrong. Its process group ends with the effect. */
export const ask = (question: Question): Effect.Effect<unknown, string, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const provider = yield* ScriptEnvironment
    const { redactor } = yield* RunSecrets
    const plain = join(folder, "plain")
    const exit = yield* Process.run({
      command: [question.file],
      cwd: question.cwd,
      env: { ...Process.ownEnvironment(), ...(yield* provider.variables(question.identity)) },
      stdin: `${JSON.stringify(question.input)}\n`,
      stdout: join(folder, "stdout"),
      stderr: join(folder, "stderr"),
      redactor,
      plain,
      outputLimit: maxAnswerBytes
    }).pipe(
      Effect.mapError(({ message }) => message),
      Effect.timeoutFail({
        duration: question.limit,
        onTimeout: () => `it gave no answer within ${question.limit / 1_000} s`
      })
    )
    if (exit.code !== 0) return yield* failure(exit)
    const { text } = yield* readable(LogFile.readEnd(plain, maxAnswerBytes))
    const answer = parse(text)
    return answer === undefined ? yield* Effect.fail("its output is no valid JSON") : answer
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

const readable = <A>(read: Effect.Effect<A, Error>): Effect.Effect<A, string> =>
  Effect.mapError(read, (error) => `cannot read its output: ${error.message}`)
