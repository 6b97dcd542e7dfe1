/** `init`: a project with a small example. */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { dirname, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Project from "../../action/Project.ts"
import { shownPath } from "../../action/ProjectFiles.ts"
import { CommandFailed, UsageError } from "../CliError.ts"
import { defineCommand, optionalArgument } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { isCheckout, program } from "../Hints.ts"
import { columnsOf, inColumns, quoted, writeLine } from "../Output.ts"
import { type TemplateFile, templateFiles, workflowName } from "../ProjectTemplate.ts"

export const command = defineCommand({
  name: "init",
  summary: "Make a project with a small working example.",
  notes: [
    "DIR becomes the home folder of a project; without it the folder where you stand does.",
    "No file is overwritten. Where a file of the example is there already, nothing is written."
  ],
  examples: [
    ["in a folder of its own", "millrace init demo"],
    ["beside the sources of a project, where its commands find it", "millrace init .millrace"]
  ],
  arguments: { folder: optionalArgument("DIR", "where; it is made if it is not there") },
  options: {},
  run: ({ folder = "." }) =>
    Effect.gen(function* () {
      const at = resolve(folder)
      yield* checkFolder(at)
      const files = templateFiles()
      const there = yield* attempt(() => files.filter(({ path }) => exists(join(at, path))))
      const made = files.filter((file) => !there.includes(file))
      const inTheWay = there.filter(({ lacks }) => lacks === undefined)
      if (inTheWay.length > 0) return yield* refusal(at, inTheWay)
      const kept = yield* attempt(() =>
        there.map((file) => [file.path, file.lacks?.(textOf(join(at, file.path))) ?? ""] as const)
      )
      yield* writeAll(at, made)
      writeLine(`a project in ${shownPath(at)}:`)
      writeListing(made.map(({ path, about }) => [path, about]))
      if (kept.length > 0) writeLine("there already, and left as they are:")
      writeListing(kept)
      writeLine("next:")
      for (const line of yield* nextCommands(at)) writeLine(`  ${line}`)
      return ExitCode.done
    })
})

const writeListing = (rows: ReadonlyArray<readonly [string, string]>): void => {
  if (rows.length > 0) writeLine(`${inColumns(rows, columnsOf(process.stdout))}\n`)
}

/** Anything counts, also a link that leads nowhere. Below a file there is nothing: making a folder there says so. */
const exists = (path: string): boolean =>
  statSync(dirname(path), { throwIfNoEntry: false })?.isFile() !== true &&
  lstatSync(path, { throwIfNoEntry: false }) !== undefined

const checkFolder = (at: string): Effect.Effect<void, UsageError | CommandFailed> =>
  Effect.flatMap(
    attempt(() => statSync(at, { throwIfNoEntry: false })),
    (stat) =>
      stat === undefined || stat.isDirectory()
        ? Effect.void
        : Effect.fail(new UsageError({ message: `${shownPath(at)} is a file, not a folder` }))
  )

const refusal = (at: string, files: ReadonlyArray<TemplateFile>): CommandFailed =>
  new CommandFailed({
    message: `${files.map(({ path }) => shownPath(join(at, path))).join(" and ")} ${files.length === 1 ? "is" : "are"} there already; nothing was written`,
    hint: `another folder can have the example: ${program()} init DIR`
  })

const attempt = <A>(run: () => A): Effect.Effect<A, CommandFailed> =>
  Effect.try({ try: run, catch: (error) => new CommandFailed({ message: messageOf(error) }) })

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** All of them or none: what was made is taken away again when one cannot be written. */
const writeAll = (at: string, files: ReadonlyArray<TemplateFile>): Effect.Effect<void, CommandFailed> => {
  const undo: Array<() => void> = []
  const makeFolder = (folder: string): void => {
    if (exists(folder)) return
    makeFolder(dirname(folder))
    mkdirSync(folder)
    undo.push(() => rmdirSync(folder))
  }
  return Effect.try({
    try: () => {
      for (const { path, text } of files) {
        const file = join(at, path)
        makeFolder(dirname(file))
        // Whoever made it meanwhile keeps it.
        const handle = openSync(file, "wx")
        undo.push(() => unlinkSync(file))
        try {
          writeFileSync(handle, text)
        } finally {
          closeSync(handle)
        }
      }
    },
    catch: (error) =>
      new CommandFailed({ message: `the project cannot be written: ${messageOf(error)}${takenBack(undo)}` })
  })
}

const takenBack = (undo: ReadonlyArray<() => void>): string => {
  try {
    for (const step of undo.toReversed()) step()
    return "; nothing of it was left"
  } catch (error) {
    return `; what was written before is left: ${messageOf(error)}`
  }
}

/** What is no file has no text. */
const textOf = (file: string): string =>
  statSync(file, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(file, "utf8") : ""

/** What to type now, where the user stands. */
const nextCommands = (at: string): Effect.Effect<ReadonlyArray<string>, CommandFailed> =>
  Effect.gen(function* () {
    const home = yield* attempt(() => realpathSync(at))
    const isFoundFrom = (folder: string) =>
      Effect.match(Project.findHome({ from: folder }), { onFailure: () => false, onSuccess: (found) => found === home })
    const run = `${program()} run ${workflowName} --input who=you`
    if (yield* isFoundFrom(process.cwd())) return [run]
    // The script of a checkout is only found in the checkout.
    if (isCheckout()) return [`${run} --home ${quoted(shownPath(at))}`]
    const go = `cd ${quoted(shownPath(at))}`
    return (yield* isFoundFrom(at)) ? [go, run] : [go, `${run} --home .`]
  })
