/**
 * A workflow as a picture's data: its steps, the blocks around them, and what follows what. Pure; `GraphMermaid` and
 * `GraphSvg` draw it, `GraphStates` lays a run over it.
 *
 * A graph is a tree of boxes: a step is a node, a block (`if`, loops, `parallel`, fan-outs, called workflows) is a
 * container of further boxes. Edges join boxes of one container only, so a condition's bypass is the edge around its
 * container. Every box has the path that its step has in a run (design, "Paths"), less the rounds of loops and the items
 * of fan-outs. In a called workflow it is the calling step's path, `#` and the path in the called run.
 */
import {
  actionStepKey,
  type BranchCall,
  type Condition,
  type ForeachNode,
  type GateNode,
  type Node,
  type OnFail,
  type WorkflowDefinition
} from "./Definition.ts"
import { blockKeys, qualityGateKey } from "./StepNames.ts"
import { maxChain } from "./ValidatorReferences.ts"

export type NodeKind = "start" | "end" | "call" | "workflow" | "gate" | "script" | "condition"

export interface GraphNode {
  readonly _tag: "Node"
  /** `n1`, `n2`, …: unique among nodes and containers. */
  readonly id: string
  readonly kind: NodeKind
  readonly path: string
  readonly label: string
  /** Further lines: what the step's options say. */
  readonly details: ReadonlyArray<string>
}

export type ContainerKind =
  | "if"
  | "unless"
  | "while"
  | "do-while"
  | "do"
  | "parallel"
  | "always"
  | "foreach"
  | "pipeline"
  | "workflow"

export interface GraphContainer {
  readonly _tag: "Container"
  readonly id: string
  readonly kind: ContainerKind
  readonly path: string
  readonly label: string
  readonly details: ReadonlyArray<string>
  /** In the order in which they run; those of `parallel` run side by side. */
  readonly members: ReadonlyArray<GraphMember>
}

export type GraphMember = GraphNode | GraphContainer

export interface GraphEdge {
  readonly from: string
  readonly to: string
  /** `again` leads back to the beginning of a loop. */
  readonly kind: "next" | "again"
}

export interface Graph {
  /** The workflow's name. */
  readonly name: string
  /** Its title, where it has one. */
  readonly title: string | undefined
  readonly members: ReadonlyArray<GraphMember>
  readonly edges: ReadonlyArray<GraphEdge>
}

export interface GraphOptions {
  /** Gives the called workflows that are to be drawn with their steps; the others are single nodes. */
  readonly workflow?: (name: string) => WorkflowDefinition | undefined
}

/** Boxes of one graph; when there are as many, called workflows are no longer drawn with their steps. */
export const maxBoxes = 2_000

/** The graph of a definition. */
export const fromDefinition = (definition: WorkflowDefinition, options: GraphOptions = {}): Graph => {
  const builder = new Builder(options)
  const start = builder.node("start", "", "start")
  const steps = builder.workflow(definition, "")
  const members = [start, ...steps, builder.node("end", "", "end")]
  builder.sequence(members)
  return { name: definition.name, title: definition.title, members, edges: builder.edges }
}

/** All boxes, a container in front of its members. */
export const boxes = (graph: Graph): ReadonlyArray<GraphMember> => {
  const all: Array<GraphMember> = []
  const rest: Array<GraphMember> = graph.members.toReversed()
  for (let member = rest.pop(); member !== undefined; member = rest.pop()) {
    all.push(member)
    if (member._tag === "Container") rest.push(...member.members.toReversed())
  }
  return all
}

/** `step.marker` or an input's name. */
export const conditionText = (condition: Condition): string =>
  condition._tag === "Input" ? condition.name : `${condition.step}.${condition.marker}`

/** The path of a run's always block. */
const alwaysPath = "/@always"

class Builder {
  readonly edges: Array<GraphEdge> = []
  private count = 0
  /** The workflows around what is being drawn. */
  private readonly open: Array<string> = []

  constructor(private readonly options: GraphOptions) {}

  private id(): string {
    this.count++
    return `n${this.count}`
  }

  node(kind: NodeKind, path: string, label: string, details: ReadonlyArray<string> = []): GraphNode {
    return { _tag: "Node", id: this.id(), kind, path, label, details }
  }

  private container(
    kind: ContainerKind,
    path: string,
    label: string,
    details: ReadonlyArray<string>,
    members: (id: string) => ReadonlyArray<GraphMember>
  ): GraphContainer {
    const id = this.id()
    return { _tag: "Container", id, kind, path, label, details, members: members(id) }
  }

  /** Joins boxes that run one after another. */
  sequence(members: ReadonlyArray<GraphMember>): ReadonlyArray<GraphMember> {
    for (let index = 1; index < members.length; index++) this.join(members[index - 1], members[index], "next")
    return members
  }

  private join(from: GraphMember | undefined, to: GraphMember | undefined, kind: GraphEdge["kind"]): void {
    if (from !== undefined && to !== undefined && from !== to) this.edges.push({ from: from.id, to: to.id, kind })
  }

  /** Body and always block; not yet joined. */
  workflow(definition: WorkflowDefinition, prefix: string): ReadonlyArray<GraphMember> {
    this.open.push(definition.name)
    const members = [...this.nodes(definition.body, prefix)]
    if (definition.always.length > 0) {
      const path = prefix + alwaysPath
      members.push(this.container("always", path, "always", [], () => this.block(definition.always, path)))
    }
    this.open.pop()
    return members
  }

  private nodes(nodes: ReadonlyArray<Node>, scope: string): ReadonlyArray<GraphMember> {
    const keys = blockKeys(nodes)
    return nodes.map((node, index) => this.member(node, `${scope}/${keys[index] ?? ""}`))
  }

  private block(nodes: ReadonlyArray<Node>, scope: string): ReadonlyArray<GraphMember> {
    return this.sequence(this.nodes(nodes, scope))
  }

  private calls(calls: ReadonlyArray<BranchCall>, scope: string): ReadonlyArray<GraphMember> {
    const keys = blockKeys(calls)
    return calls.map((call, index) => this.call(call, `${scope}/${keys[index] ?? ""}`))
  }

  private call(node: BranchCall, path: string): GraphNode {
    const condition = node.if === undefined ? [] : [`if ${conditionText(node.if)}`]
    const schema = node.output === undefined ? [] : [`schema ${node.output}`]
    return this.node("call", path, actionStepKey(node.action), [...condition, ...schema, ...attempts(node)])
  }

  private member(node: Node, path: string): GraphMember {
    switch (node._tag) {
      case "Call":
        return this.call(node, path)
      case "CallWorkflow":
        return this.called(node.workflow, path, path, attempts(node))
      case "Script":
        return this.node("script", path, node.name, attempts(node))
      case "Gate":
        return this.node("gate", path, node.name, gateDetails(node))
      case "QualityGate":
        return this.node("gate", path, qualityGateKey, [`${node.source} at least ${node.threshold}`])
      case "Foreach":
        return this.container("foreach", path, `foreach ${node.name}`, foreachDetails(node), () => [
          this.called(node.workflow, `${path}#`, path, [])
        ])
      case "Pipeline":
        return this.container("pipeline", path, `pipeline ${node.name}`, fanOutDetails(node), () =>
          this.sequence(this.calls(node.calls, path))
        )
      case "Parallel":
        return this.container("parallel", path, "parallel", parallelDetails(node), () => this.calls(node.calls, path))
      default:
        return this.nested(node, path)
    }
  }

  private nested(node: Extract<Node, { readonly body: unknown }>, path: string): GraphContainer {
    const body = () => this.block(node.body, path)
    switch (node._tag) {
      case "If":
        return this.container("if", path, `if ${conditionText(node.condition)}`, [], body)
      case "Unless":
        return this.container("unless", path, `unless ${conditionText(node.condition)}`, [], body)
      case "Always":
        return this.container("always", path, "always", [], body)
      case "Do": {
        const details = [
          ...(node.output === undefined ? [] : [`schema ${node.output}`]),
          ...(node.with === undefined ? [] : [`with ${node.with.join(", ")}`])
        ]
        return this.container("do", path, "do", details, body)
      }
      case "While":
      case "DoWhile":
        return this.loop(node, path)
    }
  }

  private loop(node: Extract<Node, { readonly _tag: "While" | "DoWhile" }>, path: string): GraphContainer {
    const isWhile = node._tag === "While"
    const condition = conditionText(node.condition)
    const label = `${isWhile ? "while" : "do while"} ${condition}`
    const details = [`at most ${counted(node.maxIterations, "round")}`]
    return this.container(isWhile ? "while" : "do-while", path, label, details, () => {
      const decision = this.node("condition", `${path}/@condition`, condition)
      const body = this.nodes(node.body, path)
      const members = this.sequence(isWhile ? [decision, ...body] : [...body, decision])
      this.join(members.at(-1), members[0], "again")
      return members
    })
  }

  /** A workflow that runs as a step: with its own steps if it is given, is not being drawn already, and there is room. */
  private called(name: string, path: string, step: string, details: ReadonlyArray<string>): GraphMember {
    const isOpen = this.open.includes(name) || this.open.length >= maxChain || this.count >= maxBoxes
    const definition = isOpen ? undefined : this.options.workflow?.(name)
    if (definition === undefined) return this.node("workflow", path, name, details)
    return this.container("workflow", path, `workflow ${name}`, details, () =>
      this.sequence(this.workflow(definition, `${step}#`))
    )
  }
}

const counted = (count: number, unit: string): string => `${count} ${unit}${count === 1 ? "" : "s"}`

const attempts = (node: { readonly retries?: number; readonly onFail?: OnFail }): ReadonlyArray<string> => {
  const { onFail, retries } = node
  const details: Array<string> = []
  if (retries === 1) details.push("1 retry")
  else if (retries !== undefined && retries > 1) details.push(`${retries} retries`)
  if (onFail !== undefined) {
    details.push(`on_fail ${onFail._tag === "Continue" ? "continue" : actionStepKey(onFail)}`)
  }
  return details
}

const gateDetails = ({ minApprovals, mode }: GateNode): ReadonlyArray<string> => {
  if (mode === "review_decision") return ["by review decision"]
  return minApprovals === undefined ? [] : [counted(minApprovals, "approval")]
}

const fanOutDetails = (node: { readonly over: string; readonly maxParallel: number }): ReadonlyArray<string> => [
  `over ${node.over}, ${node.maxParallel} at once`
]

const foreachDetails = (node: ForeachNode): ReadonlyArray<string> =>
  node.ordered === true ? [...fanOutDetails(node), "in the order of dependencies"] : fanOutDetails(node)

const parallelDetails = (node: Extract<Node, { readonly _tag: "Parallel" }>): ReadonlyArray<string> => [
  ...(node.minSuccess === undefined ? [] : [`needs ${node.minSuccess} of ${node.calls.length}`]),
  ...(node.maxParallel === undefined ? [] : [`${node.maxParallel} at once`])
]
