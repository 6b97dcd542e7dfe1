/**
 * Which file a name in a workflow means, and which names there are: what the validator's host answers with yes or no.
 */
import { readdirSync } from "node:fs"
import { extname, join, resolve } from "node:path"
import * as Either from "effect/Either"
import type { Project } from "../action/Project.ts"
import * as Places from "../action/ProjectPlaces.ts"
import { findScript } from "../action/Script.ts"
import type { ActionRef } from "../workflow/Definition.ts"
import { isScriptPath } from "../workflow/ShellTemplate.ts"
import { hasNames } from "../workflow/Template.ts"

/** Files are absolute paths; `workflow` is the name of the workflow in which the reference stands. */
export interface Locations {
  readonly workflow: (name: string) => string | undefined
  readonly action: (ref: ActionRef, workflow: string, pluginDirs: ReadonlyArray<string>) => string | undefined
  readonly actionNames: (workflow: string, pluginDirs: ReadonlyArray<string>) => ReadonlyArray<string>
  readonly schema: (ref: string, workflow: string) => string | undefined
  readonly schemaNames: (workflow: string) => ReadonlyArray<string>
  readonly snippet: (ref: string, workflow: string) => string | undefined
  readonly snippetNames: (workflow: string) => ReadonlyArray<string>
  /** The file of a `run` that is a path. */
  readonly script: (run: string) => string | undefined
  /** The executable that gives the items, or answers the gate, of this name. */
  readonly program: (kind: "providers" | "gates", name: string) => string | undefined
}

/** `folder` is that of a workflow file whose siblings are workflows too. */
export const makeLocations = (project: Project, folder: string | undefined, workingDirectory: string): Locations => {
  const places = placesOf(project, folder)
  const { config, root, roots } = project
  const agents = (pluginDirs: ReadonlyArray<string>) => ({
    root,
    pluginDirs: pluginDirs.map((it) => resolve(root, it))
  })
  return {
    workflow: (name) => found(Places.workflowFile(places, name)),
    action: (ref, workflow, pluginDirs) => {
      if (ref._tag === "Path") return found(Places.actionByPath(roots, ref.path))
      if (config.actions.has(ref.name)) return config.file
      const action = found(Places.actionByName(places, ref.name))
      return action ?? found(Places.agentFile(places, agents(pluginDirs), ref.name, workflow))
    },
    actionNames: (workflow, pluginDirs) => {
      const agentNames = Places.agentNames(places, agents(pluginDirs), workflow)
      return sorted([...config.actions.keys(), ...Places.actionNames(places), ...agentNames])
    },
    schema: (ref, workflow) => found(Places.schemaFile(places, roots, ref, workflow)),
    schemaNames: (workflow) => namesIn(places, workflow, "schemas", ".yaml"),
    snippet: (ref, workflow) => found(Places.snippetFile(places, roots, ref, workflow)),
    snippetNames: (workflow) => namesIn(places, workflow, "prompts", ".md"),
    script: (run) => scriptFile(run, [workingDirectory, ...roots]),
    program: (kind, name) => (config[kind].has(name) ? config.file : found(Places.programFile(places, kind, name)))
  }
}

/** As `Project` has them: a file among the home's own workflows has the home's files only. */
const placesOf = (project: Project, folder: string | undefined): Places.Places => {
  const home = Places.homePlace(project.home)
  return folder === undefined || folder === home.workflows ? [home] : [home, Places.folderPlace(folder)]
}

const scriptFile = (run: string, folders: ReadonlyArray<string>): string | undefined =>
  isScriptPath(run) && !hasNames(run)
    ? Either.match(findScript(run, folders), { onLeft: ({ obstacle }) => obstacle?.file, onRight: (file) => file })
    : undefined

const found = (
  lookup:
    | { readonly _tag: "Missing" }
    | { readonly _tag: "Found" | "Module" | "Program" | "Agent"; readonly file: string }
): string | undefined => (lookup._tag === "Missing" ? undefined : lookup.file)

const sorted = (names: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(names)].sort()

/** The names of the files with this extension in the folders that a workflow sees: its own and the project's. */
const namesIn = (
  places: Places.Places,
  workflow: string,
  kind: "schemas" | "prompts",
  extension: string
): ReadonlyArray<string> => {
  const folders = places.flatMap((place) => [join(place.workflows, workflow, kind), place[kind]])
  const files = folders.flatMap(entries).filter((entry) => extname(entry) === extension && !entry.startsWith("."))
  return sorted(files.map((file) => file.slice(0, -extension.length)))
}

const entries = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    // A project need not have each of its folders.
    return []
  }
}
