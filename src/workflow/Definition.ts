/**
 * The definition of a workflow: the tree that a `.wf` file parses to, that a builder makes, and that a run's
 * record keeps as JSON (spec/language.md, "Grammar" and "Options by node").
 *
 * Nodes are plain objects with a `_tag`; they carry no positions, so that two files that mean the same have equal
 * definitions. Positions live beside the tree (`Source.SpanTable`). An option that was not written is absent;
 * its default is the interpreter's (`defaults` below).
 */
import * as Schema from "effect/Schema"

/** Text, a list or a map, as written behind `=`; numbers, booleans and bare names are kept as text. */
export type Value = string | ReadonlyArray<Value> | { readonly [key: string]: Value }

export const Value: Schema.Schema<Value> = Schema.Union(
  Schema.String,
  Schema.Array(Schema.suspend((): Schema.Schema<Value> => Value)),
  Schema.Record({ key: Schema.String, value: Schema.suspend((): Schema.Schema<Value> => Value) })
)

/** A map of texts (which may hold `{{name}}`). */
export const Texts = Schema.Record({ key: Schema.String, value: Schema.String })
export type Texts = typeof Texts.Type

/** Whole milliseconds, 0 or more. */
export const Millis = Schema.NonNegativeInt
export type Millis = number

/** What a call names: an action by its name, or a file below the project's root. */
export const ActionRef = Schema.Union(
  Schema.Struct({ _tag: Schema.Literal("Name"), name: Schema.NonEmptyString }),
  Schema.Struct({ _tag: Schema.Literal("Path"), path: Schema.NonEmptyString })
)
export type ActionRef = typeof ActionRef.Type

/** What follows when every attempt failed: go on, or run an action and then fail. */
export const OnFail = Schema.Union(Schema.Struct({ _tag: Schema.Literal("Continue") }), ...ActionRef.members)
export type OnFail = typeof OnFail.Type

/** `step.marker`, or the name of a boolean input. */
export const MarkerCondition = Schema.Struct({
  _tag: Schema.Literal("Marker"),
  step: Schema.NonEmptyString,
  marker: Schema.NonEmptyString
})
export type MarkerCondition = typeof MarkerCondition.Type

export const Condition = Schema.Union(
  MarkerCondition,
  Schema.Struct({ _tag: Schema.Literal("Input"), name: Schema.NonEmptyString })
)
export type Condition = typeof Condition.Type

export const Backoff = Schema.Literal("fixed", "exponential")
export type Backoff = typeof Backoff.Type

const callOptions = {
  /** Further attempts after the first; default 0. */
  retries: Schema.optionalWith(Schema.NonNegativeInt, { exact: true }),
  /** Wait before a retry; default 0. */
  retryDelay: Schema.optionalWith(Millis, { exact: true }),
  backoff: Schema.optionalWith(Backoff, { exact: true }),
  /** Longest wait before a retry; default 1 h. */
  maxDelay: Schema.optionalWith(Millis, { exact: true }),
  jitter: Schema.optionalWith(Schema.Boolean, { exact: true }),
  onFail: Schema.optionalWith(OnFail, { exact: true }),
  /** Name or path of an output schema. */
  output: Schema.optionalWith(Schema.String, { exact: true }),
  /** Prompt snippets. */
  with: Schema.optionalWith(Schema.Array(Schema.String), { exact: true }),
  /** Identity that the step acts as. */
  as: Schema.optionalWith(Schema.String, { exact: true }),
  pluginDirs: Schema.optionalWith(Schema.Array(Schema.String), { exact: true }),
  /** Longest time of one attempt. */
  timeout: Schema.optionalWith(Millis, { exact: true }),
  /** Longest silence of one attempt. */
  heartbeat: Schema.optionalWith(Millis, { exact: true }),
  maxTurns: Schema.optionalWith(Schema.NonNegativeInt, { exact: true }),
  model: Schema.optionalWith(Schema.String, { exact: true }),
  inputs: Schema.optionalWith(Texts, { exact: true })
} as const

export const CallNode = Schema.Struct({ _tag: Schema.Literal("Call"), action: ActionRef, ...callOptions })
export type CallNode = typeof CallNode.Type

/** A call inside a parallel block or a pipeline: a call that may have a condition. */
export const BranchCall = Schema.Struct({
  _tag: Schema.Literal("Call"),
  action: ActionRef,
  ...callOptions,
  if: Schema.optionalWith(Condition, { exact: true })
})
export type BranchCall = typeof BranchCall.Type

export const CallWorkflowNode = Schema.Struct({
  _tag: Schema.Literal("CallWorkflow"),
  workflow: Schema.NonEmptyString,
  inputs: Schema.optionalWith(Texts, { exact: true }),
  retries: Schema.optionalWith(Schema.NonNegativeInt, { exact: true }),
  onFail: Schema.optionalWith(OnFail, { exact: true }),
  as: Schema.optionalWith(Schema.String, { exact: true }),
  timeout: Schema.optionalWith(Millis, { exact: true })
})
export type CallWorkflowNode = typeof CallWorkflowNode.Type

export const ParallelNode = Schema.Struct({
  _tag: Schema.Literal("Parallel"),
  /** Default true. */
  failFast: Schema.optionalWith(Schema.Boolean, { exact: true }),
  /** Successes needed; default all. */
  minSuccess: Schema.optionalWith(Schema.NonNegativeInt, { exact: true }),
  maxParallel: Schema.optionalWith(Schema.Positive.pipe(Schema.int()), { exact: true }),
  output: Schema.optionalWith(Schema.String, { exact: true }),
  with: Schema.optionalWith(Schema.Array(Schema.String), { exact: true }),
  calls: Schema.NonEmptyArray(BranchCall)
})
export type ParallelNode = typeof ParallelNode.Type

/** What a human may select from: fixed key/text pairs in written order, or a field of an earlier step's output. */
export const GateOptions = Schema.Union(
  Schema.Struct({
    _tag: Schema.Literal("Fixed"),
    entries: Schema.Array(Schema.Struct({ key: Schema.String, text: Schema.String }))
  }),
  Schema.Struct({ _tag: Schema.Literal("From"), step: Schema.NonEmptyString, field: Schema.NonEmptyString })
)
export type GateOptions = typeof GateOptions.Type

export const GateMode = Schema.Literal("min_approvals", "review_decision")
export type GateMode = typeof GateMode.Type
export const FailOrContinue = Schema.Literal("fail", "continue")
export type FailOrContinue = typeof FailOrContinue.Type

/** A gate that waits for an answer, from a human or a resolver. */
export const GateNode = Schema.Struct({
  _tag: Schema.Literal("Gate"),
  /** `human_approval`, `human_review`, `pr_approval`, `pr_checks`, or a resolver's name. The kind is the gate's name. */
  name: Schema.NonEmptyString,
  prompt: Schema.optionalWith(Schema.String, { exact: true }),
  minApprovals: Schema.optionalWith(Schema.Positive.pipe(Schema.int()), { exact: true }),
  mode: Schema.optionalWith(GateMode, { exact: true }),
  /** Default 24 h. */
  timeout: Schema.optionalWith(Millis, { exact: true }),
  onTimeout: Schema.optionalWith(FailOrContinue, { exact: true }),
  as: Schema.optionalWith(Schema.String, { exact: true }),
  options: Schema.optionalWith(GateOptions, { exact: true })
})
export type GateNode = typeof GateNode.Type

/** `gate quality_gate`: passes when an earlier step's `confidence` reaches the threshold. */
export const QualityGateNode = Schema.Struct({
  _tag: Schema.Literal("QualityGate"),
  source: Schema.NonEmptyString,
  threshold: Schema.Int.pipe(Schema.between(0, 100)),
  onFail: Schema.optionalWith(FailOrContinue, { exact: true })
})
export type QualityGateNode = typeof QualityGateNode.Type

export const ScriptNode = Schema.Struct({
  _tag: Schema.Literal("Script"),
  name: Schema.NonEmptyString,
  run: Schema.String,
  env: Schema.optionalWith(Texts, { exact: true }),
  timeout: Schema.optionalWith(Millis, { exact: true }),
  retries: Schema.optionalWith(Schema.NonNegativeInt, { exact: true }),
  onFail: Schema.optionalWith(OnFail, { exact: true }),
  as: Schema.optionalWith(Schema.String, { exact: true })
})
export type ScriptNode = typeof ScriptNode.Type

export const OnChildFail = Schema.Literal("halt", "continue", "skip_dependents")
export type OnChildFail = typeof OnChildFail.Type

const Values = Schema.Record({ key: Schema.String, value: Value })

export const ForeachNode = Schema.Struct({
  _tag: Schema.Literal("Foreach"),
  name: Schema.NonEmptyString,
  /** The item provider's name. */
  over: Schema.NonEmptyString,
  workflow: Schema.NonEmptyString,
  maxParallel: Schema.NonNegativeInt,
  scope: Schema.optionalWith(Values, { exact: true }),
  filter: Schema.optionalWith(Values, { exact: true }),
  inputs: Schema.optionalWith(Texts, { exact: true }),
  ordered: Schema.optionalWith(Schema.Boolean, { exact: true }),
  onCycle: Schema.optionalWith(Schema.Literal("fail", "warn"), { exact: true }),
  onChildFail: Schema.optionalWith(OnChildFail, { exact: true })
})
export type ForeachNode = typeof ForeachNode.Type

export const PipelineNode = Schema.Struct({
  _tag: Schema.Literal("Pipeline"),
  name: Schema.NonEmptyString,
  over: Schema.NonEmptyString,
  maxParallel: Schema.NonNegativeInt,
  scope: Schema.optionalWith(Values, { exact: true }),
  filter: Schema.optionalWith(Values, { exact: true }),
  onChildFail: Schema.optionalWith(Schema.Literal("halt", "continue"), { exact: true }),
  calls: Schema.NonEmptyArray(BranchCall)
})
export type PipelineNode = typeof PipelineNode.Type

/** `if` and `unless`. */
export interface IfNode {
  readonly _tag: "If" | "Unless"
  readonly condition: Condition
  readonly body: ReadonlyArray<Node>
}

interface LoopOptions {
  readonly condition: MarkerCondition
  /** At least 1. */
  readonly maxIterations: number
  /** Rounds in a row with the same markers after which the loop fails; at least 1. */
  readonly stuckAfter?: number
  /** Default `fail`. */
  readonly onMaxIter?: FailOrContinue
  readonly body: ReadonlyArray<Node>
}

export interface WhileNode extends LoopOptions {
  readonly _tag: "While"
}

/** `do { … } while step.marker`. */
export interface DoWhileNode extends LoopOptions {
  readonly _tag: "DoWhile"
}

/** A plain `do { … }`: hands `output` and `with` on to the calls inside. */
export interface DoNode {
  readonly _tag: "Do"
  readonly output?: string
  readonly with?: ReadonlyArray<string>
  readonly body: ReadonlyArray<Node>
}

/** `always` nested in a body: runs in place. */
export interface AlwaysNode {
  readonly _tag: "Always"
  readonly body: ReadonlyArray<Node>
}

export type Node =
  | CallNode
  | CallWorkflowNode
  | IfNode
  | WhileNode
  | DoWhileNode
  | DoNode
  | ParallelNode
  | GateNode
  | QualityGateNode
  | AlwaysNode
  | ScriptNode
  | ForeachNode
  | PipelineNode

const Body: Schema.Schema<ReadonlyArray<Node>> = Schema.Array(Schema.suspend((): Schema.Schema<Node> => Node))

export const IfNode: Schema.Schema<IfNode> = Schema.Struct({
  _tag: Schema.Literal("If", "Unless"),
  condition: Condition,
  body: Body
})

const loopOptions = {
  condition: MarkerCondition,
  maxIterations: Schema.Positive.pipe(Schema.int()),
  stuckAfter: Schema.optionalWith(Schema.Positive.pipe(Schema.int()), { exact: true }),
  onMaxIter: Schema.optionalWith(FailOrContinue, { exact: true }),
  body: Body
} as const

export const WhileNode: Schema.Schema<WhileNode> = Schema.Struct({ _tag: Schema.Literal("While"), ...loopOptions })

export const DoWhileNode: Schema.Schema<DoWhileNode> = Schema.Struct({
  _tag: Schema.Literal("DoWhile"),
  ...loopOptions
})

export const DoNode: Schema.Schema<DoNode> = Schema.Struct({
  _tag: Schema.Literal("Do"),
  output: Schema.optionalWith(Schema.String, { exact: true }),
  with: Schema.optionalWith(Schema.Array(Schema.String), { exact: true }),
  body: Body
})

export const AlwaysNode: Schema.Schema<AlwaysNode> = Schema.Struct({ _tag: Schema.Literal("Always"), body: Body })

export const Node: Schema.Schema<Node> = Schema.Union(
  CallNode,
  CallWorkflowNode,
  IfNode,
  WhileNode,
  DoWhileNode,
  DoNode,
  ParallelNode,
  GateNode,
  QualityGateNode,
  AlwaysNode,
  ScriptNode,
  ForeachNode,
  PipelineNode
)

export const InputDeclaration = Schema.Struct({
  name: Schema.NonEmptyString,
  /** A boolean input is a text that conditions may test; absent it is its default, else `"false"`. */
  boolean: Schema.Boolean,
  /** Whether `required` was written; what is needed is `isRequired`. */
  required: Schema.Boolean,
  default: Schema.optionalWith(Schema.String, { exact: true }),
  description: Schema.optionalWith(Schema.String, { exact: true }),
  /** Redacted wherever it would be shown. */
  secret: Schema.Boolean
})
export type InputDeclaration = typeof InputDeclaration.Type

export const WorkflowDefinition = Schema.Struct({
  name: Schema.NonEmptyString,
  title: Schema.optionalWith(Schema.String, { exact: true }),
  description: Schema.optionalWith(Schema.String, { exact: true }),
  /** `manual` where none is written. */
  trigger: Schema.String,
  targets: Schema.Array(Schema.String),
  group: Schema.optionalWith(Schema.String, { exact: true }),
  inputs: Schema.Array(InputDeclaration),
  body: Schema.Array(Node),
  always: Schema.Array(Node)
})
export type WorkflowDefinition = typeof WorkflowDefinition.Type

/** Whether a run must be given this input: never a boolean one (spec/language.md, "Grammar"). */
export const isRequired = (input: InputDeclaration): boolean =>
  !input.boolean && (input.required || input.default === undefined)

/** What an option means when it is not written. Times in ms. */
export const defaults = {
  retries: 0,
  retryDelay: 0,
  backoff: "fixed",
  maxDelay: 3_600_000,
  jitter: false,
  failFast: true,
  onMaxIter: "fail",
  minApprovals: 1,
  gateMode: "min_approvals",
  gateTimeout: 86_400_000,
  onTimeout: "fail",
  qualityOnFail: "fail",
  ordered: false,
  onCycle: "fail",
  onChildFail: "continue",
  trigger: "manual"
} as const

/** The key of the step that an action makes: its name, or a path's file name less the extension. */
export const actionStepKey = (action: ActionRef): string => {
  if (action._tag === "Name") return action.name
  const file = action.path.slice(action.path.lastIndexOf("/") + 1)
  const dot = file.lastIndexOf(".")
  return dot > 0 ? file.slice(0, dot) : file
}
