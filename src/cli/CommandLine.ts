/**
 * Commands as data, and their arguments read by `@effect/cli`.
 *
 * `@effect/cli` wants options in front of arguments and takes any word behind an option for its value; users write
 * them in any order and mistype them. So the words are brought into order first, and what is wrong is said here.
 */
import * as Args from "@effect/cli/Args"
import * as CliConfig from "@effect/cli/CliConfig"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { nearest } from "../workflow/Suggest.ts"
import { type AnyError, UsageError } from "./CliError.ts"
import type { ExitCode } from "./ExitCode.ts"
import { unpainted } from "./Output.ts"
import { readWords } from "./Words.ts"

export interface Option<A> {
  readonly name: string
  /** How its value is called in the help; undefined: it takes none. */
  readonly value: string | undefined
  readonly repeats: boolean
  /** Whether its value is any text, which is passed on encoded; else it is a whole number. */
  readonly isText: boolean
  readonly summary: string
  readonly options: Options.Options<A>
}

export const flag = (name: string, summary: string): Option<boolean> => ({
  name,
  value: undefined,
  repeats: false,
  isText: false,
  summary,
  options: Options.boolean(name)
})

/** `@effect/cli` trims what it reads; texts go through it encoded, and arrive byte for byte. */
const wrap = (word: string): string => encodeURIComponent(word)
const unwrap = (word: string): string => decodeURIComponent(word)

export const text = (name: string, value: string, summary: string): Option<string | undefined> => ({
  name,
  value,
  repeats: false,
  isText: true,
  summary,
  options: Options.text(name).pipe(Options.map(unwrap), Options.withDefault(undefined))
})

export const texts = (name: string, value: string, summary: string): Option<ReadonlyArray<string>> => ({
  name,
  value,
  repeats: true,
  isText: true,
  summary,
  options: Options.repeated(Options.text(name)).pipe(Options.map((words) => words.map(unwrap)))
})

export const integer = <A extends number | undefined>(
  name: string,
  value: string,
  summary: string,
  otherwise: A
): Option<number | A> => ({
  name,
  value,
  repeats: false,
  isText: false,
  summary,
  options: Options.integer(name).pipe(Options.withDefault(otherwise))
})

export interface Argument<A> {
  readonly name: string
  readonly needed: boolean
  readonly repeats: boolean
  readonly summary: string
  readonly args: Args.Args<A>
}

export const argument = (name: string, summary: string): Argument<string> => ({
  name,
  needed: true,
  repeats: false,
  summary,
  args: Args.text({ name }).pipe(Args.map(unwrap))
})

export const optionalArgument = (name: string, summary: string): Argument<string | undefined> => ({
  name,
  needed: false,
  repeats: false,
  summary,
  args: Args.text({ name }).pipe(Args.map(unwrap), Args.withDefault(undefined))
})

export const argumentsOf = (name: string, summary: string): Argument<ReadonlyArray<string>> => ({
  name,
  needed: false,
  repeats: true,
  summary,
  args: Args.repeated(Args.text({ name })).pipe(Args.map((words) => words.map(unwrap)))
})

type OptionSet = Readonly<Record<string, Option<unknown>>>
type ArgumentSet = Readonly<Record<string, Argument<unknown>>>

type ValuesOf<O extends OptionSet, A extends ArgumentSet> = {
  readonly [K in keyof O]: O[K] extends Option<infer V> ? V : never
} & { readonly [K in keyof A]: A[K] extends Argument<infer V> ? V : never }

/** What a line that a user could type does, and the line. */
export type Example = readonly [does: string, line: string]

export interface Command {
  readonly name: string
  readonly summary: string
  /** What the help says below the options. */
  readonly notes: ReadonlyArray<string>
  /** What the help ends with; a test reads each of them as the program would. */
  readonly examples: ReadonlyArray<Example>
  readonly options: ReadonlyArray<Option<unknown>>
  readonly arguments: ReadonlyArray<Argument<unknown>>
  /** Reads the words behind the command's name; the effect does what they ask for. */
  readonly parse: (words: ReadonlyArray<string>) => Effect.Effect<Effect.Effect<ExitCode, AnyError>, UsageError>
}

export const defineCommand = <O extends OptionSet, A extends ArgumentSet>(definition: {
  readonly name: string
  readonly summary: string
  readonly notes?: ReadonlyArray<string>
  readonly examples: ReadonlyArray<Example>
  readonly options: O
  readonly arguments: A
  readonly run: (values: ValuesOf<O, A>) => Effect.Effect<ExitCode, AnyError>
}): Command => {
  const { name, summary, notes = [], examples, run } = definition
  const options = Object.values(definition.options)
  const taken = Object.values(definition.arguments)
  return {
    name,
    summary,
    notes,
    examples,
    options,
    arguments: taken,
    parse: (words) =>
      Effect.flatMap(inOrder(name, options, taken, words), (ordered) =>
        Effect.map(valuesIn(definition, ordered), (values) =>
          // SAFETY: both records have a value of the declared type for each of their keys.
          Effect.suspend(() => run(values as ValuesOf<O, A>))
        )
      )
  }
}

/** Behind a forgotten `--input` there may be a secret. */
const withoutValue = (word: string): string => word.replace(/=.*$/s, "=…")

interface Declared {
  readonly name: string
  readonly options: OptionSet
  readonly arguments: ArgumentSet
}

/** What `@effect/cli` makes of words that are in order: a value for each option and argument. */
const valuesIn = (
  { arguments: args, name, options }: Declared,
  words: ReadonlyArray<string>
): Effect.Effect<Readonly<Record<string, unknown>>, UsageError> => {
  const descriptor = CommandDescriptor.make(name, optionsIn(options), argumentsIn(args))
  return CommandDescriptor.parse(descriptor, [name, ...words], CliConfig.defaultConfig).pipe(
    Effect.provide(platform),
    Effect.mapError((error) => usageError(name, plainText(error.error))),
    Effect.map((directive) =>
      directive._tag === "UserDefined" ? { ...directive.value.options, ...directive.value.args } : {}
    )
  )
}

/** `Options.all` and `Args.all` cannot be given none. */
const optionsIn = (set: OptionSet): Options.Options<Record<string, unknown>> =>
  Object.keys(set).length === 0
    ? Options.map(Options.none, () => ({}))
    : Options.all(mapValues(set, (option) => option.options))

const argumentsIn = (set: ArgumentSet): Args.Args<Record<string, unknown>> =>
  Object.keys(set).length === 0
    ? Args.map(Args.none, () => ({}))
    : Args.all(mapValues(set, (argument) => argument.args))

/** What `@effect/cli` wants for kinds of arguments that are not used here. */
const platform = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer)

const mapValues = <V, W>(record: Readonly<Record<string, V>>, map: (value: V) => W): Record<string, W> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))

const plainText = (doc: HelpDoc.HelpDoc): string => {
  const plain = unpainted(HelpDoc.toAnsiText(doc)).trim()
  return plain.charAt(0).toLowerCase() + plain.slice(1)
}

const usageError = (command: string, message: string): UsageError =>
  new UsageError({ message, hint: `\`millrace ${command} --help\` shows its usage` })

/** The words with the options in front, each followed by its value; or what is wrong with them. */
const inOrder = (
  command: string,
  options: ReadonlyArray<Option<unknown>>,
  taken: ReadonlyArray<Argument<unknown>>,
  words: ReadonlyArray<string>
): Either.Either<ReadonlyArray<string>, UsageError> => {
  const front: Array<string> = []
  const back: Array<string> = []
  const seen = new Set<string>()
  const refuse = (message: string) => Either.left(usageError(command, message))
  for (const word of readWords(options, words)) {
    if (word._tag === "Argument") back.push(word.text)
    if (word._tag === "UnknownOption") return Either.left(unknownOption(command, options, word.written))
    if (word._tag !== "Option") continue
    const { option, value, written } = word
    if (seen.has(option.name) && !option.repeats) return refuse(`the option ${written} is given twice`)
    seen.add(option.name)
    front.push(written)
    if (option.value === undefined) {
      if (value !== undefined) return refuse(`the option ${written} takes no value`)
      continue
    }
    if (value === undefined) return refuse(`the option ${written} needs a value: ${written} ${option.value}`)
    if (!option.isText && !isWhole(value)) return refuse(`the option ${written} needs a whole number, not '${value}'`)
    front.push(option.isText ? wrap(value) : value)
  }
  const missing = taken.find(({ needed }, at) => needed && at >= back.length)
  if (missing !== undefined) return refuse(`\`millrace ${command}\` needs ${missing.name}: ${missing.summary}`)
  const extra = taken.some(({ repeats }) => repeats) ? undefined : back[taken.length]
  if (extra !== undefined) return refuse(`there is an argument too many: '${withoutValue(extra)}'`)
  return Either.right([...front, ...back.map(wrap)])
}

/** One that this program can count with: what is larger would be refused later, in words of another library. */
const isWhole = (value: string): boolean => /^[-+]?\d+$/.test(value) && Number.isSafeInteger(Number(value))

const unknownOption = (command: string, options: ReadonlyArray<Option<unknown>>, written: string): UsageError => {
  const names = [...options.map(({ name }) => `--${name}`), "--help"]
  const close = nearest(written, names)
  const message = `\`millrace ${command}\` has no option ${written}`
  return new UsageError({
    message,
    hint: close === undefined ? `its options: ${names.join(", ")}` : `did you mean ${close}?`
  })
}
