/**
 * What the nodes before a place can have produced: steps that conditions may name, and variables
 * (spec/language.md, "Semantic validation").
 */
import {
  type ActionRef,
  actionStepKey,
  type BranchCall,
  type Node,
  type OnFail,
  type PipelineNode
} from "./Definition.ts"
import { stepReferences } from "./StepNames.ts"
import type { Host } from "./ValidatorHost.ts"

export class Scope {
  readonly steps = new Set<string>()
  readonly variables = new Set<string>()
  /** What steps gave that is no text, by its name: the step. It is no variable. */
  readonly others = new Map<string, string>()
  /** A workflow that cannot be read is called: it may have produced any step. */
  anyStep = false
  /** A step without a schema may have given any text. */
  anyVariable = false

  hasStep(name: string): boolean {
    return this.anyStep || this.steps.has(name)
  }

  hasVariable(name: string): boolean {
    return this.anyVariable || this.variables.has(name)
  }

  add(other: Scope): void {
    for (const step of other.steps) this.steps.add(step)
    for (const variable of other.variables) this.variables.add(variable)
    for (const [name, step] of other.others) this.others.set(name, step)
    this.anyStep ||= other.anyStep
    this.anyVariable ||= other.anyVariable
  }
}

/** Of which workflow nodes are, and the schema that the blocks around them hand on. */
export interface Surroundings {
  readonly workflow: string
  readonly output: string | undefined
}

/** Finds out what nodes can produce; each called workflow is looked at once. */
export class Producer {
  private readonly children = new Map<string, Scope>()

  constructor(private readonly host: Host) {}

  /** Adds to a scope all that the nodes can have produced when they have run. */
  nodes(scope: Scope, nodes: ReadonlyArray<Node>, around: Surroundings): void {
    for (const node of nodes) this.node(scope, node, around)
  }

  node(scope: Scope, node: Node, around: Surroundings): void {
    switch (node._tag) {
      case "Call":
        return this.call(scope, node, around)
      case "Parallel":
        for (const call of node.calls) this.call(scope, call, { workflow: around.workflow, output: node.output })
        return
      case "Do":
        return this.nodes(scope, node.body, { workflow: around.workflow, output: node.output ?? around.output })
      case "If":
      case "Unless":
      case "While":
      case "DoWhile":
      case "Always":
        return this.nodes(scope, node.body, around)
      default:
        this.leaf(scope, node)
    }
  }

  private leaf(
    scope: Scope,
    node: Exclude<Node, { readonly body: unknown } | { readonly calls: unknown }> | PipelineNode
  ): void {
    addNames(scope, node)
    if (node._tag === "Script" || node._tag === "CallWorkflow") this.onFail(scope, node.onFail)
    if (node._tag === "Script") scope.anyVariable = true
    if (node._tag === "CallWorkflow") scope.add(this.child(node.workflow))
  }

  call(scope: Scope, call: BranchCall, around: Surroundings): void {
    addNames(scope, call)
    this.onFail(scope, call.onFail)
    if (this.typed(scope, call.action)) return
    const ref = call.output ?? around.output
    const lookup = ref === undefined ? undefined : this.host.schema(ref, around.workflow)
    if (lookup?._tag !== "Found") {
      scope.anyVariable = true
      return
    }
    for (const { name, type } of lookup.schema.fields) {
      if (type._tag === "String" || type._tag === "Enum") scope.variables.add(name)
    }
  }

  /** Whether it is known what an action in code gives; then its texts are added. */
  private typed(scope: Scope, action: ActionRef): boolean {
    const info = action._tag === "Name" ? this.host.typedAction?.(action.name) : undefined
    for (const name of info?.gives ?? []) scope.variables.add(name)
    for (const name of info?.keeps ?? []) scope.others.set(name, actionStepKey(action))
    return info?.gives !== undefined
  }

  /** The result of an on_fail action stays visible under its own name. */
  private onFail(scope: Scope, onFail: OnFail | undefined): void {
    if (onFail === undefined || onFail._tag === "Continue") return
    scope.steps.add(actionStepKey(onFail))
    if (!this.typed(scope, onFail)) scope.anyVariable = true
  }

  /** The steps of a called workflow's body, which its caller sees, those of its own children among them. */
  private child(workflow: string): Scope {
    const known = this.children.get(workflow)
    if (known !== undefined) return known
    const scope = new Scope()
    this.children.set(workflow, scope)
    const lookup = this.host.workflow(workflow)
    const body = lookup._tag === "Found" ? lookup.file.definition?.body : undefined
    if (lookup._tag === "Code") {
      scope.anyVariable = true
    } else if (body === undefined) {
      scope.anyStep = true
      scope.anyVariable = true
    } else {
      this.nodes(scope, body, { workflow, output: undefined })
    }
    return scope
  }
}

const addNames = (scope: Scope, node: Node | BranchCall): void => {
  for (const name of stepReferences(node)) scope.steps.add(name)
}
