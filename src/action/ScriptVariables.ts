/**
 * The environment of a script (spec/engine.md, "script"): the engine's own variables, the provider's for the identity,
 * the run's inputs, then the step's `env`. Later ones win, but `env` replaces neither what is protected nor what the
 * provider set.
 */
import * as Either from "effect/Either"
import type { Texts } from "../workflow/Definition.ts"
import { checkEnvironmentValue, type ShellVariable, type UnusableEnvironmentValue } from "../workflow/ShellTemplate.ts"
import { substitute } from "../workflow/Template.ts"

export interface ScriptVariableSources {
  /** The engine's own environment. */
  readonly own: Readonly<Record<string, string | undefined>>
  /** The script-environment provider's values. */
  readonly provided: Texts
  readonly inputs: Texts
  /** All variables that the step sees. */
  readonly variables: Texts
  /** The step's `env`, templates included. */
  readonly env: Texts
  /** What the command itself reads. */
  readonly command: ReadonlyArray<ShellVariable>
}

export interface ScriptVariables {
  readonly env: Readonly<Record<string, string>>
  readonly warnings: ReadonlyArray<string>
}

/** Names that a step's `env` cannot set, and every name that begins with `DYLD_`. */
export const protectedNames: ReadonlySet<string> = new Set([
  "PATH",
  "LD_PRELOAD",
  "LD_LIBRARY_PATH",
  "PYTHONPATH",
  "RUBYLIB",
  "NODE_PATH",
  "GH_TOKEN"
])

/** What always blocks and on_fail actions know, where they know it. */
const phaseVariables = ["workflow_status", "failed_step", "failure_reason", "retry_count"] as const

const prefixes = ["FLOW_", "CONDUCTOR_"] as const

/** The environment, or the first value in use that no environment can hold. */
export const compose = (sources: ScriptVariableSources): Either.Either<ScriptVariables, UnusableEnvironmentValue> => {
  const env = new Map<string, string>()
  const warnings: Array<string> = []
  for (const [name, value] of Object.entries(sources.own)) if (value !== undefined) env.set(name, value)
  for (const [name, value] of Object.entries(sources.provided)) {
    const unusable = setUsed(env, name, value)
    if (unusable !== undefined) return Either.left(unusable)
  }
  for (const [name, value] of given(sources)) setGiven(env, warnings, name, value)
  const lookup = (name: string) => own(sources.variables, name)
  for (const [name, template] of Object.entries(sources.env)) {
    const reason = refusal(name, sources.provided)
    const unusable =
      reason === undefined
        ? setUsed(env, name, substitute(template, lookup, { unknown: "empty" }))
        : void warnings.push(`env: '${name}' is skipped: ${reason}`)
    if (unusable !== undefined) return Either.left(unusable)
  }
  for (const variable of sources.command) {
    const unusable = setUsed(env, variable.env, lookup(variable.name) ?? "", variable.name)
    if (unusable !== undefined) return Either.left(unusable)
  }
  return Either.right({ env: Object.fromEntries(env), warnings })
}

const own = (texts: Texts, name: string): string | undefined => (Object.hasOwn(texts, name) ? texts[name] : undefined)

/** Everything that reaches a script as `FLOW_<NAME>`. */
const given = ({ inputs, variables }: ScriptVariableSources): ReadonlyArray<readonly [string, string]> => [
  ...Object.entries(inputs).filter(([name]) => !name.startsWith("item.")),
  ...phaseVariables.flatMap((name) => {
    const value = own(variables, name)
    return value === undefined ? [] : [[name, value] as const]
  })
]

const setGiven = (env: Map<string, string>, warnings: Array<string>, name: string, value: string): void => {
  if (!/^[A-Za-z0-9_]+$/.test(name)) {
    warnings.push(`the input '${name}' is not in the script's environment: its name is no variable's`)
    return
  }
  for (const prefix of prefixes) {
    const variable = `${prefix}${name.toUpperCase()}`
    const unusable = checkEnvironmentValue(name, value, variable)
    if (unusable !== undefined) {
      warnings.push(`the input '${name}' is not in the script's environment: ${unusable.message}`)
      return
    }
    env.set(variable, value)
  }
}

const setUsed = (
  env: Map<string, string>,
  name: string,
  value: string,
  shown: string = name
): UnusableEnvironmentValue | undefined => {
  const unusable = checkEnvironmentValue(shown, value, name)
  if (unusable === undefined) env.set(name, value)
  return unusable
}

const refusal = (name: string, provided: Texts): string | undefined => {
  if (name === "" || name.includes("=") || name.includes("\0")) return "it is no name of a variable"
  if (protectedNames.has(name) || name.startsWith("DYLD_")) return "it is protected"
  return Object.hasOwn(provided, name) ? "the script environment sets it" : undefined
}
