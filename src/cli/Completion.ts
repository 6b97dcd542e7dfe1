/**
 * What may stand where the cursor is: commands, their options, and values, told by the names that the table of commands
 * gives them (`RUN`, `STATUS`, `FILE|NAME`). Where values come from: `CompletionSources`.
 */
import * as Effect from "effect/Effect"
import type { AnyError } from "./CliError.ts"
import type { Command, Option } from "./CommandLine.ts"
import { commands } from "./Commands.ts"
import type { Candidates, LineSoFar } from "./CompletionSources.ts"
import { cutAtEquals, readWords, type Word } from "./Words.ts"

/** `words`: those between the program's name and the cursor's word, which begins with `current`. */
export const complete = (words: ReadonlyArray<string>, current: string): Effect.Effect<Candidates, AnyError> =>
  Effect.gen(function* () {
    const [name, ...rest] = words
    if (name === undefined) return fitting([...commandNames(), ...programWords], current)
    if (name === "help") return rest.length === 0 ? fitting(commandNames(), current) : []
    const entry = commands.find((command) => command.name === name)
    if (entry === undefined) return []
    const { command } = yield* Effect.promise(entry.load)
    return yield* ofCommand(command, readWords(command.options, rest), current)
  })

/** Those that begin with what is typed; ids of runs are in upper case, and found in any. Options only if asked for. */
const fitting = (candidates: Candidates, typed: string): Candidates =>
  candidates.filter(
    ({ text }) =>
      (text.startsWith(typed) || text.startsWith(typed.toUpperCase())) && !(typed === "" && text.startsWith("--"))
  )

const commandNames = (): Candidates => commands.map(({ name, summary }) => ({ text: name, about: summary }))

const programWords: Candidates = [
  { text: "help", about: "Explain a command." },
  { text: "--help", about: "list the commands" },
  { text: "--version", about: "say which release this is" }
]

type Read = ReadonlyArray<Word<Option<unknown>>>

const ofCommand = (command: Command, read: Read, current: string): Effect.Effect<Candidates, AnyError> => {
  const isOver = read.some(({ _tag }) => _tag === "End")
  const last = read.at(-1)
  if (last?._tag === "Option" && last.option.value !== undefined && last.value === undefined) {
    return ofValue(command, last.option, read, current)
  }
  if (!isOver && current.startsWith("-")) return ofOptionWord(command, read, current)
  const given = read.filter(({ _tag }) => _tag === "Argument").length
  const argument = command.arguments[given] ?? command.arguments.findLast(({ repeats }) => repeats)
  if (argument === undefined) return Effect.succeed(isOver || current !== "" ? [] : optionsLeft(command, read))
  return valuesOf(command, argument.name, undefined, read, current)
}

/** `--na`, or `--name=va`. */
const ofOptionWord = (command: Command, read: Read, current: string): Effect.Effect<Candidates, AnyError> => {
  const [written, value] = cutAtEquals(current)
  if (value === undefined) return Effect.succeed(fitting(optionsLeft(command, read), current))
  const option = command.options.find(({ name }) => `--${name}` === written)
  if (option === undefined) return Effect.succeed([])
  return Effect.map(ofValue(command, option, read, value), (found) =>
    found.map(({ about, text }) => ({ text: `${written}=${text}`, about }))
  )
}

const ofValue = (
  command: Command,
  { name, value }: Option<unknown>,
  read: Read,
  typed: string
): Effect.Effect<Candidates, AnyError> =>
  value === undefined ? Effect.succeed([]) : valuesOf(command, value, name, read, typed)

/** Where values come from is only loaded when one is asked for. */
const valuesOf = (
  command: Command,
  value: string,
  option: string | undefined,
  read: Read,
  typed: string
): Effect.Effect<Candidates, AnyError> =>
  Effect.promise(() => import("./CompletionSources.ts")).pipe(
    Effect.flatMap(({ sourceOf }) => sourceOf(value, option)(lineOf(command, read), typed)),
    Effect.map((found) => fitting(found, typed))
  )

const optionsLeft = (command: Command, read: Read): Candidates => {
  const given = new Set(
    read.flatMap((word) => (word._tag === "Option" && !word.option.repeats ? [word.option.name] : []))
  )
  const left = command.options.filter(({ name }) => !given.has(name))
  return [
    ...left.map(({ name, summary }) => ({ text: `--${name}`, about: summary })),
    { text: "--help", about: "explain the command" }
  ]
}

const lineOf = (command: Command, read: Read): LineSoFar => {
  const given = (name: string) =>
    read.flatMap((word) =>
      word._tag === "Option" && word.option.name === name && word.value !== undefined ? [word.value] : []
    )
  return {
    command: command.name,
    arguments: read.flatMap((word) => (word._tag === "Argument" ? [word.text] : [])),
    has: (name) => read.some((word) => word._tag === "Option" && word.option.name === name),
    valuesOf: given,
    valueOf: (name) => given(name).at(-1)
  }
}
