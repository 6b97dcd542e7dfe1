/** `validate`: reports everything that is wrong with workflows. */
import * as Effect from "effect/Effect"
import type { Project } from "../../action/Project.ts"
import { shownPath } from "../../action/ProjectFiles.ts"
import { hasErrors } from "../../workflow/Diagnostic.ts"
import { summary } from "../../workflow/DiagnosticRenderer.ts"
import { check, expand, showDiagnostics } from "../Check.ts"
import { argumentsOf, defineCommand, flag } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { homeOption } from "../Home.ts"
import { inline, writeError, writeLine } from "../Output.ts"

export const command = defineCommand({
  name: "validate",
  summary: "Check workflows: their syntax, what they mean, and all that they name.",
  notes: [
    "Without an argument it checks all workflows of the project; of a directory, those in it.",
    "What the project's configuration says of workflows that is not so is a warning."
  ],
  examples: [
    ["all workflows of the project", "millrace validate"],
    ["some, and warnings count", "millrace validate deploy ./more --strict"]
  ],
  arguments: { targets: argumentsOf("FILE|NAME|DIR", "what to check") },
  options: { strict: flag("strict", "warnings are errors"), home: homeOption },
  run: ({ targets, strict, home }) =>
    Effect.gen(function* () {
      const names = yield* expand(targets, home)
      const projects = new Map<string, Project>()
      const valid = yield* Effect.forEach(names, (name) => validateOne(name, strict, home, projects))
      const problems = [...projects.values()].flatMap((project) => project.problems())
      for (const problem of problems) writeError(`${strict ? "error" : "warning"}: ${inline(problem)}`)
      return valid.every(Boolean) && !(strict && problems.length > 0) ? ExitCode.done : ExitCode.usage
    })
})

/** Adds the workflow's project, by its home folder, to those whose configurations are looked at. */
const validateOne = (
  name: string,
  strict: boolean,
  home: string | undefined,
  projects: Map<string, Project>
): Effect.Effect<boolean> =>
  check(name, { home, strict }).pipe(
    Effect.map(({ diagnostics, target }) => {
      projects.set(target.project.home, target.project)
      showDiagnostics(diagnostics)
      const found = summary(diagnostics)
      writeLine(`${shownPath(target.file)}: ${found === "" ? "valid" : found}`)
      return !hasErrors(diagnostics)
    }),
    // One that cannot be read does not keep the others from being checked.
    Effect.catchAll((error) =>
      Effect.sync(() => {
        writeError(`error: ${error.message}`)
        if ("hint" in error && error.hint !== undefined) writeError(`help: ${error.hint}`)
        return false
      })
    )
  )
