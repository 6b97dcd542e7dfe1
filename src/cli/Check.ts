/**
 * Reading a workflow that a user names and finding all that is wrong with it, before anything of it runs.
 */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { isFolder } from "../action/FileKind.ts"
import type { ConfigInvalid, HomeUnavailable, Target } from "../action/Project.ts"
import { type FileUnreadable, readWorkflow, shownPath } from "../action/ProjectFiles.ts"
import type { WorkflowUnavailable } from "../action/Resolvers.ts"
import { type Diagnostic, sort } from "../workflow/Diagnostic.ts"
import { renderAll } from "../workflow/DiagnosticRenderer.ts"
import type { ParsedFile } from "../workflow/Parser.ts"
import { nearest } from "../workflow/Suggest.ts"
import { validate } from "../workflow/Validator.ts"
import { UsageError } from "./CliError.ts"
import { contextNames, locate, openProject } from "./Home.ts"
import { hasColor, writeError } from "./Output.ts"

export interface Checked {
  readonly target: Target
  readonly parsed: ParsedFile
  readonly diagnostics: ReadonlyArray<Diagnostic>
}

export interface CheckOptions {
  readonly home: string | undefined
  /** Warnings are errors. */
  readonly strict?: boolean
}

/** There is no such workflow, or its project cannot be opened. */
export type NotLocated = HomeUnavailable | ConfigInvalid | UsageError

/** Parses and validates; fails only where there is nothing to parse. */
export const check = (name: string, options: CheckOptions): Effect.Effect<Checked, NotLocated | FileUnreadable> =>
  Effect.gen(function* () {
    const target = yield* locateWorkflow(name, options.home)
    const parsed = yield* Effect.suspend(() => readWorkflow(target.file))
    const host = target.project.host({
      workingDirectory: process.cwd(),
      contextNames: Object.values(contextNames)
    })
    const found = sort([...parsed.diagnostics, ...validate(parsed, host)])
    const diagnostics =
      options.strict === true ? found.map((diagnostic) => ({ ...diagnostic, severity: "error" as const })) : found
    return { target, parsed, diagnostics }
  })

export const locateWorkflow = (name: string, home: string | undefined): Effect.Effect<Target, NotLocated> =>
  Effect.catchTag(locate(name, home), "WorkflowUnavailable", (error) => Effect.fail(notFound(error)))

const notFound = (error: WorkflowUnavailable): UsageError => {
  const close = nearest(error.workflow, error.candidates)
  const here = `${error.workflow}.wf`
  const hint = existsSync(here)
    ? `a name stands for a file in the home folder's workflows/; for the file here write '${here}'`
    : close !== undefined
      ? `did you mean '${close}'?`
      : error.candidates.length > 0
        ? `the workflows here: ${error.candidates.join(", ")}`
        : "give a workflow's file, or its name in the home folder's workflows/"
  return new UsageError({ message: `no workflow '${error.workflow}': ${error.reason}`, hint })
}

/** Diagnostics go to the error stream, warnings too. */
export const showDiagnostics = (diagnostics: ReadonlyArray<Diagnostic>): void => {
  if (diagnostics.length > 0) writeError(`${renderAll(diagnostics, { color: hasColor(process.stderr) })}\n`)
}

/**
 * What the words of a command stand for: a directory for the workflow files in it (and in its `workflows/`), nothing
 * for all workflows of the project.
 */
export const expand = (
  words: ReadonlyArray<string>,
  home: string | undefined
): Effect.Effect<ReadonlyArray<string>, NotLocated> =>
  Effect.gen(function* () {
    if (words.length === 0) {
      const project = yield* openProject(home)
      const files = project.list().map(({ file }) => file)
      if (files.length > 0) return files
      return yield* new UsageError({ message: `there are no workflows in ${shownPath(project.home)}` })
    }
    const expanded = yield* Effect.forEach(words, (word) => (isFolder(word) ? inFolder(word) : Effect.succeed([word])))
    return expanded.flat()
  })

const inFolder = (folder: string): Effect.Effect<ReadonlyArray<string>, UsageError> =>
  Effect.suspend(() => {
    const files = Either.try({
      try: () => [folder, join(folder, "workflows")].filter(isFolder).flatMap(workflowFilesIn),
      catch: (error) => new UsageError({ message: error instanceof Error ? error.message : String(error) })
    })
    const none = () => new UsageError({ message: `there are no workflows in ${folder}` })
    return Either.filterOrLeft(files, (found) => found.length > 0, none)
  })

const workflowFilesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder)
    .filter((entry) => entry.endsWith(".wf"))
    .sort()
    .map((entry) => join(folder, entry))
