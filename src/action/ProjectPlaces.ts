/**
 * Where a project's files stand, and which of them a name means (spec/language.md, "Actions given as text", "Output
 * schemas", "Agents and snippets").
 *
 * A place is a folder with workflows and, beside or around them, actions, agents, schemas and so on. A project has its home
 * folder and, for a workflow given by its path, that file's own folder. Of several places the later wins.
 */
import { readdirSync } from "node:fs"
import { basename, extname, join } from "node:path"
import { isExecutable } from "./Executable.ts"
import { isFile, statOf } from "./FileKind.ts"
import { resolveBelow } from "./ProjectPath.ts"

export interface Place {
  readonly workflows: string
  readonly actions: string
  readonly agents: string
  readonly schemas: string
  readonly prompts: string
  readonly providers: string
  readonly gates: string
}

/** The folder of a home's workflows. */
export const workflowsName = "workflows"

/** A home folder: `workflows/`, `actions/`, `agents/`, `schemas/`, `prompts/`, `providers/` and `gates/` in it. */
export const homePlace = (home: string): Place => ({ ...filesIn(home), workflows: join(home, workflowsName) })

/** The folder of a workflow file: its siblings are workflows too. */
export const folderPlace = (folder: string): Place => ({ ...filesIn(folder), workflows: folder })

const filesIn = (folder: string) => ({
  actions: join(folder, "actions"),
  agents: join(folder, "agents"),
  schemas: join(folder, "schemas"),
  prompts: join(folder, "prompts"),
  providers: join(folder, "providers"),
  gates: join(folder, "gates")
})

export type Places = ReadonlyArray<Place>

/** The file, or where it was looked for. */
export type FoundFile =
  | { readonly _tag: "Found"; readonly file: string }
  | { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string> }

const firstFile = (files: ReadonlyArray<string>): FoundFile => {
  const file = files.find((candidate) => isFile(candidate))
  return file === undefined ? { _tag: "Missing", searched: files } : { _tag: "Found", file }
}

const reversed = (places: Places): Places => places.toReversed()

/** A name that can be a file's: neither a path nor a hidden file. */
const isName = (name: string): boolean => name !== "" && !/[/\\\0]|^\./.test(name)

const extension = ".wf"

/** The workflow's file; one that is a directory or cannot be read counts, so that it can be told. */
export const workflowFile = (places: Places, name: string): FoundFile => {
  const searched = isName(name) ? reversed(places).map(({ workflows }) => join(workflows, name + extension)) : []
  const file = searched.find((candidate) => statOf(candidate) !== undefined)
  return file === undefined ? { _tag: "Missing", searched } : { _tag: "Found", file }
}

/** All workflow files by name, sorted. */
export const workflowFiles = (places: Places): ReadonlyMap<string, string> => {
  const files = new Map<string, string>()
  for (const { workflows } of places) {
    for (const entry of entries(workflows)) {
      if (entry.endsWith(extension) && isName(entry)) files.set(basename(entry, extension), join(workflows, entry))
    }
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The names in a folder, sorted; none where there is no folder. */
const entries = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder).sort()
  } catch {
    // A project need not have each of its folders; a file in its stead holds nothing either.
    return []
  }
}

export type FoundAction =
  | { readonly _tag: "Module" | "Program"; readonly file: string }
  | { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string> }

/** In the order in which they are preferred. */
const moduleExtensions: ReadonlyArray<string> = [".ts", ".mts", ".js", ".mjs"]

/** The action of a name: a module, else an executable file with any extension or none. */
export const actionByName = (places: Places, name: string): FoundAction => {
  const searched: Array<string> = []
  for (const { actions } of isName(name) ? reversed(places) : []) {
    const found = actionIn(actions, name)
    if (found._tag !== "Missing") return found
    searched.push(...found.searched)
  }
  return { _tag: "Missing", searched }
}

const actionIn = (folder: string, name: string): FoundAction => {
  const module = moduleExtensions.map((suffix) => join(folder, name + suffix)).find(isFile)
  if (module !== undefined) return { _tag: "Module", file: module }
  const found = programIn(folder, name)
  return found._tag === "Found" ? { _tag: "Program", file: found.file } : found
}

/** The executable file of a name, with any extension or none. */
const programIn = (folder: string, name: string): FoundFile => {
  const files = filesOf(folder, name)
  const program = files.find(isExecutable)
  return program === undefined
    ? { _tag: "Missing", searched: [join(folder, `${name}.*`), ...files.map(notExecutable)] }
    : { _tag: "Found", file: program }
}

const filesOf = (folder: string, name: string): ReadonlyArray<string> =>
  entries(folder)
    .filter((entry) => isProgramOf(entry, name))
    .map((entry) => join(folder, entry))
    .filter(isFile)

const notExecutable = (file: string): string => `${file} (not executable; run: chmod +x ${file})`

const isProgramOf = (entry: string, name: string): boolean => entry === name || stem(entry) === name

const stem = (entry: string): string => basename(entry, extname(entry))

/** The action or agent of a path below one of the folders. */
export const actionByPath = (
  folders: ReadonlyArray<string>,
  path: string
): FoundAction | { readonly _tag: "Agent"; readonly file: string } => {
  const resolved = resolveBelow(path, folders)
  if (resolved._tag === "Refused") return { _tag: "Missing", searched: [resolved.reason] }
  if (resolved._tag === "Missing") return { _tag: "Missing", searched: resolved.searched }
  const { file } = resolved
  if (!isFile(file)) return { _tag: "Missing", searched: [`${file} (not a file)`] }
  if (moduleExtensions.includes(extname(file))) return { _tag: "Module", file }
  if (extname(file) === agentExtension) return { _tag: "Agent", file }
  return isExecutable(file) ? { _tag: "Program", file } : { _tag: "Missing", searched: [notExecutable(file)] }
}

/** The names of all actions, sorted. */
export const actionNames = (places: Places): ReadonlyArray<string> => {
  const names = new Set<string>()
  for (const { actions } of places) {
    for (const entry of entries(actions)) {
      const name = stem(entry)
      if (isName(name) && !name.includes(".") && actionIn(actions, name)._tag !== "Missing") names.add(name)
    }
  }
  return [...names].sort()
}

const agentExtension = ".md"

/** Where agents that stand in no place of the project are looked for. */
export interface AgentFolders {
  /** The project's root, which may have a `.claude/agents`. */
  readonly root: string
  /** Absolute. */
  readonly pluginDirs: ReadonlyArray<string>
}

/** The agent's file: the workflow's own, the project's, that of `.claude/agents`, then the plugins'. */
export const agentFile = (places: Places, others: AgentFolders, name: string, workflow: string): FoundFile =>
  firstFile(
    isName(name) ? agentFolders(places, others, workflow).map((folder) => join(folder, name + agentExtension)) : []
  )

const agentFolders = (
  places: Places,
  { pluginDirs, root }: AgentFolders,
  workflow: string | undefined
): ReadonlyArray<string> => [
  ...(workflow === undefined ? reversed(places).map((place) => place.agents) : owned(places, workflow, "agents")),
  join(root, ".claude", "agents"),
  ...pluginDirs.map((folder) => join(folder, "agents"))
]

/** The names of the agents that a workflow sees; without one, those that all see; sorted. */
export const agentNames = (places: Places, others: AgentFolders, workflow?: string): ReadonlyArray<string> => {
  const files = agentFolders(places, others, workflow).flatMap(entries)
  const names = files.filter((entry) => extname(entry) === agentExtension && isName(entry)).map(stem)
  return [...new Set(names)].sort()
}

/** The executable file of a provider or gate; the later place wins. */
export const programFile = (places: Places, kind: "providers" | "gates", name: string): FoundFile => {
  const searched: Array<string> = []
  for (const place of isName(name) ? reversed(places) : []) {
    const found = programIn(place[kind], name)
    if (found._tag === "Found") return found
    searched.push(...found.searched)
  }
  return { _tag: "Missing", searched }
}

/** A file of the name that lacks its execute bit. */
export const idleProgram = (places: Places, kind: "providers" | "gates", name: string): string | undefined =>
  reversed(places)
    .flatMap((place) => filesOf(place[kind], name))
    .find((file) => !isExecutable(file))

/** The names of a folder's executable files, sorted. */
export const programNames = (places: Places, kind: "providers" | "gates"): ReadonlyArray<string> => {
  const names = places.flatMap((place) => entries(place[kind]).map(stem))
  return [...new Set(names)].filter((name) => isName(name) && programFile(places, kind, name)._tag === "Found").sort()
}

const isPath = (ref: string): boolean => ref.includes("/") || ref.includes("\\")

/** The schema's file: a path below one of the folders, else by name, the workflow's own before the project's. */
export const schemaFile = (places: Places, folders: ReadonlyArray<string>, ref: string, workflow: string): FoundFile =>
  isPath(ref) || ref.endsWith(".yaml")
    ? below(folders, ref)
    : firstFile(owned(places, workflow, "schemas").map((folder) => join(folder, `${ref}.yaml`)))

/** A snippet's file: a path below one of the folders, else by name, the workflow's own before the project's. */
export const snippetFile = (
  places: Places,
  folders: ReadonlyArray<string>,
  ref: string,
  workflow: string
): FoundFile =>
  isPath(ref)
    ? below(folders, ref)
    : firstFile(owned(places, workflow, "prompts").map((folder) => join(folder, `${ref}.md`)))

/** The folders of a kind that a workflow sees: its own ones first. */
const owned = (places: Places, workflow: string, kind: "agents" | "schemas" | "prompts"): ReadonlyArray<string> => [
  ...reversed(places).map(({ workflows }) => join(workflows, workflow, kind)),
  ...reversed(places).map((place) => place[kind])
]

const below = (folders: ReadonlyArray<string>, path: string): FoundFile => {
  const resolved = resolveBelow(path, folders)
  if (resolved._tag === "Refused") return { _tag: "Missing", searched: [resolved.reason] }
  if (resolved._tag === "Missing") return resolved
  return isFile(resolved.file) ? resolved : { _tag: "Missing", searched: [`${resolved.file} (not a file)`] }
}
