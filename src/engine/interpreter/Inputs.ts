/**
 * The inputs of runs: what a node gives, under what the workflow declares (spec/language.md, "Grammar" for inputs).
 */
import { isRequired, type Texts, type WorkflowDefinition } from "../../workflow/Definition.ts"
import { type Lookup, substitute } from "../../workflow/Template.ts"

/** Unknown names stay literally: they may be the child's own. */
export const substituteAll = (texts: Texts, lookup: Lookup): Texts =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, substitute(text, lookup, { unknown: "keep" })]))

/** What is wrong with a call that does not give all that the workflow requires. */
export const missingInput = (
  definition: WorkflowDefinition,
  isGiven: (name: string) => boolean
): string | undefined => {
  const needed = definition.inputs.filter(isRequired).map((input) => input.name)
  return missingNames(definition.name, needed, isGiven)
}

export const missingNames = (
  workflow: string,
  needed: ReadonlyArray<string>,
  isGiven: (name: string) => boolean
): string | undefined => {
  const missing = needed.filter((name) => !isGiven(name))
  if (missing.length === 0) return undefined
  return `workflow '${workflow}' needs the input ${missing.map((name) => `'${name}'`).join(", ")}`
}

/** Declared defaults under what was given; an absent boolean is false. */
export const withDefaults = (definition: WorkflowDefinition, inputs: Texts): Texts => {
  const defaulted = definition.inputs.flatMap((input): ReadonlyArray<readonly [string, string]> => {
    const value = input.default ?? (input.boolean ? "false" : undefined)
    return value === undefined ? [] : [[input.name, value]]
  })
  return { ...Object.fromEntries(defaulted), ...inputs }
}

/**
 * Warnings of what a node gives beyond what the workflow declares: it is passed on all the same. An item's own values
 * need no mention.
 */
export const undeclaredInputs = (definition: WorkflowDefinition, given: Texts): ReadonlyArray<string> =>
  undeclaredNames(
    definition.name,
    definition.inputs.map((input) => input.name),
    given
  )

export const undeclaredNames = (
  workflow: string,
  declared: ReadonlyArray<string>,
  given: Texts
): ReadonlyArray<string> =>
  Object.keys(given)
    .filter((name) => !declared.includes(name) && !name.startsWith("item."))
    .map((name) => `workflow '${workflow}' declares no input '${name}'`)
