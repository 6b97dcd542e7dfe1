/**
 * The places where a workflow runs another: that it exists, its inputs, and the fan-out around it
 * (spec/language.md, "Semantic validation").
 */
import {
  type CallWorkflowNode,
  type ForeachNode,
  isRequired,
  type PipelineNode,
  type Texts,
  type Value,
  type WorkflowDefinition
} from "./Definition.ts"
import type { PayloadKey } from "./Payload.ts"
import * as Template from "./Template.ts"
import { notExecutableHint } from "./ValidatorFiles.ts"
import { isBuiltin, builtins } from "./Variables.ts"
import type { ProviderInfo } from "./ValidatorHost.ts"
import { checkTexts, keysOf, noVariable } from "./ValidatorPayload.ts"
import { type ReferenceNode } from "./ValidatorReferences.ts"
import { listed, shown, type Subject, suggestion } from "./ValidatorReport.ts"
import type { Scope } from "./ValidatorScope.ts"

export const checkCallWorkflow = (subject: Subject, node: CallWorkflowNode, scope: Scope): void => {
  checkChild(subject, node, { node })
  checkNames(subject, node, node.inputs, scope)
}

export const checkForeach = (subject: Subject, node: ForeachNode, scope: Scope): void => {
  const provider = checkFanOut(subject, node)
  checkChild(subject, node, { node, option: "workflow" })
  checkNames(subject, node, node.inputs, scope)
  if (node.ordered === true && provider?.ordered === false) {
    const { host } = subject
    const ordered = host.providerNames().filter((name) => host.provider(name)?.ordered === true)
    const hint =
      ordered.length === 0 ? "leave `ordered` out" : `leave \`ordered\` out, or fan out over ${listed(ordered)}`
    const message = `the provider ${shown(node.over)} knows no order of its items`
    subject.error("order-unsupported", message, { node, option: "ordered" }, hint)
  }
  if (node.onChildFail === "skip_dependents" && node.ordered !== true) {
    const hint = "add `ordered = true`, or use `halt` or `continue`"
    const message = "`skip_dependents` needs `ordered = true`: without an order no item depends on another"
    subject.error("skip-without-order", message, { node, option: "on_child_fail" }, hint)
  }
}

/** The provider of a foreach or a pipeline, its scope and its filter. */
export const checkFanOut = (subject: Subject, node: ForeachNode | PipelineNode): ProviderInfo | undefined => {
  const { host } = subject
  const provider = host.provider(node.over)
  if (provider === undefined) {
    const hint = notExecutableHint(host, "providers", node.over) ?? suggestion(node.over, host.providerNames())
    subject.error("unknown-provider", `no item provider ${shown(node.over)}`, { node, option: "over" }, hint)
    return undefined
  }
  const { filter = {}, scope = {} } = node
  if (provider.needsFilter === true && Object.keys(filter).length === 0) {
    const message = `the provider ${shown(node.over)} needs a filter`
    subject.error("filter-needed", message, { node, option: "filter" }, "add `filter = { … }`")
    return provider
  }
  if (provider.check === undefined || holdsNames(scope) || holdsNames(filter)) return provider
  const { errors, warnings } = provider.check(scope, filter)
  const place = { node, option: node.scope === undefined ? "filter" : "scope" }
  for (const error of errors) subject.error("provider-refusal", `${shown(node.over)}: ${error}`, place)
  for (const warning of warnings) subject.warning("provider-warning", `${shown(node.over)}: ${warning}`, place)
  return provider
}

const holdsNames = (value: Value): boolean => {
  if (typeof value === "string") return Template.hasNames(value)
  return (Array.isArray(value) ? value : Object.values(value)).some(holdsNames)
}

const checkChild = (subject: Subject, node: ReferenceNode, place: { node: object; option?: string }): void => {
  const { host } = subject
  const lookup = host.workflow(node.workflow)
  const name = shown(node.workflow)
  switch (lookup._tag) {
    case "Missing":
      return subject.error(
        "unknown-workflow",
        `no workflow ${name}`,
        place,
        suggestion(node.workflow, host.workflowNames())
      )
    case "Code":
      checkGiven(subject, node, node.workflow, keysOf(subject, `the workflow ${name}`, lookup.takes, place))
      return checkTexts(subject, `the workflow ${name}`, lookup.takes, node, node.inputs)
    case "Broken":
      return subject.error("workflow-broken", `the workflow ${name} cannot be loaded: ${lookup.error}`, place)
    case "Found":
      if (lookup.file.definition !== undefined) return checkInputs(subject, node, lookup.file.definition)
      return subject.error("workflow-broken", `the workflow ${name} cannot be loaded: its text has errors`, place)
  }
}

const checkInputs = (subject: Subject, node: ReferenceNode, child: WorkflowDefinition): void => {
  const inputs = child.inputs.map((input) => ({ name: input.name, required: isRequired(input) }))
  checkGiven(subject, node, child.name, inputs)
}

const checkGiven = (subject: Subject, node: ReferenceNode, child: string, inputs: ReadonlyArray<PayloadKey>): void => {
  const given = Object.keys(node.inputs ?? {})
  const missing = inputs.filter(({ name, required }) => required && !given.includes(name))
  for (const { name } of missing) {
    const message = `the workflow ${shown(child)} requires the input ${shown(name)}`
    subject.error("input-missing", message, { node }, `add \`inputs { ${name} = "…" }\``)
  }
  const declared = inputs.map(({ name }) => name)
  for (const name of given.filter((name) => !declared.includes(name))) {
    const message = `the workflow ${shown(child)} declares no input ${shown(name)}`
    subject.warning("input-undeclared", message, { node, option: `inputs.${name}` }, suggestion(name, declared))
  }
}

/** Names in a child's inputs stay as they are written if nothing provides them, which nobody wants. */
const checkNames = (subject: Subject, node: ReferenceNode, inputs: Texts | undefined, scope: Scope): void => {
  const own = [...subject.definition.inputs.map(({ name }) => name), ...(subject.host.contextNames ?? [])]
  for (const [input, text] of Object.entries(inputs ?? {})) {
    for (const { name } of Template.names(text)) {
      if (own.includes(name) || isBuiltin(name) || scope.hasVariable(name)) continue
      const candidates = [...own, ...scope.variables, ...builtins.map(({ name }) => name)]
      const hint = noVariable(scope, name) ?? suggestion(name, candidates, "it would be handed on as it is written")
      const message = `nothing provides ${shown(`{{${name}}}`)}`
      subject.warning("unknown-variable", message, { node, option: `inputs.${input}` }, hint)
    }
  }
}
