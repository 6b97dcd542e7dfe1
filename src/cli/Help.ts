/**
 * The texts of `--help`. What is beside a name is laid out in the columns that there are; without a terminal it is not
 * broken.
 */
import type { Argument, Command, Example, Option } from "./CommandLine.ts"
import { columnsOf, inColumns, wrapped } from "./Output.ts"

interface Summarized {
  readonly name: string
  readonly summary: string
}

export const overviewExamples: ReadonlyArray<Example> = [
  ["a project with a small example, and a run of it", "millrace init demo && cd demo && millrace run hello"],
  ["what a command takes, with examples", "millrace run --help"]
]

/** `groups`: the names of the commands by what they are for. */
export const overview = (
  commands: ReadonlyArray<Summarized>,
  groups: ReadonlyArray<readonly [title: string, names: ReadonlyArray<string>]>
): string => {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const sections = groups.flatMap(([title, names]) => {
    const rows = names.flatMap((wanted) => commands.filter(({ name }) => name === wanted))
    return ["", `${title}:`, listing(rows.map(({ name, summary }) => [name.padEnd(width), summary]))]
  })
  return [
    "millrace: durable workflows, on SQLite, without a server",
    "",
    "Usage: millrace COMMAND [ARGUMENTS] [OPTIONS]",
    ...sections,
    "",
    "Examples:",
    ...examples(overviewExamples)
  ].join("\n")
}

export const ofCommand = (command: Command): string => {
  const parts = [...broken(command.summary), "", usage(command)]
  if (command.arguments.length > 0) parts.push("", listing(command.arguments.map(argumentRow)))
  if (command.options.length > 0) parts.push("", listing(command.options.map(optionRow)))
  if (command.notes.length > 0) parts.push("", ...command.notes.flatMap((note) => broken(note)))
  if (command.examples.length > 0) parts.push("", "Examples:", ...examples(command.examples))
  return parts.join("\n")
}

const examples = (lines: ReadonlyArray<Example>): ReadonlyArray<string> =>
  lines.flatMap(([does, line]) => ["", ...broken(does, 4).map((part) => `  # ${part}`), `  ${line}`]).slice(1)

export const usage = (command: Command): string =>
  [
    "Usage: millrace",
    command.name,
    ...command.arguments.map(shown),
    ...(command.options.length > 0 ? ["[OPTIONS]"] : [])
  ].join(" ")

const shown = ({ name, needed, repeats }: Argument<unknown>): string => {
  const one = repeats ? `${name}…` : name
  return needed ? one : `[${one}]`
}

const argumentRow = (argument: Argument<unknown>): readonly [string, string] => [shown(argument), argument.summary]

const optionRow = ({ name, value, repeats, summary }: Option<unknown>): readonly [string, string] => [
  `--${name}${value === undefined ? "" : ` ${value}`}${repeats ? " …" : ""}`,
  summary
]

/** In lines; `indent` columns in front of each are somebody else's. */
const broken = (text: string, indent = 0): ReadonlyArray<string> =>
  wrapped(text, (columnsOf(process.stdout) ?? Infinity) - indent)

const listing = (rows: ReadonlyArray<readonly [string, string]>): string => inColumns(rows, columnsOf(process.stdout))
