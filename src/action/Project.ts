/**
 * A project on disk: a home folder with `workflows/<name>.wf`, `actions/`, `schemas/` and `prompts/`, and for a
 * workflow given by its path the same beside that file (spec/language.md, "Semantic validation", "Output schemas").
 *
 * Owns: what a project offers to a run and to the validator. Which file a name means: `ProjectPlaces`; how files are
 * read: `ProjectFiles`. Files are looked up when they are asked for, so that a long-lived process sees new ones.
 */
import { existsSync, realpathSync, statSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { WorkflowDefinition } from "../workflow/Definition.ts"
import { type Diagnostic, hasErrors } from "../workflow/Diagnostic.ts"
import type { ParsedFile } from "../workflow/Parser.ts"
import { toProblems } from "../workflow/InvalidWorkflow.ts"
import type { OutputSchema } from "../workflow/OutputSchema.ts"
import type { Host } from "../workflow/ValidatorHost.ts"
import { ActionNotFound, Executors, type Executor } from "./Action.ts"
import { executableAction } from "./ExecutableAction.ts"
import { moduleAction } from "./ModuleAction.ts"
import { makeLoader, type ModuleOptions } from "./ModuleLoader.ts"
import type * as Files from "./ProjectFiles.ts"
import { type HostOptions, makeHost } from "./ProjectHost.ts"
import { type Lookup, makeLookup, shownPaths } from "./ProjectLookup.ts"
import * as Places from "./ProjectPlaces.ts"
import { SchemaResolver, SchemaUnavailable, WorkflowResolver, WorkflowUnavailable } from "./Resolvers.ts"

/** The name of a home folder that is looked for upwards. */
export const homeName = ".millrace"

export interface ProjectOptions {
  /** The home folder; absent: the nearest `.millrace` at or above `from`, else `from` itself. */
  readonly home?: string
  /** The folder below which paths of actions and schemas stand; absent: that of `.millrace`, else the home itself. */
  readonly root?: string
  /** The folder of a workflow file given by its path, or where the user stands. */
  readonly from: string
  /** Whether `from` holds a workflow file whose siblings are workflows of the project too. */
  readonly siblings?: boolean
  readonly modules?: ModuleOptions
}

/** A workflow file that a listing found, with what is wrong with it. */
export interface ListedWorkflow {
  readonly name: string
  readonly file: string
  readonly parsed: Either.Either<ParsedFile, Files.FileUnreadable>
}

export interface Project {
  readonly home: string
  readonly root: string
  /** The folders searched for scripts behind the working directory, and for actions and schemas given by path. */
  readonly roots: ReadonlyArray<string>
  /** All workflows by name; a broken file is listed like any other. */
  readonly list: () => ReadonlyArray<ListedWorkflow>
  readonly host: (options: HostOptions) => Host
  readonly executors: Context.Tag.Service<typeof Executors>
  readonly workflows: Context.Tag.Service<typeof WorkflowResolver>
  readonly schemas: Context.Tag.Service<typeof SchemaResolver>
  readonly layer: Layer.Layer<Executors | WorkflowResolver | SchemaResolver>
}

/** The home folder that was given is none. */
export class HomeUnavailable extends Schema.TaggedError<HomeUnavailable>()("HomeUnavailable", {
  home: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `home folder ${this.home}: ${this.detail}`
  }
}

/** Opens a project; nothing is read yet. */
export const open = (options: ProjectOptions): Effect.Effect<Project, HomeUnavailable> =>
  Effect.suspend(() => {
    const from = resolve(options.from)
    const home = options.home === undefined ? (nearestHome(from) ?? from) : resolve(options.home)
    const detail = isFolder(home)
      ? undefined
      : existsSync(home)
        ? "it is not a directory"
        : "there is no such directory"
    return detail === undefined
      ? Effect.sync(() => make(options, from, realpathSync(home)))
      : Effect.fail(new HomeUnavailable({ home: options.home ?? home, detail }))
  })

/** A workflow that a user names, by a path or by a name, and the project it belongs to. */
export interface Target {
  readonly project: Project
  /** The file as the user may have typed it. */
  readonly file: string
}

export interface TargetOptions {
  readonly home?: string
  readonly modules?: ModuleOptions
  /** Where the user stands; absent: the process's working directory. */
  readonly cwd?: string
}

/**
 * Finds what a user means by `run <file|name>`: a path if it has a `/`, ends in `.wf` or is a file; else the name of a
 * workflow of the project around the user. A path's file is not looked at yet.
 */
export const locate = (
  target: string,
  options: TargetOptions = {}
): Effect.Effect<Target, HomeUnavailable | WorkflowUnavailable> =>
  Effect.gen(function* () {
    const cwd = options.cwd ?? process.cwd()
    const common = {
      ...(options.home === undefined ? {} : { home: options.home }),
      ...(options.modules === undefined ? {} : { modules: options.modules })
    }
    const path = resolve(cwd, target)
    if (/[/\\]|\.wf$/.test(target) || isRegularFile(path)) {
      const folder = dirname(path)
      // That there is no such folder is told as: there is no such file.
      const project = yield* open({ ...common, from: isFolder(folder) ? folder : cwd, siblings: true })
      return { project, file: path }
    }
    const project = yield* open({ ...common, from: cwd })
    const found = Places.workflowFile(placesOf(project.home, undefined), target)
    if (found._tag === "Found") return { project, file: found.file }
    const candidates = yield* project.workflows.names
    return yield* new WorkflowUnavailable({ workflow: target, reason: missing(found.searched), candidates })
  })

const missing = (searched: ReadonlyArray<string>): string =>
  searched.length === 0
    ? "no workflow can have this name"
    : `there is none; searched ${shownPaths(searched).join(", ")}`

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
const isRegularFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

const nearestHome = (from: string): string | undefined => {
  for (let folder = from; ; folder = dirname(folder)) {
    if (basename(folder) === homeName && isFolder(folder)) return folder
    const home = join(folder, homeName)
    if (isFolder(home)) return home
    if (dirname(folder) === folder) return undefined
  }
}

const placesOf = (home: string, folder: string | undefined): Places.Places => {
  const own = Places.homePlace(home)
  // A file among the home's own workflows has the home's actions and schemas.
  return folder === undefined || folder === own.workflows ? [own] : [own, Places.folderPlace(folder)]
}

const make = (options: ProjectOptions, from: string, home: string): Project => {
  const folder = options.siblings === true && isFolder(from) ? realpathSync(from) : undefined
  const root = options.root === undefined ? (basename(home) === homeName ? dirname(home) : home) : resolve(options.root)
  const roots = [...new Set(folder === undefined ? [root] : [root, folder])]
  const files = makeLookup(placesOf(home, folder), roots)
  const executors = makeExecutors(files, options.modules ?? {})
  const workflows = makeWorkflows(files)
  const schemas = makeSchemas(files)
  return {
    home,
    root,
    roots,
    list: () =>
      [...Places.workflowFiles(files.places)].map(([name, file]) => ({ name, file, parsed: files.read(file) })),
    host: (given) => makeHost(files, given),
    executors,
    workflows,
    schemas,
    layer: Layer.mergeAll(
      Layer.succeed(Executors, executors),
      Layer.succeed(WorkflowResolver, workflows),
      Layer.succeed(SchemaResolver, schemas)
    )
  }
}

const makeExecutors = (files: Lookup, modules: ModuleOptions): Context.Tag.Service<typeof Executors> => {
  const loader = makeLoader(modules)
  const executor = (found: Exclude<Places.FoundAction, { _tag: "Missing" }>): Executor =>
    found._tag === "Module" ? moduleAction(found.file, loader) : executableAction(found.file)
  const names = () => Places.actionNames(files.places)
  return {
    find: (ref) =>
      Effect.suspend(() => {
        const found = files.action(ref)
        if (found._tag !== "Missing") return Effect.succeed({ execute: executor(found) })
        const action = ref._tag === "Name" ? ref.name : ref.path
        return Effect.fail(new ActionNotFound({ action, searched: shownPaths(found.searched), candidates: names() }))
      }),
    names: Effect.sync(names)
  }
}

const makeWorkflows = (files: Lookup): Context.Tag.Service<typeof WorkflowResolver> => {
  const names = () => [...Places.workflowFiles(files.places).keys()]
  const find = (name: string): Either.Either<WorkflowDefinition, string> => {
    const found = Places.workflowFile(files.places, name)
    if (found._tag === "Missing") return Either.left(missing(found.searched))
    return Either.flatMap(
      Either.mapLeft(files.read(found.file), (unreadable) => unreadable.message),
      ({ definition, diagnostics }) =>
        definition === undefined || hasErrors(diagnostics)
          ? Either.left(`its file has errors: ${inOneLine(diagnostics)}`)
          : Either.right(definition)
    )
  }
  return {
    find: (name) =>
      Effect.suspend(() =>
        Either.match(find(name), {
          onLeft: (reason) => Effect.fail(new WorkflowUnavailable({ workflow: name, reason, candidates: names() })),
          onRight: Effect.succeed
        })
      ),
    names: Effect.sync(names)
  }
}

const makeSchemas = (files: Lookup): Context.Tag.Service<typeof SchemaResolver> => ({
  find: (ref, workflow) =>
    Effect.suspend((): Effect.Effect<OutputSchema, SchemaUnavailable> => {
      const found = files.schema(ref, workflow)
      switch (found._tag) {
        case "Found":
          return Effect.succeed(found.schema)
        case "Missing": {
          const searched = shownPaths(found.searched).join(", ")
          return Effect.fail(
            new SchemaUnavailable({ schema: ref, message: `no output schema '${ref}'; searched ${searched}` })
          )
        }
        case "Invalid":
          return Effect.fail(
            new SchemaUnavailable({ schema: ref, message: `output schema '${ref}': ${inOneLine(found.diagnostics)}` })
          )
      }
    })
})

/** The errors as one line of text, with their positions. */
const inOneLine = (diagnostics: ReadonlyArray<Diagnostic>): string =>
  toProblems(diagnostics.filter(({ severity }) => severity === "error"))
    .map(({ column, file, line, message }) =>
      line === undefined ? `${file ?? ""}: ${message}` : `${file ?? ""}:${line}:${column ?? 1}: ${message}`
    )
    .join("; ")
