/**
 * What a workflow means, checked against its surroundings: steps, inputs, other workflows, and everything that it
 * names outside of its file (spec/language.md, "Semantic validation").
 *
 * Pure: all knowledge about the outside is the host's (`ValidatorHost`). Owns the order of things: the workflow
 * itself, then each workflow that it calls, once. The rules: `ValidatorNodes` and its neighbours.
 */
import type { InputDeclaration, WorkflowDefinition } from "./Definition.ts"
import { type Diagnostic, sort } from "./Diagnostic.ts"
import { isFindable, shortestSecret } from "./SecretForms.ts"
import type { Host, WorkflowFile } from "./ValidatorHost.ts"
import { NodeRules } from "./ValidatorNodes.ts"
import { type Cycle, follow, maxChain, type References } from "./ValidatorReferences.ts"
import { listed, shown, Subject, suggestion } from "./ValidatorReport.ts"
import { Producer, Scope } from "./ValidatorScope.ts"

export type { Host, ProviderInfo, WorkflowFile, WorkflowLookup } from "./ValidatorHost.ts"
export { maxChain } from "./ValidatorReferences.ts"

/**
 * Everything that is wrong with a workflow and with those that it calls, sorted by file and position; the latter's
 * findings begin with `in sub-workflow 'x': `. What the parser reported of `file` itself is not repeated. Never
 * throws; empty where there is no definition.
 */
export const validate = (file: WorkflowFile, host: Host): ReadonlyArray<Diagnostic> => {
  const root = file.definition
  if (root === undefined) return []
  const found: Array<Diagnostic> = []
  const references = follow(root, host)
  const producer = new Producer(host)
  const subject = new Subject(root.name, root, file, host, "", found)
  checkWorkflow(subject, producer, references)
  for (const { node, path } of references.chains) {
    const message = `${path.length} workflows call each other in a chain: ${path.join(" -> ")}`
    subject.error("workflow-chain", message, { node }, `a chain has at most ${maxChain} workflows, the first included`)
  }
  for (const name of references.names) checkCalled(name, host, producer, references, found)
  return sort(unique(found))
}

const checkCalled = (
  name: string,
  host: Host,
  producer: Producer,
  references: References,
  found: Array<Diagnostic>
): void => {
  const lookup = host.workflow(name)
  if (lookup._tag !== "Found") return
  const { definition, diagnostics = [] } = lookup.file
  const prefix = `in sub-workflow '${name}': `
  for (const diagnostic of diagnostics) found.push({ ...diagnostic, message: `${prefix}${diagnostic.message}` })
  if (definition === undefined) return
  checkWorkflow(new Subject(name, definition, lookup.file, host, prefix, found), producer, references)
}

const checkWorkflow = (subject: Subject, producer: Producer, references: References): void => {
  const { definition } = subject
  checkFileName(subject, definition)
  checkInputs(subject, definition)
  checkTargets(subject, definition)
  const scope = new Scope()
  const rules = new NodeRules(subject, producer)
  rules.check(definition.body, scope)
  rules.check(definition.always, scope)
  for (const cycle of references.cycles) checkCycle(subject, cycle)
}

const checkCycle = (subject: Subject, { node, path, workflow }: Cycle): void => {
  if (workflow !== subject.name) return
  const place = node._tag === "Foreach" ? { node, option: "workflow" } : { node }
  subject.error("workflow-cycle", `workflows call each other in a circle: ${path.join(" -> ")}`, place)
}

const checkFileName = (subject: Subject, definition: WorkflowDefinition): void => {
  const file = subject.file.source?.file
  if (file === undefined || !file.endsWith(".wf")) return
  const stem = file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1, -".wf".length)
  if (stem === definition.name) return
  const message = `the workflow ${shown(definition.name)} stands in a file called ${shown(`${stem}.wf`)}`
  const hint = `call the file ${shown(`${definition.name}.wf`)}, or the workflow ${shown(stem)}`
  subject.warning("file-name", message, { node: definition }, hint)
}

const checkInputs = (subject: Subject, definition: WorkflowDefinition): void => {
  const seen = new Set<string>()
  for (const input of definition.inputs) {
    if (seen.has(input.name)) {
      subject.error("duplicate-input", `the input ${shown(input.name)} is declared twice`, { node: input })
    }
    seen.add(input.name)
    checkSecret(subject, input)
  }
}

/** Other values are looked at when the run begins. */
const checkSecret = (subject: Subject, input: InputDeclaration): void => {
  const { boolean, default: otherwise = "", name, secret } = input
  if (!secret || (!boolean && (otherwise === "" || isFindable(otherwise)))) return
  const place = boolean ? { node: input } : { node: input, option: "default" }
  const message = boolean
    ? `the secret input ${shown(name)} is boolean: what steps print of it is shown`
    : `the default of the secret input ${shown(name)} is too short: what steps print of it is shown`
  subject.warning("short-secret", message, place, `values of ${shortestSecret} characters or more are hidden`)
}

const checkTargets = (subject: Subject, definition: WorkflowDefinition): void => {
  const { targets } = subject.host
  if (targets === undefined) return
  definition.targets.forEach((target, index) => {
    if (targets.includes(target)) return
    const hint = suggestion(target, targets, targets.length === 0 ? "there are none" : `there are ${listed(targets)}`)
    subject.error(
      "unknown-target",
      `no target ${shown(target)}`,
      { node: definition, option: `targets.${index}` },
      hint
    )
  })
}

/** A broken schema is met wherever it is named, and said once. */
const unique = (diagnostics: ReadonlyArray<Diagnostic>): ReadonlyArray<Diagnostic> => {
  const seen = new Set<string>()
  return diagnostics.filter(({ code, message, source, span }) => {
    const key = JSON.stringify([code, message, source?.file, span?.start, span?.end])
    if (source === undefined || span === undefined || !seen.has(key)) {
      seen.add(key)
      return true
    }
    return false
  })
}
