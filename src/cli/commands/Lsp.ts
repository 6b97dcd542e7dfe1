/** `lsp`: the language server, for editors. */
import { serve } from "../../lsp/Server.ts"
import * as Effect from "effect/Effect"
import { defineCommand } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { contextNames, homeHere, homeOption, moduleOptions } from "../Home.ts"

declare const MILLRACE_VERSION: string

export const command = defineCommand({
  name: "lsp",
  summary: "Serve an editor: diagnostics, completion, hover, definitions and formatting, over stdin and stdout.",
  notes: [
    "An editor starts it; it speaks the Language Server Protocol. The grammar is editors/millrace.tmLanguage.json."
  ],
  examples: [
    ["what an editor starts for files that end in .wf", "millrace lsp"],
    ["for a project elsewhere", "millrace lsp --home ../shop/.millrace"]
  ],
  arguments: {},
  options: { home: homeOption },
  run: ({ home }) =>
    Effect.gen(function* () {
      // An editor shows what is said here; what the server finds out later it could only keep to itself.
      yield* homeHere(home)
      const code = yield* serve(process.stdin, process.stdout, {
        version: MILLRACE_VERSION,
        modules: moduleOptions,
        contextNames: Object.values(contextNames),
        ...(home === undefined ? {} : { home })
      })
      return code === 0 ? ExitCode.done : ExitCode.failed
    })
})
