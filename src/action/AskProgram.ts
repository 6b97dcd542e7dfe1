/**
 * Asking a program: JSON on its standard input, JSON on its standard output. For providers and gates, which give an
 * answer rather than do work.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { parse } from "../workflow/Json.ts"
import * as BriefProgram from "./BriefProgram.ts"
import * as LogFile from "./LogFile.ts"
import * as Process from "./Process.ts"
import { ScriptEnvironment } from "./Resolvers.ts"

/** The largest answer, in bytes. */
export const maxAnswerBytes = 16 * 1024 * 1024

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
    const provider = yield* ScriptEnvironment
    const { limit } = question
    const stdout = yield* BriefProgram.run({
      command: [question.file],
      cwd: question.cwd,
      env: { ...Process.ownEnvironment(), ...(yield* provider.variables(question.identity)) },
      stdin: `${JSON.stringify(question.input)}\n`,
      outputLimit: maxAnswerBytes,
      limit,
      late: `it gave no answer within ${limit / 1_000} s`
    })
    const { text } = yield* BriefProgram.readable(LogFile.readEnd(stdout, maxAnswerBytes))
    const answer = parse(text)
    return answer === undefined ? yield* Effect.fail("its output is no valid JSON") : answer
  })
