/** Nodes as text, one function per kind. */
import type {
  ActionRef,
  BranchCall,
  CallWorkflowNode,
  ForeachNode,
  GateNode,
  GateOptions,
  Node,
  OnFail,
  ParallelNode,
  PipelineNode,
  QualityGateNode,
  ScriptNode,
  WhileNode
} from "./Definition.ts"
import { isIdentifier } from "./Lexer.ts"
import {
  block,
  condition,
  duration,
  list,
  name,
  oneOrList,
  option,
  pair,
  quote,
  textMap,
  valueMap
} from "./PrinterText.ts"

/** Nodes on lines of their own; those with a body have an empty line around them. */
export const printNodes = (nodes: ReadonlyArray<Node>): string => {
  let text = ""
  let before: Node | undefined
  for (const node of nodes) {
    const apart = before !== undefined && (hasBlock(before) || hasBlock(node))
    text += `${before === undefined ? "" : apart ? "\n\n" : "\n"}${printNode(node)}`
    before = node
  }
  return text
}

const hasBlock = (node: Node): boolean => node._tag !== "Call" && node._tag !== "CallWorkflow"

const printNode = (node: Node): string => {
  switch (node._tag) {
    case "Call":
      return printCall(node)
    case "CallWorkflow":
      return printCallWorkflow(node)
    case "If":
      return `if ${condition(node.condition)} ${body([], node.body)}`
    case "Unless":
      return `unless ${condition(node.condition)} ${body([], node.body)}`
    case "While":
      return `while ${condition(node.condition)} ${body(loopOptions(node), node.body)}`
    case "DoWhile":
      return `do ${body(loopOptions(node), node.body)} while ${condition(node.condition)}`
    case "Do":
      return `do ${body([...option("output", node.output, quote), ...option("with", node.with, oneOrList)], node.body)}`
    case "Parallel":
      return printParallel(node)
    case "Gate":
      return printGate(node)
    case "QualityGate":
      return printQualityGate(node)
    case "Always":
      return `always ${body([], node.body)}`
    case "Script":
      return printScript(node)
    case "Foreach":
      return printForeach(node)
    case "Pipeline":
      return printPipeline(node)
  }
}

/** Options, an empty line, nodes. */
const body = (options: ReadonlyArray<string>, nodes: ReadonlyArray<Node>): string => {
  const parts = [options.join("\n"), printNodes(nodes)].filter((part) => part !== "")
  return parts.length === 0 ? "{}" : `{\n${parts.join("\n\n")}\n}`
}

const loopOptions = (node: Pick<WhileNode, "maxIterations" | "stuckAfter" | "onMaxIter">): ReadonlyArray<string> => [
  ...option("max_iterations", node.maxIterations, String),
  ...option("stuck_after", node.stuckAfter, String),
  ...option("on_max_iter", node.onMaxIter, String)
]

const printAction = (action: ActionRef): string => (action._tag === "Name" ? name(action.name) : quote(action.path))

const printOnFail = (onFail: OnFail): string => {
  if (onFail._tag === "Continue") return "continue"
  return onFail._tag === "Name" && isIdentifier(onFail.name) ? onFail.name : quote(onFailText(onFail))
}

const onFailText = (action: ActionRef): string => (action._tag === "Name" ? action.name : action.path)

const printCall = (call: BranchCall): string => {
  const options = [
    ...option("if", call.if, condition),
    ...option("retries", call.retries, String),
    ...option("retry_delay", call.retryDelay, duration),
    ...option("backoff", call.backoff, String),
    ...option("max_delay", call.maxDelay, duration),
    ...option("jitter", call.jitter, String),
    ...option("on_fail", call.onFail, printOnFail),
    ...option("output", call.output, quote),
    ...option("with", call.with, oneOrList),
    ...option("as", call.as, quote),
    ...option("plugin_dirs", call.pluginDirs, list),
    ...option("timeout", call.timeout, duration),
    ...option("heartbeat", call.heartbeat, duration),
    ...option("max_turns", call.maxTurns, String),
    ...option("model", call.model, quote),
    ...inputs(call.inputs)
  ]
  return `call ${printAction(call.action)}${options.length === 0 ? "" : ` ${block(options)}`}`
}

const inputs = (texts: { readonly [key: string]: string } | undefined): ReadonlyArray<string> =>
  texts === undefined ? [] : [`inputs ${textMap(texts)}`]

const printCallWorkflow = (node: CallWorkflowNode): string => {
  const options = [
    ...inputs(node.inputs),
    ...option("retries", node.retries, String),
    ...option("on_fail", node.onFail, printOnFail),
    ...option("as", node.as, quote),
    ...option("timeout", node.timeout, duration)
  ]
  return `call workflow ${name(node.workflow)}${options.length === 0 ? "" : ` ${block(options)}`}`
}

const calls = (options: ReadonlyArray<string>, branches: ReadonlyArray<BranchCall>): string => {
  const lines = branches.map(printCall).join("\n")
  return `{\n${options.length === 0 ? "" : `${options.join("\n")}\n\n`}${lines}\n}`
}

const printParallel = (node: ParallelNode): string => {
  const options = [
    ...option("fail_fast", node.failFast, String),
    ...option("min_success", node.minSuccess, String),
    ...option("max_parallel", node.maxParallel, String),
    ...option("output", node.output, quote),
    ...option("with", node.with, oneOrList)
  ]
  return `parallel ${calls(options, node.calls)}`
}

const printGate = (node: GateNode): string => {
  const options = [
    ...option("prompt", node.prompt, quote),
    ...option("min_approvals", node.minApprovals, String),
    ...option("mode", node.mode, String),
    ...option("timeout", node.timeout, duration),
    ...option("on_timeout", node.onTimeout, String),
    ...option("as", node.as, quote),
    ...option("options", node.options, gateOptions)
  ]
  return `gate ${name(node.name)} ${block(options)}`
}

const gateOptions = (options: GateOptions): string => {
  if (options._tag === "From") return pair(options.step, options.field)
  if (options.entries.every(({ key, text }) => key === text)) return list(options.entries.map(({ key }) => key))
  return block(options.entries.map(({ key, text }) => `${name(key)} = ${quote(text)}`))
}

const printQualityGate = (node: QualityGateNode): string => {
  const options = [
    ...option("source", node.source, name),
    ...option("threshold", node.threshold, String),
    ...option("on_fail", node.onFail, String)
  ]
  return `gate quality_gate ${block(options)}`
}

const printScript = (node: ScriptNode): string => {
  const options = [
    ...option("run", node.run, quote),
    ...option("env", node.env, textMap),
    ...option("timeout", node.timeout, duration),
    ...option("retries", node.retries, String),
    ...option("on_fail", node.onFail, printOnFail),
    ...option("as", node.as, quote)
  ]
  return `script ${name(node.name)} ${block(options)}`
}

const fanOutOptions = (node: ForeachNode | PipelineNode): ReadonlyArray<string> => [
  ...option("over", node.over, name),
  ...(node._tag === "Foreach" ? option("workflow", node.workflow, name) : []),
  ...option("max_parallel", node.maxParallel, String),
  ...option("scope", node.scope, valueMap),
  ...option("filter", node.filter, valueMap),
  ...option("on_child_fail", node.onChildFail, String)
]

const printForeach = (node: ForeachNode): string => {
  const options = [
    ...fanOutOptions(node),
    ...option("ordered", node.ordered, String),
    ...option("on_cycle", node.onCycle, String),
    ...inputs(node.inputs)
  ]
  return `foreach ${name(node.name)} ${block(options)}`
}

const printPipeline = (node: PipelineNode): string =>
  `pipeline ${name(node.name)} ${calls(fanOutOptions(node), node.calls)}`
