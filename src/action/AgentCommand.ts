/**
 * The agent command of a project: which program answers prompts, and with which arguments.
 *
 * ```ts
 * agent: {
 *   command: "claude",
 *   args: ["-p", ["--model", "{{model}}"], ["--plugin-dir", "{{plugin_dirs}}"], ["--max-turns", "{{max_turns}}"]]
 * }
 * ```
 */
import { delimiter, isAbsolute, join, resolve } from "node:path"
import { jsonSchemaText } from "../workflow/OutputSchemaPrompt.ts"
import { nearest } from "../workflow/Suggest.ts"
import { names, substitute } from "../workflow/Template.ts"
import type { ActionCall } from "./Action.ts"
import type { Agent } from "./AgentFile.ts"
import { isExecutable } from "./Executable.ts"
import { isFile } from "./FileKind.ts"

/**
 * One argument, or several that belong together. A group that names a variable without a value is left out as a
 * whole; one that names `plugin_dirs` is repeated for each of them.
 */
export type AgentArgument = string | ReadonlyArray<string> | ConditionalArguments

/** Arguments that are there only where a variable has a value. */
export interface ConditionalArguments {
  readonly when: AgentVariable
  readonly args: ReadonlyArray<string>
}

export interface AgentConfig {
  /** A program of the PATH; with a `/` in it, a file below the project's root, or an absolute one. */
  readonly command: string
  readonly args?: ReadonlyArray<AgentArgument>
  /** Added to the environment; the values may hold `{{…}}` too. */
  readonly env?: Readonly<Record<string, string>>
}

/** What `args` and `env` may name, with its meaning. `can_commit` and `dry_run` are `true` or have no value. */
export const agentVariables = {
  agent: "the agent's name",
  role: "actor or reviewer",
  can_commit: "whether the agent may commit",
  model: "the call's model, else the agent's, else the run's",
  identity: "whom the agent acts as",
  plugin_dirs: "the plugin directories, absolute",
  max_turns: "the call's limit of turns",
  schema: "the output schema as JSON Schema",
  dry_run: "whether nothing is to be done in earnest",
  workflow: "the workflow's name",
  run_id: "the run's id",
  step: "the step's path",
  attempt: "the attempt's number, from 1",
  target: "the run's target",
  working_directory: "where the agent works"
} as const

export type AgentVariable = keyof typeof agentVariables

type Values = Readonly<Record<AgentVariable, ReadonlyArray<string>>>

export const isAgentVariable = (name: string): name is AgentVariable => Object.hasOwn(agentVariables, name)

/** What a template names that no attempt provides. */
export const unknownVariables = (template: string): ReadonlyArray<string> =>
  names(template)
    .filter(({ name }) => !isAgentVariable(name))
    .map(({ name }) => {
      const near = nearest(name, Object.keys(agentVariables))
      return `names \`{{${name}}}\`, which there is not${near === undefined ? "" : `; did you mean \`{{${near}}}\`?`}`
    })

/** The variables of an attempt; none without a value is left out. `root` is what plugin directories stand below. */
export const valuesOf = (call: ActionCall, agent: Agent, root: string): Values => ({
  agent: [call.name],
  role: [agent.role],
  can_commit: agent.canCommit ? ["true"] : [],
  model: some(call.model),
  identity: some(call.identity),
  plugin_dirs: call.pluginDirs.map((folder) => resolve(root, folder)),
  max_turns: call.maxTurns === undefined ? [] : [String(call.maxTurns)],
  schema: call.schema === undefined ? [] : [jsonSchemaText(call.schema)],
  dry_run: call.dryRun ? ["true"] : [],
  workflow: [call.workflow],
  run_id: [call.run],
  step: [call.path],
  attempt: [String(call.attempt)],
  target: some(call.target),
  working_directory: [call.workingDirectory]
})

const some = (text: string | undefined): ReadonlyArray<string> => (text === undefined || text === "" ? [] : [text])

/** The arguments of an attempt. */
export const argumentsOf = (args: ReadonlyArray<AgentArgument>, values: Values): ReadonlyArray<string> =>
  args.flatMap((entry) => {
    if (typeof entry === "string") return renderGroup([entry], values)
    if (!isConditional(entry)) return renderGroup(entry, values)
    return values[entry.when].length === 0 ? [] : renderGroup(entry.args, values)
  })

const isConditional = (entry: Exclude<AgentArgument, string>): entry is ConditionalArguments => "when" in entry

const renderGroup = (group: ReadonlyArray<string>, values: Values): ReadonlyArray<string> => {
  const named = group.flatMap((template) => names(template).map(({ name }) => valueOf(values, name)))
  if (named.some((value) => value.length === 0)) return []
  const rounds = Math.max(1, ...named.map((value) => value.length))
  return Array.from({ length: rounds }, (_, round) =>
    group.map((template) =>
      substitute(template, (name) => valueOf(values, name)[round] ?? valueOf(values, name)[0], { unknown: "empty" })
    )
  ).flat()
}

const valueOf = (values: Values, name: string): ReadonlyArray<string> => (isAgentVariable(name) ? values[name] : [])

/** The configured environment of an attempt; a list is joined as a PATH is. */
export const environmentOf = (env: Readonly<Record<string, string>>, values: Values): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).map(([name, template]) => [
      name,
      substitute(template, (variable) => valueOf(values, variable).join(delimiter), { unknown: "empty" })
    ])
  )

/** The command's file; undefined if the PATH has none of this name. */
export const commandFile = (command: string, root: string, path: string | undefined): string | undefined => {
  if (isAbsolute(command)) return command
  if (command.includes("/")) return join(root, command)
  return (path ?? "")
    .split(delimiter)
    .filter((folder) => isAbsolute(folder))
    .map((folder) => join(folder, command))
    .find((file) => isFile(file) && isExecutable(file))
}
