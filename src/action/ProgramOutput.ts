/**
 * What a program's run means to its step: flow output, context, metadata, or why it failed
 * (spec/engine.md, "script"; spec/language.md, "Flow output").
 */
import * as Effect from "effect/Effect"
import { type FlowOutput, parseFlowOutput } from "../workflow/FlowOutput.ts"
import { type ActionCall, ActionFailed } from "./Action.ts"
import * as LogFile from "./LogFile.ts"
import * as Process from "./Process.ts"

/** Code points of stdout that are a script's context, and of stderr that a failure shows. */
export const contextLength = 2_000
/** The most of stdout that is searched for a flow output, from its end; bytes. */
export const flowOutputLimit = 8 * 1024 * 1024
/** A stdout of more bytes than this stays in a file that later steps may read (`prior_output_file`). */
export const largeOutputBytes = contextLength

export interface ProgramOutput {
  readonly flow: FlowOutput | undefined
  /** The beginning of stdout. */
  readonly head: string
  /** Where stdout is, when it is large. */
  readonly file: string | undefined
  readonly durationMs: number
}

/** A program to run for a call: what `Process` needs beside the log files. */
export type Program = Pick<Process.ProcessOptions, "command" | "cwd" | "env" | "stdin">

/** Runs the program of an attempt; exit ≠ 0, death by a signal and a start that fails are failures of the attempt. */
export const runProgram = (call: ActionCall, program: Program): Effect.Effect<ProgramOutput, ActionFailed> =>
  Effect.gen(function* () {
    const stdout = yield* call.logFile("stdout")
    const stderr = yield* call.logFile("stderr")
    const exit = yield* Process.run({ ...program, stdout, stderr, started: call.processStarted }).pipe(
      Effect.mapError((error) => new ActionFailed({ message: error.message }))
    )
    if (exit.code !== 0) return yield* failure(exit)
    const { text, whole } = yield* readable(LogFile.readEnd(stdout, flowOutputLimit))
    const { output, warnings } = parseFlowOutput(text)
    for (const warning of warnings) yield* call.warn(warning)
    const head = whole ? firstCharacters(text) : (yield* readable(LogFile.readHead(stdout, contextLength))).text
    const file = exit.stdout.bytes > largeOutputBytes ? stdout : undefined
    return { flow: output, head, file, durationMs: exit.durationMs }
  })

const failure = (exit: Process.ProcessExit): Effect.Effect<never, ActionFailed> =>
  Effect.gen(function* () {
    const end = exit.signal === null ? `exit code ${exit.code}` : `killed by signal ${exit.signal}`
    const shown = yield* readable(LogFile.readTrimmedTail(exit.stderr.file, contextLength))
    return yield* new ActionFailed({ message: shown === "" ? end : `${end}: ${shown}` })
  })

/** Without cutting a code point in two: there are at most twice as many code units. */
const firstCharacters = (text: string): string =>
  text.length <= contextLength
    ? text
    : Array.from(text.slice(0, contextLength * 2))
        .slice(0, contextLength)
        .join("")

const readable = <A>(read: Effect.Effect<A, Error>): Effect.Effect<A, ActionFailed> =>
  Effect.mapError(read, (error) => new ActionFailed({ message: `cannot read the output: ${error.message}` }))
