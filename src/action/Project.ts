/**
 * A project on disk: a home folder with `workflows/<name>.wf`, `actions/`, `agents/`, `schemas/`, `prompts/`,
 * `providers/` and `gates/`, for a workflow given by its path the same beside that file, and a configuration
 * (spec/language.md, "Semantic validation", "Output schemas", "Agents and snippets").
 *
 * Owns: what a project is and where. Which file a name means: `ProjectPlaces`; how files are read: `ProjectFiles`; what
 * runs get of it: `ProjectServices`; what the validator: `ProjectHost`. Files are looked up when they are asked for, so
 * that a long-lived process sees new ones; the configuration, and which providers and gates there are, it sees once.
 */
import { existsSync, realpathSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Persistence, type PersistenceService } from "../persistence/Persistence.ts"
import type { WorkflowDefinition } from "../workflow/Definition.ts"
import type { ParsedFile } from "../workflow/Parser.ts"
import { nearest } from "../workflow/Suggest.ts"
import type { Host } from "../workflow/ValidatorHost.ts"
import type { Executors } from "./Action.ts"
import * as Config from "./Config.ts"
import type { ConfigInvalid } from "./Config.ts"
import type { LoadedConfig } from "./ConfigReader.ts"
import { isFile, isFolder } from "./FileKind.ts"
import { makeLoader, type ModuleLoader, type ModuleOptions } from "./ModuleLoader.ts"
import type * as Files from "./ProjectFiles.ts"
import { type HostOptions, makeHost } from "./ProjectHost.ts"
import { type Lookup, makeLookup } from "./ProjectLookup.ts"
import * as Places from "./ProjectPlaces.ts"
import {
  buildLayer,
  type ConfigLayerFailed,
  makeExecutors,
  makeSchemas,
  makeServices,
  makeWorkflows,
  missing,
  type ProjectServices
} from "./ProjectServices.ts"
import { type SchemaResolver, type WorkflowResolver, WorkflowUnavailable } from "./Resolvers.ts"
import { scheduleProblems } from "./ScheduleSource.ts"

export { ConfigInvalid } from "./Config.ts"
export { ConfigLayerFailed } from "./ProjectServices.ts"

/** The name of a home folder that is looked for upwards. */
export const homeName = ".millrace"

export interface ProjectOptions {
  /** The home folder; absent: the nearest `.millrace` at or above `from`, else `from`, or the folder around a `workflows`. */
  readonly home?: string
  /** The folder below which paths stand; absent: that around a hidden home (`.millrace`), else the home itself. */
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
  readonly config: LoadedConfig
  /** All workflows by name; a broken file is listed like any other. */
  readonly list: () => ReadonlyArray<ListedWorkflow>
  readonly host: (options: HostOptions) => Host
  /** What the configuration says of workflows that is not so, each with the configuration's file. */
  readonly problems: () => ReadonlyArray<string>
  /** Without the services of the configuration's `layer`. */
  readonly executors: Context.Tag.Service<typeof Executors>
  readonly workflows: Context.Tag.Service<typeof WorkflowResolver>
  readonly schemas: Context.Tag.Service<typeof SchemaResolver>
  /** Everything that runs need of the project. Building it builds the configuration's `layer`. */
  readonly layer: Layer.Layer<ProjectServices, ConfigLayerFailed, Persistence>
  /** The services of the configuration's `layer`, for the time of a scope. */
  readonly own: Effect.Effect<Context.Context<never>, ConfigLayerFailed, Scope.Scope>
  /** What `layer` gives, as the folders are now, over services of the configuration that are built. */
  readonly services: (own: Context.Context<never>, persistence: PersistenceService) => Context.Context<ProjectServices>
  /** This project as a workflow file in another folder sees it, whose siblings are workflows of it too. */
  readonly beside: (folder: string) => Project
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

/** The home folder that `open` would open; the configuration is not looked at. */
export const findHome = (options: Pick<ProjectOptions, "home" | "from">): Effect.Effect<string, HomeUnavailable> =>
  Effect.suspend(() => {
    const from = resolve(options.from)
    const home = options.home === undefined ? (nearestHome(from) ?? homeWithout(from)) : resolve(options.home)
    if (isFolder(home)) return Effect.succeed(realpathSync(home))
    const detail = existsSync(home) ? "it is not a directory" : "there is no such directory"
    return Effect.fail(new HomeUnavailable({ home: options.home ?? home, detail }))
  })

/** Opens a project and loads its configuration, if it has one; nothing else is read yet. */
export const open = (options: ProjectOptions): Effect.Effect<Project, HomeUnavailable | ConfigInvalid> =>
  Effect.flatMap(findHome(options), (home) => make(options, resolve(options.from), home))

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
): Effect.Effect<Target, HomeUnavailable | ConfigInvalid | WorkflowUnavailable> =>
  Effect.gen(function* () {
    const cwd = options.cwd ?? process.cwd()
    const common = {
      ...(options.home === undefined ? {} : { home: options.home }),
      ...(options.modules === undefined ? {} : { modules: options.modules })
    }
    const path = resolve(cwd, target)
    if (/[/\\]|\.wf$/.test(target) || isFile(path)) {
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

const nearestHome = (from: string): string | undefined => {
  for (let folder = from; ; folder = dirname(folder)) {
    if (basename(folder) === homeName && isFolder(folder)) return folder
    const home = join(folder, homeName)
    if (isFolder(home)) return home
    if (dirname(folder) === folder) return undefined
  }
}

/** A project whose folders stand in the open: a workflow given by its path is one of the project's all the same. */
const homeWithout = (from: string): string => (basename(from) === Places.workflowsName ? dirname(from) : from)

const placesOf = (home: string, folder: string | undefined): Places.Places => {
  const own = Places.homePlace(home)
  // A file among the home's own workflows has the home's actions and schemas.
  return folder === undefined || folder === own.workflows ? [own] : [own, Places.folderPlace(folder)]
}

const make = (options: ProjectOptions, from: string, home: string): Effect.Effect<Project, ConfigInvalid> =>
  Effect.gen(function* () {
    const root = options.root === undefined ? rootOf(home) : resolve(options.root)
    const loader = makeLoader(options.modules ?? {})
    const config = yield* Config.load([home, root], loader)
    return view({ home, root, loader, config }, options.siblings === true ? from : undefined)
  })

/** What a project has, from whichever folder it is looked at. */
interface Base {
  readonly home: string
  readonly root: string
  readonly loader: ModuleLoader
  readonly config: LoadedConfig
}

/** `from`: the folder of a workflow file whose siblings are workflows too. */
const view = (base: Base, from: string | undefined): Project => {
  const { config, home, loader, root } = base
  const folder = from !== undefined && isFolder(from) ? realpathSync(from) : undefined
  const roots = [...new Set([root, home, ...(folder === undefined ? [] : [folder])])]
  const files = makeLookup(placesOf(home, folder), roots, config)
  const own = buildLayer(config)
  const services: Project["services"] = (own, persistence) => makeServices(files, loader, own, persistence)
  return {
    home,
    root,
    roots,
    config,
    list: () =>
      [...Places.workflowFiles(files.places)].map(([name, file]) => ({ name, file, parsed: files.read(file) })),
    host: (given) => makeHost(files, given),
    problems: () => configProblems(files),
    executors: makeExecutors(files, loader),
    workflows: makeWorkflows(files),
    schemas: makeSchemas(files),
    layer: Layer.scopedContext(
      Effect.flatMap(own, (built) => Effect.map(Persistence, (persistence) => services(built, persistence)))
    ),
    own,
    services,
    beside: (folder) => view(base, folder)
  }
}

const configProblems = ({ actionNames, config, places, read }: Lookup): ReadonlyArray<string> => {
  const definitions = new Map<string, WorkflowDefinition>()
  for (const [name, file] of Places.workflowFiles(places)) {
    const parsed = read(file)
    if (Either.isRight(parsed) && parsed.right.definition !== undefined) definitions.set(name, parsed.right.definition)
  }
  const actions = new Set([...actionNames(), ...[...definitions.keys()].flatMap((name) => actionNames(name))])
  return [...scheduleProblems(config.schedules, definitions), ...limitProblems(config.limits, actions)].map(
    (problem) => `${config.file ?? ""}: ${problem}`
  )
}

/** Limits that no action has. */
const limitProblems = (limits: LoadedConfig["limits"], actions: ReadonlySet<string>): ReadonlyArray<string> =>
  [...limits.keys()].flatMap((name) => {
    if (actions.has(name)) return []
    const near = nearest(name, actions)
    return [`\`limits.${name}\`: there is no such action${near === undefined ? "" : `; did you mean '${near}'?`}`]
  })

/** A hidden folder (`.millrace`, `.conductor`) stands in the project that it belongs to. */
const rootOf = (home: string): string => (basename(home).startsWith(".") ? dirname(home) : home)
