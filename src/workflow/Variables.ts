/**
 * The names that a run provides by itself (spec/language.md, "Variables and templates").
 */
import type { Texts } from "./Definition.ts"
import { isObject } from "./Json.ts"

export interface BuiltinVariable {
  readonly name: string
  readonly meaning: string
  /** Where it has a value; elsewhere it is empty. */
  readonly within: "everywhere" | "always" | "on_fail" | "fan-out"
}

/** Every built-in name; `item.<key>` stands for all keys that a provider gives. */
export const builtins: ReadonlyArray<BuiltinVariable> = [
  { name: "workflow_run_id", meaning: "the run's id", within: "everywhere" },
  { name: "prior_context", meaning: "the context of the last step", within: "everywhere" },
  {
    name: "prior_contexts",
    meaning:
      "a JSON list of all steps' {step, iteration, context, markers, structured_output, output_file}; structured_output is JSON as text, or null",
    within: "everywhere"
  },
  { name: "prior_output", meaning: "the last structured output, as JSON", within: "everywhere" },
  { name: "prior_output_file", meaning: "the file that holds the last large output", within: "everywhere" },
  { name: "gate_feedback", meaning: "what the last gate was answered with", within: "everywhere" },
  { name: "dry_run", meaning: "`true` in a dry run, else `false`", within: "everywhere" },
  { name: "workflow_status", meaning: "`completed`, `failed` or `cancelled`", within: "always" },
  { name: "failed_step", meaning: "the name of the step that failed", within: "on_fail" },
  { name: "failure_reason", meaning: "its error", within: "on_fail" },
  { name: "retry_count", meaning: "the retries that it was given", within: "on_fail" },
  { name: "item.id", meaning: "the item's id", within: "fan-out" },
  { name: "item.ref", meaning: "the item's reference", within: "fan-out" },
  { name: "item.<key>", meaning: "what else the provider says of the item", within: "fan-out" }
]

const itemPrefix = "item."

const names: ReadonlySet<string> = new Set(builtins.map(({ name }) => name))

/** Whether no step's output may replace this name: the built-ins, and everything below `item.`. */
export const isBuiltin = (name: string): boolean => name.startsWith(itemPrefix) || names.has(name)

/**
 * The texts of a step's structured output that become variables of later steps: all at its top but `markers` and
 * `context`. What may not be replaced (`isBuiltin`, the run context's names) is the caller's to refuse.
 */
export const variablesOf = (structured: unknown): Texts =>
  isObject(structured) ? Object.fromEntries(Object.entries(structured).filter(isVariable)) : {}

const isVariable = (entry: readonly [string, unknown]): entry is [string, string] =>
  typeof entry[1] === "string" && entry[0] !== "markers" && entry[0] !== "context"
