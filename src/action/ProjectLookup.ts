/**
 * Looking up what a project's names and paths mean, files read: what `Project` gives to runs and `ProjectHost` to the
 * validator.
 */
import { basename } from "node:path"
import * as Either from "effect/Either"
import type { ActionRef } from "../workflow/Definition.ts"
import type { ParsedFile } from "../workflow/Parser.ts"
import type { SchemaLookup } from "../workflow/ValidatorHost.ts"
import * as Files from "./ProjectFiles.ts"
import * as Places from "./ProjectPlaces.ts"

export interface Lookup {
  readonly places: Places.Places
  /** The folders below which paths stand. */
  readonly roots: ReadonlyArray<string>
  /** A workflow file, read again only when it changed. */
  readonly read: (file: string) => Either.Either<ParsedFile, Files.FileUnreadable>
  readonly schema: (ref: string, workflow: string) => SchemaLookup
  readonly action: (ref: ActionRef) => Places.FoundAction
}

export const makeLookup = (places: Places.Places, roots: ReadonlyArray<string>): Lookup => ({
  places,
  roots,
  read: Files.cachedByFile(Files.readWorkflow),
  schema: (ref, workflow) => {
    const found = Places.schemaFile(places, roots, ref, workflow)
    if (found._tag === "Missing") return { _tag: "Missing", searched: shownPaths(found.searched) }
    return Either.match(Files.readSchema(basename(ref, ".yaml"), found.file), {
      onLeft: (unreadable): SchemaLookup => ({ _tag: "Missing", searched: [unreadable.message] }),
      onRight: (read) => read
    })
  },
  action: (ref) => (ref._tag === "Name" ? Places.actionByName(places, ref.name) : Places.actionByPath(roots, ref.path))
})

/** As messages show them, each once: two places may share a folder. */
export const shownPaths = (paths: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set(paths.map((path) => Files.shownPath(path)))
]
