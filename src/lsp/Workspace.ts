/**
 * The open documents, each with the project that its file belongs to. A workflow that is open counts as it is in the
 * editor, not as it is on disk.
 */
import { readFileSync, statSync } from "node:fs"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ModuleOptions } from "../action/ModuleLoader.ts"
import * as Project from "../action/Project.ts"
import { maxFileBytes, type ParsedFile, parse } from "../workflow/Parser.ts"
import type { Host } from "../workflow/ValidatorHost.ts"
import { type OpenDocument, pathOf, realPath } from "./Document.ts"
import { type Locations, makeLocations } from "./Locations.ts"

export interface WorkspaceOptions {
  /** The home folder of every document; absent: the nearest `.millrace` around each. */
  readonly home?: string
  /** For the modules that configurations are made of. */
  readonly modules?: ModuleOptions
  /** The names that the run context injects. */
  readonly contextNames?: ReadonlyArray<string>
}

/** What surrounds a document. */
export interface Surroundings {
  readonly host: Host
  readonly locations: Locations
}

/** What surrounds a document, or why its project cannot be used: no home folder, a broken configuration. */
type Opened = Either.Either<Surroundings, string>

/** A document and its surroundings. */
export interface Subject {
  readonly document: OpenDocument
  /** The name of the workflow, empty where it has none yet. */
  readonly workflow: string
  readonly around: Surroundings | undefined
  /** Why there are no surroundings. */
  readonly problem: string | undefined
  /** A file's text and meaning, as the editor has it or from disk; undefined if it cannot be read. */
  readonly read: (path: string) => ReadFile | undefined
}

export interface ReadFile {
  readonly uri: string | undefined
  readonly file: ParsedFile
}

export class Workspace {
  private readonly documents = new Map<string, OpenDocument>()
  private readonly projects = new Map<string, Opened>()
  private root: string | undefined

  constructor(private readonly options: WorkspaceOptions) {}

  /** The folder that the editor has open, if it says so. */
  openFolder(uri: string | undefined): void {
    this.root = uri === undefined ? undefined : pathOf(uri)
  }

  get open(): ReadonlyArray<OpenDocument> {
    return [...this.documents.values()]
  }

  find(uri: string): OpenDocument | undefined {
    return this.documents.get(uri)
  }

  put(document: OpenDocument): void {
    this.documents.set(document.uri, document)
  }

  close(uri: string): void {
    this.documents.delete(uri)
  }

  /** Forgets what was found on disk: something there has changed. */
  refresh(): void {
    this.projects.clear()
  }

  subject(document: OpenDocument): Effect.Effect<Subject> {
    return Effect.map(this.opened(document), (opened) => ({
      document,
      workflow: document.file.definition?.name ?? "",
      around: Either.getOrUndefined(opened),
      problem: Either.isLeft(opened) ? opened.left : undefined,
      read: (path) => this.read(path)
    }))
  }

  private opened(document: OpenDocument): Effect.Effect<Opened> {
    const folder = document.path === undefined ? undefined : dirname(document.path)
    const key = folder ?? ""
    const before = this.projects.get(key)
    if (before !== undefined) return Effect.succeed(before)
    return Effect.tap(this.openProject(folder), (opened) => Effect.sync(() => this.projects.set(key, opened)))
  }

  private openProject(folder: string | undefined): Effect.Effect<Opened> {
    const { contextNames, home, modules } = this.options
    const from = folder ?? this.root ?? process.cwd()
    const opening = Project.open({
      from,
      siblings: folder !== undefined,
      ...(home === undefined ? {} : { home }),
      modules: { ...modules, reload: true }
    })
    const surroundings = Effect.map(opening, (project): Surroundings => {
      const workingDirectory = this.root ?? project.root
      const locations = makeLocations(project, folder, workingDirectory)
      const host = project.host({ workingDirectory, ...(contextNames === undefined ? {} : { contextNames }) })
      return { host: this.withOpenDocuments(host, locations), locations }
    })
    return Effect.either(Effect.mapError(surroundings, (error) => error.message))
  }

  private withOpenDocuments(host: Host, locations: Locations): Host {
    return {
      ...host,
      workflow: (name) => {
        const path = locations.workflow(name)
        const document = path === undefined ? undefined : this.openAt(path)
        return document === undefined ? host.workflow(name) : { _tag: "Found", file: document.file }
      }
    }
  }

  private openAt(path: string): OpenDocument | undefined {
    const real = realPath(path)
    return this.open.find((document) => document.path === real)
  }

  private read(path: string): ReadFile | undefined {
    const document = this.openAt(path)
    if (document !== undefined) return { uri: document.uri, file: document.file }
    const text = readSmall(path)
    return text === undefined ? undefined : { uri: undefined, file: parse({ file: path, text }) }
  }
}

/** A text file as large as a workflow may be. */
export const readSmall = (path: string): string | undefined => {
  try {
    const stat = statSync(path)
    return stat.isFile() && stat.size <= maxFileBytes ? readFileSync(path, "utf8") : undefined
  } catch {
    // Gone or unreadable: there is nothing to show of it.
    return undefined
  }
}
