/**
 * What actions and workflows that are written in code want of those that call them (spec/language.md, "Semantic
 * validation"): a value for each key of their payload.
 */
import type { ActionRef, Texts } from "./Definition.ts"
import type { PayloadKeys } from "./Payload.ts"
import * as Template from "./Template.ts"
import { type Place, shown, type Subject, suggestion } from "./ValidatorReport.ts"
import type { Scope } from "./ValidatorScope.ts"
import { builtins, isBuiltin } from "./Variables.ts"

/** The values for a call of a typed action: its own `inputs`, then the variables that there are. */
export const checkPayload = (
  subject: Subject,
  action: ActionRef,
  place: Place,
  scope: Scope,
  /** Undefined: it has none of its own, as an `on_fail` action. */
  inputs: Texts | undefined
): void => {
  const facts = action._tag === "Name" ? subject.host.typedAction?.(action.name) : undefined
  if (facts === undefined || action._tag !== "Name") return
  const keys = keysOf(subject, `the action ${shown(action.name)}`, facts.takes, place)
  const own = [
    ...Object.keys(inputs ?? {}),
    ...subject.definition.inputs.map(({ name }) => name),
    ...(subject.host.contextNames ?? [])
  ]
  for (const { name, required } of keys) {
    if (!required || own.includes(name) || isBuiltin(name) || scope.hasVariable(name)) continue
    const message = `the action ${shown(action.name)} needs ${shown(name)}, which nothing gives`
    const candidates = [...own, ...scope.variables, ...builtins.map(({ name }) => name)]
    const hint = inputs === undefined ? `declare it among the workflow's inputs` : `add \`inputs { ${name} = "…" }\``
    subject.error("payload-missing", message, place, noVariable(scope, name) ?? suggestion(name, candidates, hint))
  }
  checkTexts(subject, `the action ${shown(action.name)}`, facts.takes, place.node, inputs)
}

/** Of a name that a step before gave, but not as a text; undefined: none did. */
export const noVariable = (scope: Scope, name: string): string | undefined => {
  const step = scope.others.get(name)
  if (step === undefined) return undefined
  return `${shown(step)} gives ${shown(name)}, but only texts become variables: let its success encode it as one, such as \`Schema.NumberFromString\``
}

/** What is written out, and would only be refused by the run. */
export const checkTexts = (
  subject: Subject,
  whose: string,
  takes: PayloadKeys,
  node: object,
  inputs: Texts | undefined
): void => {
  if (takes._tag === "NoObject") return
  for (const [name, text] of Object.entries(inputs ?? {})) {
    const problem = Template.hasNames(text) ? undefined : takes.problemOf(name, text)
    if (problem === undefined) continue
    const message = `${whose} does not take ${shown(text)} as ${shown(name)}: ${problem}`
    subject.error("payload-refused", message, { node, option: `inputs.${name}` }, payloadHint)
  }
}

const payloadHint = "write what its payload's schema reads; numbers, truth values, lists and objects as JSON"

/** The keys of a payload; none where it is no object, which is told. */
export const keysOf = (subject: Subject, whose: string, takes: PayloadKeys, place: Place) => {
  if (takes._tag === "Keys") return takes.keys
  const message = `${whose} takes ${takes.wanted}, and texts by name cannot make one`
  subject.error("payload-shape", message, place, "give its payload a schema with keys")
  return []
}
