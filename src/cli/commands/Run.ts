/** `run`: validates a workflow and runs it, or leaves that to a worker. */
import * as Effect from "effect/Effect"
import type { RunAlreadyExists } from "../../persistence/Persistence.ts"
import { EngineConfig } from "../../engine/EngineConfig.ts"
import { checkInputs, type StartOptions, WorkflowFiles } from "../../engine/interpreter/WorkflowFiles.ts"
import type { Texts } from "../../workflow/Definition.ts"
import { hasErrors } from "../../workflow/Diagnostic.ts"
import { durationHint, readDuration } from "../../workflow/Duration.ts"
import { check, showDiagnostics } from "../Check.ts"
import { CommandFailed, UsageError } from "../CliError.ts"
import { argument, defineCommand, flag, text, texts } from "../CommandLine.ts"
import { detach } from "../Detached.ts"
import { ExitCode } from "../ExitCode.ts"
import { follow } from "../Follow.ts"
import { howToShow } from "../Hints.ts"
import { contextOf, databaseOf, dbArgument, dbOption, homeOption, onWaitingOption } from "../Home.ts"
import { engineLayer, limitLayer, storeLayer } from "../Session.ts"

export const command = defineCommand({
  name: "run",
  summary: "Run a workflow.",
  notes: [
    "The workflow is validated first: nothing runs, and nothing is recorded, where it has errors.",
    "On a terminal a gate is asked right there; elsewhere the run is left waiting, and the exit code is 3.",
    "With --detach it only creates the run and prints its id: `millrace work` takes it up."
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
    timeout: text("timeout", "DURATION", "the longest time of the whole run, such as 90s or 2h; then it fails"),
    yes: flag("yes", "approve gates without asking, also after a resume"),
    detach: flag("detach", "only create the run, for a worker to take up, and print its id"),
    key: text("idempotency-key", "KEY", "there is at most one run of the workflow for a key"),
    onWaiting: onWaitingOption,
    db: dbOption,
    home: homeOption,
    json: flag("json", "print events as NDJSON, the result last")
  },
  run: ({ target: name, input, dryRun, timeout, yes, detach: isDetached, key, onWaiting, db, home, json }) =>
    Effect.gen(function* () {
      if (isDetached && onWaiting !== undefined) {
        const hint = "give it to `millrace work`, or write `onWaiting` into the configuration"
        return yield* new UsageError({ message: "--on-waiting is for the process that runs the run", hint })
      }
      if (key === "") return yield* new UsageError({ message: "the idempotency key is empty" })
      const inputs = yield* readInputs(input)
      const runTimeout = timeout === undefined ? null : yield* readTimeout(timeout)
      const { diagnostics, parsed, target } = yield* check(name, { home })
      showDiagnostics(diagnostics)
      const { definition } = parsed
      if (definition === undefined || hasErrors(diagnostics)) return ExitCode.usage
      yield* checkInputs(definition, inputs)
      const { project } = target
      const database = yield* databaseOf(project.home, db)
      const settings = { workingDirectory: process.cwd(), values: contextOf(target, yes), runTimeout }
      const options: StartOptions = { inputs, dryRun, settings, ...(key === undefined ? {} : { idempotencyKey: key }) }
      if (isDetached) {
        return yield* detach(definition, options, { json, database }).pipe(
          Effect.provide(EngineConfig.layerWith(project.config.engine)),
          Effect.provide(limitLayer(project)),
          Effect.provide(storeLayer(database))
        )
      }
      const begin = Effect.flatMap(WorkflowFiles, (files) => files.start(definition, options))
      return yield* follow(begin, { json, yes, database }).pipe(
        Effect.provide(engineLayer({ project, database, onWaiting })),
        Effect.catchTag("RunAlreadyExists", (error) => Effect.flip(alreadyExists(error, database))),
        Effect.provide(storeLayer(database))
      )
    })
})

const alreadyExists = ({ message, run }: RunAlreadyExists, database: string): Effect.Effect<CommandFailed> =>
  Effect.map(dbArgument(database), (db) => new CommandFailed({ message, hint: howToShow(run, db) }))

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

const readTimeout = (word: string): Effect.Effect<number, UsageError> => {
  const millis = readDuration(word)
  if (millis !== undefined && millis > 0 && millis <= Number.MAX_SAFE_INTEGER) return Effect.succeed(millis)
  return Effect.fail(new UsageError({ message: `--timeout needs a duration, not '${word}'`, hint: durationHint }))
}

const refuse = (message: string) => Effect.fail(new UsageError({ message }))
