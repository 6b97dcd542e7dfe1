/**
 * The texts of `--help`.
 */
import type { Argument, Command, Option } from "./CommandLine.ts"
import { table } from "./Output.ts"

export const overview = (commands: ReadonlyArray<{ readonly name: string; readonly summary: string }>): string =>
  [
    "millrace: durable workflows, on SQLite, without a server",
    "",
    "Usage: millrace COMMAND [ARGUMENTS] [OPTIONS]",
    "",
    indented(table(commands.map(({ name, summary }) => [name, summary]))),
    "",
    "`millrace COMMAND --help` shows a command's arguments and options."
  ].join("\n")

export const ofCommand = (command: Command): string => {
  const parts = [command.summary, "", usage(command)]
  if (command.arguments.length > 0) parts.push("", indented(table(command.arguments.map(argumentRow))))
  if (command.options.length > 0) parts.push("", indented(table(command.options.map(optionRow))))
  if (command.notes.length > 0) parts.push("", ...command.notes)
  return parts.join("\n")
}

const usage = (command: Command): string =>
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

const argumentRow = (argument: Argument<unknown>): ReadonlyArray<string> => [shown(argument), argument.summary]

const optionRow = ({ name, value, repeats, summary }: Option<unknown>): ReadonlyArray<string> => [
  `--${name}${value === undefined ? "" : ` ${value}`}${repeats ? " …" : ""}`,
  summary
]

const indented = (text: string): string => text.replace(/^(?=.)/gm, "  ")
