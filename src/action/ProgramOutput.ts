/**
 * What a program's run means to its step: flow output, context, metadata, or why it failed
 * (spec/engine.md, "script"; spec/language.md, "Flow output").
 */
import { rm } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { type FlowOutput, parseFlowOutput } from "../workflow/FlowOutput.ts"
import type { Texts } from "../workflow/Definition.ts"
import { type ActionCall, ActionFailed, type ActionOutput } from "./Action.ts"
import { field, isObject } from "../workflow/Json.ts"
import type { Redactor } from "../workflow/Redactor.ts"
import * as LogFile from "./LogFile.ts"
import * as Process from "./Process.ts"
import { RunSecrets } from "./RunSecrets.ts"

/** Code points of stdout that are a script's context, and of stderr that a failure shows. */
export const contextLength = 2_000
/** The most of stdout that is searched for a flow output, from its end; bytes. */
export const flowOutputLimit = 8 * 1024 * 1024
/** A stdout of more bytes than this stays in a file that later steps may read (`prior_output_file`). */
export const largeOutputBytes = contextLength

/** Output tells of progress at most this often, in ms. */
const progressInterval = 100

export interface ProgramOutput {
  readonly flow: FlowOutput | undefined
  /** Why a flow output that is there was ignored. */
  readonly ignored: ReadonlyArray<string>
  /** The beginning of stdout. */
  readonly head: string
  /** Where stdout is, when it is large. */
  readonly file: string | undefined
  readonly durationMs: number
}

/** A program to run for a call: what `Process` needs beside the log files. */
export type Program = Pick<Process.ProcessOptions, "command" | "cwd" | "env" | "stdin">

/**
 * Runs the program of an attempt; exit ≠ 0, death by a signal and a start that fails are failures of the attempt. Where
 * the run has secrets, the logs are without them; the result is read from what was printed.
 */
export const runProgram = (call: ActionCall, program: Program): Effect.Effect<ProgramOutput, ActionFailed> =>
  Effect.flatMap(RunSecrets, ({ redactor }) => {
    if (redactor === undefined) return runAttempt(call, program)
    return Effect.flatMap(call.plainFile, (plain) =>
      Effect.onExit(runAttempt(call, program, { redactor, plain }), (exit) =>
        Exit.isSuccess(exit) && exit.value.file === plain ? Effect.void : removeFile(plain)
      )
    )
  })

interface Hiding {
  readonly redactor: Redactor
  readonly plain: string
}

const runAttempt = (call: ActionCall, program: Program, hiding?: Hiding): Effect.Effect<ProgramOutput, ActionFailed> =>
  Effect.gen(function* () {
    const log = yield* call.logFile("stdout")
    const stderr = yield* call.logFile("stderr")
    const onOutput = yield* progress(call)
    const options = { ...program, ...hiding, stdout: log, stderr, started: call.processStarted, onOutput }
    const exit = yield* Process.run(options).pipe(
      Effect.mapError((error) => new ActionFailed({ message: error.message }))
    )
    if (exit.code !== 0) return yield* failure(exit)
    const stdout = hiding?.plain ?? log
    const { text, whole } = yield* readable(LogFile.readEnd(stdout, flowOutputLimit))
    const { output, warnings } = parseFlowOutput(text)
    for (const warning of warnings) yield* call.warn(warning)
    const first = whole ? text : (yield* readable(LogFile.readHead(stdout, contextLength + 1))).text
    const head = firstCharacters(first)
    // Half of a secret would not be hidden.
    const uncut = head === first ? head : (hiding?.redactor.uncut(head) ?? head)
    const file = exit.stdout.bytes > largeOutputBytes ? stdout : undefined
    return { flow: output, ignored: warnings, head: uncut, file, durationMs: exit.durationMs }
  })

const removeFile = (file: string): Effect.Effect<void> => Effect.promise(() => rm(file, { force: true }))

/** What is printed is progress: a program that is not silent is alive. */
const progress = (call: ActionCall): Effect.Effect<() => void> =>
  Effect.map(Effect.runtime(), (runtime) => {
    let last = Number.NEGATIVE_INFINITY
    return () => {
      const now = performance.now()
      if (now - last < progressInterval) return
      last = now
      Runtime.runFork(runtime)(call.heartbeat())
    }
  })

/** The result of an action's or agent's program: without a flow output it has neither markers nor context. */
export const toActionOutput = (call: ActionCall, output: ProgramOutput): Effect.Effect<ActionOutput, ActionFailed> => {
  const { durationMs, file, flow, ignored } = output
  const common: ActionOutput = {
    ...(file === undefined ? {} : { outputFile: file }),
    metadata: { duration_ms: String(durationMs) }
  }
  if (flow === undefined) {
    // The next attempt is told what was wrong with the output, not only that there is none.
    return call.schema !== undefined && ignored.length > 0
      ? Effect.fail(new ActionFailed({ message: `its schema is '${call.schema.name}', but ${ignored.join("; ")}` }))
      : Effect.succeed(common)
  }
  const structured = { ...common, structuredOutput: flow.structured }
  // With a schema, markers and context come from it alone.
  if (call.schema !== undefined) return Effect.succeed(structured)
  const context = flow.context === undefined ? {} : { context: flow.context }
  return Effect.succeed({ ...structured, markers: flow.markers, ...context })
}

const usageNames = [
  "cost_usd",
  "num_turns",
  "duration_ms",
  "input_tokens",
  "output_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens"
] as const

/** The usage numbers that a flow output tells at its top, as metadata; numbers or texts. */
export const usageOf = (flow: FlowOutput | undefined): Texts => {
  const structured = flow?.structured
  if (!isObject(structured)) return {}
  const told = usageNames.flatMap((name) => {
    const value = field(structured, name)
    return typeof value === "number" || typeof value === "string" ? [[name, String(value)] as const] : []
  })
  return Object.fromEntries(told)
}

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
