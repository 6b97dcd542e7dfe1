/**
 * What the validator asks a project on disk (spec/language.md, "Semantic validation").
 */
import * as Either from "effect/Either"
import type * as AST from "effect/SchemaAST"
import { payloadKeys } from "../workflow/Payload.ts"
import type { ActionLookup, Host, ProviderInfo, ScriptLookup, WorkflowLookup } from "../workflow/ValidatorHost.ts"
import { type AgentConfig, commandFile } from "./AgentCommand.ts"
import { obstacle } from "./Executable.ts"
import { shownPath } from "./ProjectFiles.ts"
import { type FoundAction, type Lookup, shownPaths } from "./ProjectLookup.ts"
import { gateNames, hasGate, providerInfo, providerNames } from "./ProjectNames.ts"
import * as Places from "./ProjectPlaces.ts"
import { findScript } from "./Script.ts"
import { type Declared, factsOf, isDeclared } from "./TypedAction.ts"

/** What the validator cannot learn from a project's files. */
export interface HostOptions {
  /** Typed actions whose layers the engine has, beside those of the configuration. */
  readonly actions?: ReadonlyArray<Declared>
  /** Workflows in code that are registered with the engine. */
  readonly workflows?: ReadonlyArray<{ readonly name: string; readonly payload: { readonly ast: AST.AST } }>
  /** Providers beside the project's own and those built in. */
  readonly providers?: ReadonlyMap<string, ProviderInfo>
  /** The names of gates that other resolvers than the project's answer. */
  readonly gates?: Iterable<string>
  /** Where scripts are looked for first. */
  readonly workingDirectory: string
  /** In place of the configuration's. */
  readonly targets?: ReadonlyArray<string>
  readonly contextNames?: ReadonlyArray<string>
}

export const makeHost = (lookup: Lookup, options: HostOptions): Host => {
  const gates = new Set(options.gates ?? [])
  const targets = options.targets ?? lookup.config.targets
  const actions = new Map(options.actions?.map((action) => [action.name, action]))
  const workflows = new Map(options.workflows?.map(({ name, payload }) => [name, payload]))
  return {
    workflow: (name) => {
      const payload = workflows.get(name)
      return payload === undefined ? findWorkflow(lookup, name) : { _tag: "Code", takes: payloadKeys(payload.ast) }
    },
    workflowNames: () => [...new Set([...workflows.keys(), ...Places.workflowFiles(lookup.places).keys()])],
    action: (ref, workflow, pluginDirs) => {
      if (ref._tag === "Name" && actions.has(ref.name)) return { _tag: "Found" }
      const found = lookup.action(ref, workflow, pluginDirs)
      if (found._tag === "Missing") return withCandidates(found, actions)
      const problem = found._tag === "Agent" ? commandProblem(lookup, found.command) : undefined
      return problem === undefined ? { _tag: "Found" } : { _tag: "Missing", searched: [problem], candidates: [] }
    },
    typedAction: (name) => {
      const action = actions.get(name) ?? lookup.config.actions.get(name)
      return isDeclared(action) ? factsOf(action) : undefined
    },
    provider: (name) => options.providers?.get(name) ?? providerInfo(lookup, name),
    providerNames: () => [...new Set([...(options.providers?.keys() ?? []), ...providerNames(lookup)])],
    gate: (name) => gates.has(name) || hasGate(lookup, name),
    gateNames: () => [...new Set([...gates, ...gateNames(lookup)])],
    notExecutable: (kind, name) => {
      const file = Places.idleProgram(lookup.places, kind, name)
      return file === undefined ? undefined : shownPath(file)
    },
    schema: lookup.schema,
    snippet: (ref, workflow) =>
      Either.match(lookup.snippet(ref, workflow), {
        onLeft: (searched) => ({ _tag: "Missing", searched }),
        onRight: () => ({ _tag: "Found" })
      }),
    script: (path) => lookUpScript(path, [options.workingDirectory, ...lookup.roots]),
    ...(targets === undefined ? {} : { targets }),
    ...(options.contextNames === undefined ? {} : { contextNames: options.contextNames })
  }
}

/** Where it is the name that is wrong, what is in code may have been meant. */
const withCandidates = (
  missing: Extract<FoundAction, { readonly _tag: "Missing" }>,
  actions: ReadonlyMap<string, Declared>
): ActionLookup => ({ ...missing, candidates: [...actions.keys(), ...missing.candidates] })

/** A command of the project must be there; one of the PATH need not be where workflows are only checked. */
const commandProblem = ({ roots }: Lookup, { command }: AgentConfig): string | undefined => {
  if (!command.includes("/")) return undefined
  const file = commandFile(command, roots[0] ?? "", undefined) ?? command
  const found = obstacle(file)
  return found === undefined ? undefined : `the agent command ${shownPath(file)}: ${found.detail}`
}

const findWorkflow = (lookup: Lookup, name: string): WorkflowLookup => {
  const found = Places.workflowFile(lookup.places, name)
  if (found._tag === "Missing") return { _tag: "Missing" }
  return Either.match(lookup.read(found.file), {
    onLeft: (unreadable): WorkflowLookup => ({ _tag: "Broken", error: unreadable.message }),
    onRight: (file) => ({ _tag: "Found", file })
  })
}

export const lookUpScript = (path: string, folders: ReadonlyArray<string>): ScriptLookup => {
  const found = findScript(path, folders)
  if (Either.isRight(found)) return { _tag: "Found" }
  const { obstacle, searched } = found.left
  if (obstacle === undefined) return { _tag: "Missing", searched: shownPaths(searched) }
  const file = shownPath(obstacle.file)
  return obstacle.reason === "NotExecutable"
    ? { _tag: "NotExecutable", path: file }
    : { _tag: "Missing", searched: [`${file} (${obstacle.detail})`] }
}
