/**
 * Looking up what a project's names and paths mean, files read: what `Project` gives to runs and `ProjectHost` to the
 * validator.
 *
 * What the configuration names wins over files, and an action over an agent of the same name.
 */
import { basename } from "node:path"
import * as Either from "effect/Either"
import type { ActionRef } from "../workflow/Definition.ts"
import type { ParsedFile } from "../workflow/Parser.ts"
import type { SchemaLookup } from "../workflow/ValidatorHost.ts"
import type { LoadedConfig } from "./ConfigReader.ts"
import type { ActionFunction } from "./ModuleAction.ts"
import { type FoundAgent, ProjectAgents } from "./ProjectAgents.ts"
import * as Files from "./ProjectFiles.ts"
import { type Declared, isDeclared } from "./TypedAction.ts"
import * as Places from "./ProjectPlaces.ts"

export type FoundAction =
  | { readonly _tag: "Function"; readonly file: string; readonly action: ActionFunction }
  | { readonly _tag: "Typed"; readonly file: string; readonly action: Declared }
  | { readonly _tag: "Module" | "Program"; readonly file: string }
  | Extract<FoundAgent, { readonly _tag: "Agent" }>
  /** `candidates`: the names that there are; none where it is not the name that is wrong. */
  | { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string>; readonly candidates: ReadonlyArray<string> }

export interface Lookup {
  readonly places: Places.Places
  /** The folders below which paths stand; the first is the project's root. */
  readonly roots: ReadonlyArray<string>
  readonly config: LoadedConfig
  /** A workflow file, read again only when it changed. */
  readonly read: (file: string) => Either.Either<ParsedFile, Files.FileUnreadable>
  readonly schema: (ref: string, workflow: string) => SchemaLookup
  /** The text of a snippet, or where it was looked for. */
  readonly snippet: (ref: string, workflow: string) => Either.Either<string, ReadonlyArray<string>>
  readonly action: (ref: ActionRef, workflow: string, pluginDirs: ReadonlyArray<string>) => FoundAction
  /** All actions and agents; those of a workflow's own where one is given. */
  readonly actionNames: (workflow?: string, pluginDirs?: ReadonlyArray<string>) => ReadonlyArray<string>
}

export const makeLookup = (places: Places.Places, roots: ReadonlyArray<string>, config: LoadedConfig): Lookup => {
  const agents = new ProjectAgents(places, roots[0] ?? "", config.agent)
  const actionNames: Lookup["actionNames"] = (workflow, pluginDirs = []) => {
    const names = [...config.actions.keys(), ...Places.actionNames(places), ...agents.names(workflow, pluginDirs)]
    return [...new Set(names)].sort()
  }
  const readText = Files.cachedByFile(Files.readText)
  return {
    places,
    roots,
    config,
    read: Files.cachedByFile(Files.readWorkflow),
    schema: (ref, workflow) => {
      const found = Places.schemaFile(places, roots, ref, workflow)
      if (found._tag === "Missing") return { _tag: "Missing", searched: shownPaths(found.searched) }
      return Either.match(Files.readSchema(basename(ref, ".yaml"), found.file), {
        onLeft: (unreadable): SchemaLookup => ({ _tag: "Missing", searched: [unreadable.message] }),
        onRight: (read) => read
      })
    },
    snippet: (ref, workflow) => {
      const found = Places.snippetFile(places, roots, ref, workflow)
      if (found._tag === "Missing") return Either.left(shownPaths(found.searched))
      return Either.mapLeft(readText(found.file), ({ message }) => [message])
    },
    action: (ref, workflow, pluginDirs) => {
      const [action, agent] =
        ref._tag === "Name"
          ? byName(places, config, agents, ref.name, workflow, pluginDirs)
          : byPath(roots, agents, ref.path)
      if (action._tag !== "Missing") return action
      switch (agent._tag) {
        case "Agent":
          return agent
        case "Unusable":
          return { _tag: "Missing", searched: [agent.reason], candidates: [] }
        case "Missing": {
          const searched = shownPaths([...action.searched, ...agent.searched])
          return { _tag: "Missing", searched, candidates: actionNames(workflow, pluginDirs) }
        }
      }
    },
    actionNames
  }
}

type Missing = { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string> }
type FoundFile = Extract<FoundAction, { readonly _tag: "Function" | "Typed" | "Module" | "Program" }> | Missing

const nowhere: Missing = { _tag: "Missing", searched: [] }

/** An action of this name, and the agent where there is none. */
const byName = (
  places: Places.Places,
  config: LoadedConfig,
  agents: ProjectAgents,
  name: string,
  workflow: string,
  pluginDirs: ReadonlyArray<string>
): readonly [FoundFile, FoundAgent] => {
  const action = config.actions.get(name)
  const file = config.file ?? ""
  if (isDeclared(action)) return [{ _tag: "Typed", file, action }, nowhere]
  if (action !== undefined) return [{ _tag: "Function", file, action }, nowhere]
  const found = Places.actionByName(places, name)
  return found._tag === "Missing" ? [found, agents.find(name, workflow, pluginDirs)] : [found, nowhere]
}

const byPath = (
  roots: ReadonlyArray<string>,
  agents: ProjectAgents,
  path: string
): readonly [FoundFile, FoundAgent] => {
  const found = Places.actionByPath(roots, path)
  return found._tag === "Agent" ? [nowhere, agents.at(found.file)] : [found, nowhere]
}

/** As messages show them, each once: two places may share a folder. */
export const shownPaths = (paths: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set(paths.map((path) => Files.shownPath(path)))
]
