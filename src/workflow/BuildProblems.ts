/**
 * Why a definition made in code is none, for people: the first node that its own schema refuses, and what is wrong there.
 * The schema of all definitions would tell of every node that stands in its place, in tens of thousands of characters.
 */
import * as Either from "effect/Either"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import {
  AlwaysNode,
  BranchCall,
  CallWorkflowNode,
  DoNode,
  DoWhileNode,
  ForeachNode,
  GateNode,
  IfNode,
  type Node,
  ParallelNode,
  PipelineNode,
  QualityGateNode,
  ScriptNode,
  type WorkflowDefinition,
  WhileNode
} from "./Definition.ts"
import { kind } from "./Json.ts"
import { problemText } from "./SchemaProblems.ts"
import { nodeKey } from "./StepNames.ts"

/** Such as `workflow 'w': parallel: call 'test': retries: Expected a non-negative number, actual -1`. */
export const definitionProblem = (definition: WorkflowDefinition, error: ParseResult.ParseError): string => {
  const { always, body, name } = definition
  return `workflow '${name}': ${firstOf(body) ?? prefixed("always", firstOf(always)) ?? problemText(error)}`
}

/** A node as messages call it: `call 'review'`, `if review.has_issues`. */
export const nodeTitle = (node: Node | BranchCall): string => {
  switch (node._tag) {
    case "Call":
      return `call '${nodeKey(node)}'`
    case "CallWorkflow":
      return `call workflow '${node.workflow}'`
    case "Script":
    case "Foreach":
    case "Pipeline":
    case "Gate":
      return `${node._tag.toLowerCase()} '${node.name}'`
    case "QualityGate":
      return `gate ${nodeKey(node)}`
    default:
      return nodeKey(node).replace(":", " ")
  }
}

type Problem = string | undefined

const prefixed = (where: string, found: Problem): Problem => (found === undefined ? undefined : `${where}: ${found}`)

const firstOf = (nodes: ReadonlyArray<Node | BranchCall>): Problem => {
  for (const node of nodes) {
    const found = problemIn(node)
    if (found !== undefined) return found
  }
  return undefined
}

/** What stands in a node comes first: the node's own schema has then nothing to say of it. */
const problemIn = (node: Node | BranchCall): Problem => {
  const check: ((node: unknown) => Checked) | undefined = checks[node?._tag]
  if (check === undefined) return `Expected a node that \`Build\` makes, actual ${kind(node)}`
  const inner = "body" in node ? node.body : "calls" in node ? node.calls : []
  return prefixed(nodeTitle(node), firstOf(inner) ?? problem(check("body" in node ? { ...node, body: [] } : node)))
}

type Checked = Either.Either<unknown, ParseResult.ParseError>

const problem = (checked: Checked): Problem => Either.match(checked, { onLeft: problemText, onRight: () => undefined })

const checks: Readonly<Record<Node["_tag"], (node: unknown) => Checked>> = {
  Call: Schema.validateEither(BranchCall),
  CallWorkflow: Schema.validateEither(CallWorkflowNode),
  If: Schema.validateEither(IfNode),
  Unless: Schema.validateEither(IfNode),
  While: Schema.validateEither(WhileNode),
  DoWhile: Schema.validateEither(DoWhileNode),
  Do: Schema.validateEither(DoNode),
  Parallel: Schema.validateEither(ParallelNode),
  Gate: Schema.validateEither(GateNode),
  QualityGate: Schema.validateEither(QualityGateNode),
  Always: Schema.validateEither(AlwaysNode),
  Script: Schema.validateEither(ScriptNode),
  Foreach: Schema.validateEither(ForeachNode),
  Pipeline: Schema.validateEither(PipelineNode)
}
