/**
 * Which workflows a workflow needs, and how they hang together (spec/language.md, "Semantic validation"): cycles, and
 * chains that are too long.
 */
import type { CallWorkflowNode, ForeachNode, Node, WorkflowDefinition } from "./Definition.ts"
import type { Host } from "./ValidatorHost.ts"

/** The longest chain of workflows that call each other, the first one included (spec/engine.md, "Defaults"). */
export const maxChain = 5

/** A node that runs another workflow. */
export type ReferenceNode = CallWorkflowNode | ForeachNode

export interface Cycle {
  /** The workflow whose node closes the cycle. */
  readonly workflow: string
  readonly node: ReferenceNode
  /** From the workflow that is reached again, to itself. */
  readonly path: ReadonlyArray<string>
}

export interface Chain {
  /** The node of the root that begins it. */
  readonly node: ReferenceNode
  readonly path: ReadonlyArray<string>
}

export interface References {
  /** The workflows that are needed, without the root, each once, in the order in which they are met. */
  readonly names: ReadonlyArray<string>
  readonly cycles: ReadonlyArray<Cycle>
  /** Chains of more than `maxChain` workflows, for each workflow that the root begins one with. */
  readonly chains: ReadonlyArray<Chain>
}

/** All that hangs on a definition; each workflow is looked at once. */
export const follow = (root: WorkflowDefinition, host: Host): References => {
  const walk: Walk = { host, open: [], longest: new Map(), cycles: [] }
  visit(walk, root.name, root)
  const chains = new Map<string, Chain>()
  for (const node of referenceNodes(root)) {
    const path = [root.name, ...(walk.longest.get(node.workflow) ?? [])]
    if (path.length > maxChain && !chains.has(node.workflow)) chains.set(node.workflow, { node, path })
  }
  const names = [...walk.longest.keys()].filter((name) => name !== root.name)
  return { names, cycles: walk.cycles, chains: [...chains.values()] }
}

interface Walk {
  readonly host: Host
  /** The workflows on the way from the root. */
  readonly open: Array<string>
  /** The longest chain that begins with a workflow; empty while it is being found out. */
  readonly longest: Map<string, ReadonlyArray<string>>
  readonly cycles: Array<Cycle>
}

const visit = (walk: Walk, name: string, definition: WorkflowDefinition | undefined): void => {
  walk.open.push(name)
  walk.longest.set(name, [])
  let rest: ReadonlyArray<string> = []
  for (const node of definition === undefined ? [] : referenceNodes(definition)) {
    const from = walk.open.indexOf(node.workflow)
    if (from !== -1) {
      walk.cycles.push({ workflow: name, node, path: [...walk.open.slice(from), node.workflow] })
      continue
    }
    if (!walk.longest.has(node.workflow)) visit(walk, node.workflow, definitionOf(walk.host, node.workflow))
    const found = walk.longest.get(node.workflow) ?? []
    if (found.length > rest.length) rest = found
  }
  walk.longest.set(name, [name, ...rest])
  walk.open.pop()
}

const definitionOf = (host: Host, name: string): WorkflowDefinition | undefined => {
  const lookup = host.workflow(name)
  return lookup._tag === "Found" ? lookup.file.definition : undefined
}

/** The nodes of a workflow, its always block included, that run other workflows. */
export const referenceNodes = (definition: WorkflowDefinition): ReadonlyArray<ReferenceNode> => [
  ...definition.body.flatMap(referencesIn),
  ...definition.always.flatMap(referencesIn)
]

const referencesIn = (node: Node): ReadonlyArray<ReferenceNode> => {
  if (node._tag === "CallWorkflow" || node._tag === "Foreach") return [node]
  return "body" in node ? node.body.flatMap(referencesIn) : []
}
