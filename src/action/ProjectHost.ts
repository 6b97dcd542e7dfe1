/**
 * What the validator asks a project on disk (spec/language.md, "Semantic validation").
 */
import * as Either from "effect/Either"
import type { Host, ProviderInfo, ScriptLookup, WorkflowLookup } from "../workflow/ValidatorHost.ts"
import { shownPath } from "./ProjectFiles.ts"
import { type Lookup, shownPaths } from "./ProjectLookup.ts"
import * as Places from "./ProjectPlaces.ts"
import { findScript } from "./Script.ts"

/** What the validator cannot learn from a project's files. */
export interface HostOptions {
  readonly providers: ReadonlyMap<string, ProviderInfo>
  /** The names of gates that resolvers answer. */
  readonly gates: Iterable<string>
  /** Where scripts are looked for first. */
  readonly workingDirectory: string
  readonly targets?: ReadonlyArray<string>
  readonly contextNames?: ReadonlyArray<string>
}

export const makeHost = (lookup: Lookup, options: HostOptions): Host => {
  const gates = new Set(options.gates)
  return {
    workflow: (name) => findWorkflow(lookup, name),
    workflowNames: () => [...Places.workflowFiles(lookup.places).keys()],
    action: (ref) => {
      const found = lookup.action(ref)
      if (found._tag !== "Missing") return { _tag: "Found" }
      return { _tag: "Missing", searched: shownPaths(found.searched), candidates: Places.actionNames(lookup.places) }
    },
    provider: (name) => options.providers.get(name),
    providerNames: () => [...options.providers.keys()],
    gate: (name) => gates.has(name),
    gateNames: () => [...gates],
    schema: lookup.schema,
    snippet: (ref, workflow) => {
      const found = Places.snippetFile(lookup.places, lookup.roots, ref, workflow)
      return found._tag === "Found" ? { _tag: "Found" } : { _tag: "Missing", searched: shownPaths(found.searched) }
    },
    script: (path) => lookUpScript(path, [options.workingDirectory, ...lookup.roots]),
    ...(options.targets === undefined ? {} : { targets: options.targets }),
    ...(options.contextNames === undefined ? {} : { contextNames: options.contextNames })
  }
}

const findWorkflow = (lookup: Lookup, name: string): WorkflowLookup => {
  const found = Places.workflowFile(lookup.places, name)
  if (found._tag === "Missing") return { _tag: "Missing" }
  return Either.match(lookup.read(found.file), {
    onLeft: (unreadable): WorkflowLookup => ({ _tag: "Broken", error: unreadable.message }),
    onRight: (file) => ({ _tag: "Found", file })
  })
}

const lookUpScript = (path: string, folders: ReadonlyArray<string>): ScriptLookup => {
  const found = findScript(path, folders)
  if (Either.isRight(found)) return { _tag: "Found" }
  const { obstacle, searched } = found.left
  if (obstacle === undefined) return { _tag: "Missing", searched: shownPaths(searched) }
  const file = shownPath(obstacle.file)
  return obstacle.reason === "NotExecutable"
    ? { _tag: "NotExecutable", path: file }
    : { _tag: "Missing", searched: [`${file} (${obstacle.detail})`] }
}
