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
import { commands, groups, otherNames } from "./Commands.ts"
import { ExitCode } from "./ExitCode.ts"
import { guardCommand } from "./Guard.ts"
import * as Help from "./Help.ts"
import { flushed, hasColor, isOutputLost, outliveReaders, paintFor, writeError, writeLine } from "./Output.ts"

declare const MILLRACE_VERSION: string

const completeCommand = "__complete"

export const main = async (words: ReadonlyArray<string>): Promise<void> => {
  outliveReaders()
  const done = guardCommand()
  const exit = await Effect.runPromiseExit(dispatch(words))
  const code = Exit.match(exit, { onFailure: report, onSuccess: (code) => code })
  await flushed()
  done()
  // What ignored its interruption may hold the process; its time is over.
  process.exit(code === ExitCode.done && isOutputLost() ? ExitCode.failed : code)
}

const dispatch = (words: ReadonlyArray<string>): Effect.Effect<ExitCode, AnyError> =>
  Effect.gen(function* () {
    const [name, ...rest] = words
    if (name === undefined) {
      writeError(Help.overview(commands, groups))
      return ExitCode.usage
    }
    if (name === "--version" || name === "-V") return say(MILLRACE_VERSION)
    if (isHelp(name) || (name === "help" && (rest[0] === undefined || isHelp(rest[0])))) {
      return say(Help.overview(commands, groups))
    }
    if (name === completeCommand) return yield* complete(rest)
    const wanted = name === "help" ? (rest[0] ?? "") : name
    const entry = commands.find((command) => command.name === wanted)
    if (entry === undefined) return yield* unknownCommand(wanted)
    const { command } = yield* Effect.promise(entry.load)
    if (name === "help" || asksForHelp(rest)) return say(Help.ofCommand(command))
    yield* whereUserStands
    return yield* Effect.flatten(command.parse(rest))
  })

/** Every path is meant from there. */
const whereUserStands: Effect.Effect<void, UsageError> = Effect.try({
  try: () => void process.cwd(),
  catch: () => new UsageError({ message: "the folder that you stand in is gone", hint: "`cd` to one that is there" })
})

/** Nobody types this: the scripts of `millrace completions` do. */
const complete = (words: ReadonlyArray<string>): Effect.Effect<ExitCode, AnyError> =>
  Effect.flatMap(
    Effect.promise(() => import("./Complete.ts")),
    ({ answer }) => answer(words)
  )

const say = (text: string): ExitCode => {
  writeLine(text)
  return ExitCode.done
}

const isHelp = (word: string): boolean => word === "--help" || word === "-h"

const asksForHelp = (words: ReadonlyArray<string>): boolean => {
  const end = words.indexOf("--")
  return words.slice(0, end === -1 ? words.length : end).some(isHelp)
}

/** Commands that a mistyped name may mean: those that begin with it, the one most like it, the one it is elsewhere. */
const namesNear = (name: string): ReadonlyArray<string> => {
  const names = commands.map((command) => command.name)
  const begun = name.length < 2 ? [] : names.filter((known) => known.startsWith(name))
  const near = [...begun, nearest(name, names), otherNames[name]].filter((known) => known !== undefined)
  return [...new Set(near)]
}

const unknownCommand = (name: string): UsageError => {
  const near = namesNear(name)
  return new UsageError({
    message: `there is no command '${name}'`,
    hint:
      near.length === 0
        ? `the commands: ${commands.map((command) => command.name).join(", ")}`
        : `did you mean ${near.map((known) => `'${known}'`).join(" or ")}?`
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
