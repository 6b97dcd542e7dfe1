/** `parse`: how a workflow is understood. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { WorkflowDefinition } from "../../workflow/Definition.ts"
import { hasErrors } from "../../workflow/Diagnostic.ts"
import { print } from "../../workflow/Printer.ts"
import { showDiagnostics } from "../Check.ts"
import { argument, defineCommand, flag } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { homeOption } from "../Home.ts"
import { write, writeLine } from "../Output.ts"
import { readSource } from "../Source.ts"

const encode = Schema.encodeSync(WorkflowDefinition)

export const command = defineCommand({
  name: "parse",
  summary: "Show how a workflow is understood, without comments and in the order of the language.",
  notes: ["It reads the one file only: what the workflow names is `validate`'s to check."],
  examples: [
    ["how a workflow is understood", "millrace parse deploy"],
    ["its definition, for a program", "millrace parse ./deploy.wf --json"],
    ["a text that is no file", "millrace parse - < deploy.wf"]
  ],
  arguments: { target: argument("FILE|NAME|-", "the workflow; `-` reads the standard input") },
  options: { json: flag("json", "print the definition as JSON"), home: homeOption },
  run: ({ target, json, home }) =>
    Effect.gen(function* () {
      const { parsed } = yield* readSource(target, home)
      showDiagnostics(parsed.diagnostics)
      if (parsed.definition === undefined || hasErrors(parsed.diagnostics)) return ExitCode.usage
      if (json) writeLine(JSON.stringify(encode(parsed.definition), undefined, 2))
      else write(print(parsed.definition))
      return ExitCode.done
    })
})
