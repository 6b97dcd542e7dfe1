/**
 * The rules for each node of a workflow, in the order in which nodes run: the scope holds what the nodes before have
 * produced (spec/language.md, "Semantic validation").
 */
import type { BranchCall, CallNode, Condition, GateNode, Node, ParallelNode, PipelineNode } from "./Definition.ts"
import { checkCallWorkflow, checkFanOut, checkForeach } from "./ValidatorChildren.ts"
import { checkAction, checkOnFail, checkPrompt, checkRun, notExecutableHint } from "./ValidatorFiles.ts"
import { checkPayload } from "./ValidatorPayload.ts"
import { listed, type Place, shown, type Subject, suggestion } from "./ValidatorReport.ts"
import { type Producer, Scope } from "./ValidatorScope.ts"

/** Gates that need no resolver. */
const builtinGates: ReadonlyArray<string> = ["human_approval", "human_review", "quality_gate"]

export class NodeRules {
  /** Every step of the workflow, to tell a step that comes too late from one that does not exist. */
  private readonly all = new Scope()

  constructor(
    private readonly subject: Subject,
    private readonly producer: Producer
  ) {
    const { always, body } = subject.definition
    producer.nodes(this.all, [...body, ...always], this.around(undefined))
  }

  /** Checks nodes in order, and adds to the scope what they produce. `output` is the schema that is handed on. */
  check(nodes: ReadonlyArray<Node>, scope: Scope, output?: string): void {
    for (const node of nodes) {
      this.checkNode(node, scope, output)
      this.producer.node(scope, node, this.around(output))
    }
  }

  private around(output: string | undefined) {
    return { workflow: this.subject.name, output }
  }

  private checkNode(node: Node, scope: Scope, output: string | undefined): void {
    const { subject } = this
    switch (node._tag) {
      case "Call":
        return this.checkCall(node, scope)
      case "CallWorkflow":
        checkCallWorkflow(subject, node, scope)
        return checkOnFail(subject, node, scope)
      case "Script":
        checkRun(subject, node)
        return checkOnFail(subject, node, scope)
      case "Parallel":
        return this.checkParallel(node, scope)
      case "Gate":
        return this.checkGate(node, scope)
      case "QualityGate":
        return this.checkStep(node.source, scope, { node, option: "source" })
      case "Foreach":
        return checkForeach(subject, node, scope)
      case "Pipeline":
        return this.checkPipeline(node, scope)
      case "If":
      case "Unless":
        this.checkCondition(node.condition, scope, { node, option: "condition" })
        return this.check(node.body, scope, output)
      case "While":
        this.checkCondition(node.condition, scope, { node, option: "condition" })
        return this.checkLoopBody(node.body, scope, output)
      case "DoWhile":
        this.checkLoopBody(node.body, scope, output)
        return this.checkCondition(node.condition, scope, { node, option: "condition" })
      case "Do":
        checkPrompt(subject, node)
        return this.check(node.body, scope, node.output ?? output)
      case "Always":
        return this.check(node.body, scope, output)
    }
  }

  /** From the second round on a loop's first node comes after its last one. */
  private checkLoopBody(body: ReadonlyArray<Node>, scope: Scope, output: string | undefined): void {
    this.producer.nodes(scope, body, this.around(output))
    this.check(body, scope, output)
  }

  private checkCall(node: CallNode | BranchCall, scope: Scope): void {
    checkAction(this.subject, node.action, { node }, node.pluginDirs)
    checkPayload(this.subject, node.action, { node }, scope, node.inputs ?? {})
    checkOnFail(this.subject, node, scope)
    checkPrompt(this.subject, node)
  }

  /** All conditions are looked at before any branch starts. */
  private checkParallel(node: ParallelNode, scope: Scope): void {
    checkPrompt(this.subject, node)
    const beside = new Scope()
    this.producer.node(beside, node, this.around(undefined))
    for (const call of node.calls) {
      this.checkCall(call, scope)
      if (call.if === undefined) continue
      const isBeside = call.if._tag === "Marker" && beside.steps.has(call.if.step)
      const late = isBeside ? "a block's conditions are looked at before any of its calls starts" : undefined
      this.checkCondition(call.if, scope, { node: call, option: "if" }, late)
    }
  }

  private checkPipeline(node: PipelineNode, scope: Scope): void {
    checkFanOut(this.subject, node)
    const chain = new Scope()
    for (const call of node.calls) {
      const visible = new Scope()
      visible.add(scope)
      visible.add(chain)
      this.checkCall(call, visible)
      if (call.if !== undefined) {
        const late = "a pipeline's `if` looks only at what the item itself went through before"
        this.checkCondition(call.if, chain, { node: call, option: "if" }, late)
      }
      this.producer.call(chain, call, this.around(undefined))
    }
  }

  private checkGate(node: GateNode, scope: Scope): void {
    const { host } = this.subject
    if (!builtinGates.includes(node.name) && !host.gate(node.name)) {
      const known = [...builtinGates, ...host.gateNames()]
      const hint = notExecutableHint(host, "gates", node.name) ?? suggestion(node.name, known)
      this.subject.error("unknown-gate", `no resolver for the gate ${shown(node.name)}`, { node }, hint)
    }
    if (node.options?._tag === "From") this.checkStep(node.options.step, scope, { node, option: "options" })
  }

  private checkCondition(condition: Condition, scope: Scope, place: Place, late?: string): void {
    if (condition._tag === "Marker") this.checkStep(condition.step, scope, place, late)
    else this.checkInput(condition.name, scope, place)
  }

  private checkStep(step: string, scope: Scope, place: Place, late?: string): void {
    if (scope.hasStep(step)) return
    const known = [...scope.steps]
    const message = `no step before this one is called ${shown(step)}`
    const comesLater = this.all.steps.has(step) ? (late ?? `${shown(step)} comes later`) : undefined
    const none = known.length === 0 ? "no step comes before it" : `the steps before it are ${listed(known)}`
    this.subject.error("unknown-step", message, place, comesLater ?? suggestion(step, known, late ?? none))
  }

  private checkInput(name: string, scope: Scope, place: Place): void {
    const { inputs } = this.subject.definition
    const declared = inputs.find((input) => input.name === name)
    if (declared?.boolean === true) return
    const booleans = inputs.filter(({ boolean }) => boolean).map((input) => input.name)
    const declare = `declare it: \`inputs { ${name} boolean }\``
    const hint = scope.steps.has(name)
      ? `a step's marker is written \`${name}.marker\``
      : declared === undefined
        ? suggestion(name, booleans, declare)
        : `declare it as boolean: \`${name} boolean\``
    this.subject.error("unknown-input", `${shown(name)} is no boolean input`, place, hint)
  }
}
