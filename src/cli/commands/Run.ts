/** `run`: validates a workflow and runs it. */
import * as Effect from "effect/Effect"
import { checkInputs, WorkflowFiles } from "../../engine/interpreter/WorkflowFiles.ts"
import type { Texts } from "../../workflow/Definition.ts"
import { hasErrors } from "../../workflow/Diagnostic.ts"
import { check, showDiagnostics } from "../Check.ts"
import { UsageError } from "../CliError.ts"
import { argument, defineCommand, flag, texts } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { follow } from "../Follow.ts"
import { contextOf, databaseOf, dbOption, homeOption } from "../Home.ts"
import { engineLayer, storeLayer } from "../Session.ts"

export const command = defineCommand({
  name: "run",
  summary: "Run a workflow.",
  notes: [
    "The workflow is validated first: nothing runs, and nothing is recorded, where it has errors.",
    "On a terminal a gate is asked right there; elsewhere the run is left waiting, and the exit code is 3."
  ],
  examples: [
    ["a workflow of the project, with inputs", "millrace run deploy --input branch=main --input notify=ops"],
    ["a file, without running its scripts", "millrace run ./deploy.wf --dry-run"],
    ["unattended, its events for a program", "millrace run deploy --yes --json > events.ndjson"]
  ],
  arguments: { target: argument("FILE|NAME", "the workflow: a file, or the name of one of the project") },
  options: {
    input: texts("input", "NAME=VALUE", "an input of the workflow"),
    dryRun: flag("dry-run", "run no scripts, approve all gates, and tell actions that it is a dry run"),
    yes: flag("yes", "approve gates without asking, also after a resume"),
    db: dbOption,
    home: homeOption,
    json: flag("json", "print events as NDJSON, the result last")
  },
  run: ({ target: name, input, dryRun, yes, db, home, json }) =>
    Effect.gen(function* () {
      const inputs = yield* readInputs(input)
      const { diagnostics, parsed, target } = yield* check(name, { home })
      showDiagnostics(diagnostics)
      const { definition } = parsed
      if (definition === undefined || hasErrors(diagnostics)) return ExitCode.usage
      yield* checkInputs(definition, inputs)
      const database = databaseOf(target.project.home, db)
      const settings = { workingDirectory: process.cwd(), values: contextOf(target, yes) }
      const begin = Effect.flatMap(WorkflowFiles, (files) => files.start(definition, { inputs, dryRun, settings }))
      return yield* follow(begin, { json, yes, database }).pipe(
        Effect.provide(engineLayer(target.project)),
        Effect.provide(storeLayer(database))
      )
    })
})

const readInputs = (words: ReadonlyArray<string>): Effect.Effect<Texts, UsageError> =>
  Effect.suspend(() => {
    const inputs = new Map<string, string>()
    for (const word of words) {
      const equals = word.indexOf("=")
      // Not cited: a value whose name was forgotten may be a secret.
      if (equals <= 0) return refuse(`--input needs NAME=VALUE; number ${words.indexOf(word) + 1} has no name`)
      const name = word.slice(0, equals)
      if (inputs.has(name)) return refuse(`the input '${name}' is given twice`)
      inputs.set(name, word.slice(equals + 1))
    }
    return Effect.succeed(Object.fromEntries(inputs))
  })

const refuse = (message: string) => Effect.fail(new UsageError({ message }))
