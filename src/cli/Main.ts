/**
 * From the words of the command line to the exit code. The only place that ends the process in the ordinary way, and,
 * with the step boundary of the engine, the only one that looks at defects: no stack trace reaches a user.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { escapeText } from "../workflow/TerminalText.ts"
import { nearest } from "../workflow/Suggest.ts"
import { type AnyError, exitCodeOf, UsageError } from "./CliError.ts"
import { commands } from "./Commands.ts"
import { ExitCode } from "./ExitCode.ts"
import * as Help from "./Help.ts"
import { outliveReaders, flushed, hasColor, paintFor, writeError, writeLine } from "./Output.ts"

declare const MILLRACE_VERSION: string

export const main = async (words: ReadonlyArray<string>): Promise<void> => {
  outliveReaders()
  const exit = await Effect.runPromiseExit(dispatch(words))
  const code = Exit.match(exit, { onFailure: report, onSuccess: (code) => code })
  await flushed()
  // What ignored its interruption may hold the process; its time is over.
  process.exit(code)
}

const dispatch = (words: ReadonlyArray<string>): Effect.Effect<ExitCode, AnyError> =>
  Effect.gen(function* () {
    const [name, ...rest] = words
    if (name === undefined) {
      writeError(Help.overview(commands))
      return ExitCode.usage
    }
    if (name === "--version" || name === "-V") return say(MILLRACE_VERSION)
    if (isHelp(name) || (name === "help" && rest.length === 0)) return say(Help.overview(commands))
    const wanted = name === "help" ? (rest[0] ?? "") : name
    const entry = commands.find((command) => command.name === wanted)
    if (entry === undefined) return yield* unknownCommand(wanted)
    const { command } = yield* Effect.promise(entry.load)
    if (name === "help" || asksForHelp(rest)) return say(Help.ofCommand(command))
    return yield* Effect.flatten(command.parse(rest))
  })

const say = (text: string): ExitCode => {
  writeLine(text)
  return ExitCode.done
}

const isHelp = (word: string): boolean => word === "--help" || word === "-h"

const asksForHelp = (words: ReadonlyArray<string>): boolean => {
  const end = words.indexOf("--")
  return words.slice(0, end === -1 ? words.length : end).some(isHelp)
}

const unknownCommand = (name: string): UsageError => {
  const names = commands.map((command) => command.name)
  const close = nearest(name, names)
  return new UsageError({
    message: `there is no command '${name}'`,
    hint: close === undefined ? `the commands: ${names.join(", ")}` : `did you mean '${close}'?`
  })
}

const report = (cause: Cause.Cause<AnyError>): ExitCode => {
  const paint = paintFor(hasColor(process.stderr))
  const failure = Cause.failureOption(cause)
  const error: AnyError = failure._tag === "Some" ? failure.value : unexpected(cause)
  writeError(`${paint("red", "error")}: ${escapeText(error.message)}`)
  if (error.hint !== undefined) writeError(`${paint("blue", "help")}: ${escapeText(error.hint)}`)
  return exitCodeOf(error)
}

const unexpected = (cause: Cause.Cause<never> | Cause.Cause<AnyError>): AnyError => {
  if (Cause.isInterruptedOnly(cause)) return { _tag: "Interrupted", message: "interrupted" }
  const defect = Cause.squash(cause)
  const detail = defect instanceof Error ? defect.message : String(defect)
  return { _tag: "Unexpected", message: `this should not have happened: ${detail}`, hint: "please report it" }
}
