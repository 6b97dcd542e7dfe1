/**
 * The steps of a document: which there are, which of them a place can name, and which markers they may give. Looks into
 * called workflows too, whose steps their callers see.
 */
import {
  type BranchCall,
  type CallWorkflowNode,
  type Condition,
  type MarkerCondition,
  type Node,
  type WorkflowDefinition
} from "../workflow/Definition.ts"
import { stepReferences } from "../workflow/StepNames.ts"
import type { SpanTable } from "../workflow/Source.ts"
import type { Subject } from "./Workspace.ts"

export interface FoundNode {
  readonly node: Node | BranchCall
  /** The loops around it. */
  readonly loops: ReadonlyArray<Node>
  /** The output schema of a call, be it a block's around it. */
  readonly output: string | undefined
}

/** All nodes of a workflow and the calls in its blocks, in the order of its text, its always block last. */
export const allNodes = (definition: WorkflowDefinition): ReadonlyArray<FoundNode> => {
  const found: Array<FoundNode> = []
  for (const node of [...definition.body, ...definition.always]) collect(node, [], undefined, found)
  return found
}

const collect = (
  node: Node,
  loops: ReadonlyArray<Node>,
  inherited: string | undefined,
  found: Array<FoundNode>
): void => {
  const own = "output" in node ? node.output : undefined
  found.push({ node, loops, output: own ?? inherited })
  if ("calls" in node) {
    const around = node._tag === "Parallel" ? own : undefined
    for (const call of node.calls) found.push({ node: call, loops, output: call.output ?? around })
  }
  if (!("body" in node)) return
  const isLoop = node._tag === "While" || node._tag === "DoWhile"
  const inside = isLoop ? [...loops, node] : loops
  for (const inner of node.body) collect(inner, inside, node._tag === "Do" ? (own ?? inherited) : inherited, found)
}

/** The names of the steps that can have run when a place is reached: those before it, and its loops' own. */
export const stepsBefore = (subject: Subject, offset: number): ReadonlyArray<string> => {
  const { definition, spans } = subject.document.file
  if (definition === undefined) return []
  const before = allNodes(definition).filter(({ loops, node }) => {
    const start = spans.node(node)?.start
    return (
      (start !== undefined && start < offset && !isAt(spans, node, offset)) ||
      loops.some((loop) => isAt(spans, loop, offset))
    )
  })
  return [...new Set(before.flatMap(({ node }) => namesOf(subject, node, new Set([definition.name]))))]
}

const isAt = (spans: SpanTable, node: object, offset: number): boolean => {
  const span = spans.node(node)
  return span !== undefined && span.start <= offset && offset <= span.end
}

const namesOf = (subject: Subject, node: Node | BranchCall, seen: Set<string>): ReadonlyArray<string> => {
  const own = stepReferences(node)
  if (node._tag !== "CallWorkflow" || seen.has(node.workflow)) return own
  seen.add(node.workflow)
  const inner = nodesOfChild(subject, node).flatMap((found) => namesOf(subject, found.node, seen))
  return [...own, ...inner]
}

const nodesOfChild = ({ around }: Subject, { workflow }: CallWorkflowNode): ReadonlyArray<FoundNode> => {
  const definition = workflowNamed(around, workflow)
  return definition === undefined ? [] : allNodes({ ...definition, always: [] })
}

/** The definition of a workflow that a name means. */
export const workflowNamed = (around: Subject["around"], name: string): WorkflowDefinition | undefined => {
  const lookup = around?.host.workflow(name)
  return lookup?._tag === "Found" ? lookup.file.definition : undefined
}

export interface StepPlace {
  /** The workflow that has the step. */
  readonly workflow: string
  readonly found: FoundNode
}

/** The step that a name means at a place: the last one before it, else the first; then those of called workflows. */
export const findStep = (subject: Subject, step: string, offset: number): StepPlace | undefined => {
  const { definition, spans } = subject.document.file
  if (definition === undefined) return undefined
  const all = allNodes(definition)
  const named = all.filter(({ node }) => stepReferences(node).includes(step))
  const before = named.findLast(({ node }) => (spans.node(node)?.end ?? 0) <= offset)
  const own = before ?? named[0]
  if (own !== undefined) return { workflow: definition.name, found: own }
  return findBelow(subject, all, step, new Set([definition.name]))
}

const findBelow = (
  subject: Subject,
  nodes: ReadonlyArray<FoundNode>,
  step: string,
  seen: Set<string>
): StepPlace | undefined => {
  for (const { node } of nodes) {
    if (node._tag !== "CallWorkflow" || seen.has(node.workflow)) continue
    seen.add(node.workflow)
    const inner = nodesOfChild(subject, node)
    const found = inner.findLast((candidate) => stepReferences(candidate.node).includes(step))
    if (found !== undefined) return { workflow: node.workflow, found }
    const deeper = findBelow(subject, inner, step, seen)
    if (deeper !== undefined) return deeper
  }
  return undefined
}

/** What a schema without `markers` can give (spec/language.md, "Output schemas"). */
const defaultMarkers: ReadonlyArray<string> = [
  "not_approved",
  "has_findings",
  "has_critical_findings",
  "has_high_findings"
]

/** The markers that a step is known to give: those of its schema, and those that the document asks for. */
export const markersOf = (subject: Subject, step: string, offset: number): ReadonlyArray<string> => {
  const { definition } = subject.document.file
  const place = findStep(subject, step, offset)
  const declared = place === undefined ? [] : schemaMarkers(subject, place)
  const asked = definition === undefined ? [] : conditionsIn(definition).filter((condition) => condition.step === step)
  return [...new Set([...declared, ...asked.map(({ marker }) => marker)])].filter((marker) => marker !== "unknown")
}

const schemaMarkers = ({ around }: Subject, { found, workflow }: StepPlace): ReadonlyArray<string> => {
  if (found.output === undefined) return []
  const lookup = around?.host.schema(found.output, workflow)
  if (lookup?._tag !== "Found") return []
  return lookup.schema.markers?.map(({ marker }) => marker) ?? defaultMarkers
}

const conditionsIn = (definition: WorkflowDefinition): ReadonlyArray<MarkerCondition> =>
  allNodes(definition).flatMap(({ node }): ReadonlyArray<MarkerCondition> => {
    const condition: Condition | undefined =
      "condition" in node ? node.condition : node._tag === "Call" && "if" in node ? node.if : undefined
    return condition?._tag === "Marker" ? [condition] : []
  })
