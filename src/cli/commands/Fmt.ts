/** `fmt`: lays out workflow files; comments and unknown options stay. */
import { realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { shownPath } from "../../action/ProjectFiles.ts"
import { hasErrors } from "../../workflow/Diagnostic.ts"
import { formatSource } from "../../workflow/Formatter.ts"
import { expand, showDiagnostics } from "../Check.ts"
import { CommandFailed } from "../CliError.ts"
import { argumentsOf, defineCommand, flag } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { homeOption } from "../Home.ts"
import { write, writeError, writeLine } from "../Output.ts"
import { readSource } from "../Source.ts"

export const command = defineCommand({
  name: "fmt",
  summary: "Lay out workflow files: indentation, blanks and empty lines.",
  notes: [
    "Without an argument it lays out all workflows of the project; of a directory, those in it.",
    "A file with errors is left as it is. `-` reads the standard input and prints the result."
  ],
  examples: [
    ["lay out all workflows of the project", "millrace fmt"],
    ["in CI: fail if one is not laid out", "millrace fmt --check workflows"],
    ["from an editor", "millrace fmt - < deploy.wf"]
  ],
  arguments: { targets: argumentsOf("FILE|NAME|DIR|-", "what to lay out") },
  options: {
    check: flag("check", "change nothing; name the files that would change and exit with 1"),
    home: homeOption
  },
  run: ({ targets, check, home }) =>
    Effect.gen(function* () {
      const names = yield* expand(targets, home)
      const outcomes = yield* Effect.forEach(names, (name) => formatOne(name, check, home))
      if (outcomes.includes("broken")) return ExitCode.usage
      return check && outcomes.includes("changed") ? ExitCode.failed : ExitCode.done
    })
})

type Outcome = "same" | "changed" | "broken"

const formatOne = (name: string, check: boolean, home: string | undefined): Effect.Effect<Outcome, CommandFailed> =>
  readSource(name, home).pipe(
    Effect.catchAll((error) =>
      Effect.sync(() => {
        writeError(error._tag === "InvalidWorkflow" ? error.rendered : `error: ${error.message}`)
        if (error._tag === "UsageError" && error.hint !== undefined) writeError(`help: ${error.hint}`)
        return undefined
      })
    ),
    Effect.flatMap((read) => {
      if (read === undefined) return Effect.succeed<Outcome>("broken")
      const { file, parsed } = read
      showDiagnostics(parsed.diagnostics.filter(({ severity }) => severity === "error"))
      const formatted = hasErrors(parsed.diagnostics) ? undefined : Either.getOrUndefined(formatSource(parsed.source))
      return formatted === undefined
        ? Effect.succeed<Outcome>("broken")
        : store(file, parsed.source.text, formatted, check)
    })
  )

const store = (
  file: string | undefined,
  before: string,
  after: string,
  check: boolean
): Effect.Effect<Outcome, CommandFailed> =>
  Effect.suspend(() => {
    if (file === undefined && !check) write(after)
    if (before === after) return Effect.succeed<Outcome>("same")
    if (check || file !== undefined) writeLine(file === undefined ? "<stdin>" : shownPath(file))
    return Effect.as(file === undefined || check ? Effect.void : replace(file, after), "changed" as const)
  })

/** As a whole or not at all; a link stays one, and the file keeps its mode. */
const replace = (file: string, text: string): Effect.Effect<void, CommandFailed> =>
  Effect.try({
    try: () => {
      const real = realpathSync(file)
      const fresh = `${real}.${process.pid}.tmp`
      try {
        writeFileSync(fresh, text, { mode: statSync(real).mode })
        renameSync(fresh, real)
      } finally {
        rmSync(fresh, { force: true })
      }
    },
    catch: (error) => new CommandFailed({ message: error instanceof Error ? error.message : String(error) })
  })
