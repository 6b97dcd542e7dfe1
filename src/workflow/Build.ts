/**
 * Definitions made in code: a function for each node of the language, under its keyword, with what the node says in the
 * order in which a file says it: its head, its options, its nodes. What is made prints as `.wf` text (`Printer.print`),
 * and reads back as the same definition.
 *
 * ```ts
 * const deploy = Build.workflow("deploy", { inputs: { service: {}, force: { boolean: true } } }, [
 *   Build.script("build", { run: "make {{service}}", timeout: "10 minutes" }),
 *   Build.parallel({}, [Build.call("lint"), Build.call("test", { retries: 2 })]),
 *   Build.unless("force", [Build.gate("human_approval", { prompt: "Deploy {{service}}?" })]),
 *   Build.callWorkflow("roll-out", { inputs: { service: "{{service}}" } })
 * ])
 * ```
 *
 * What options mean, and their defaults: docs/language.md; their names are those of the language, `max_iterations` being
 * `maxIterations`.
 */
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { definitionProblem, nodeTitle } from "./BuildProblems.ts"
import {
  type ActionRef,
  type AlwaysNode,
  type BranchCall,
  type CallNode,
  type CallWorkflowNode,
  type Condition,
  type DoNode,
  type DoWhileNode,
  defaults,
  type ForeachNode,
  type GateNode,
  type GateOptions,
  type IfNode,
  type InputDeclaration,
  type MarkerCondition,
  type Node,
  type OnFail,
  type ParallelNode,
  type PipelineNode,
  type QualityGateNode,
  type ScriptNode,
  type WhileNode,
  WorkflowDefinition
} from "./Definition.ts"
import { millisOf } from "./Duration.ts"
import { kind } from "./Json.ts"

/** An action by its name, a file below the project's root (`path`), or what has a name: a typed action. */
export type Action = string | ActionRef | { readonly name: string; readonly _tag?: never }

/** `"step.marker"`; in two where a name holds a dot. */
export type Marker = `${string}.${string}` | { readonly step: string; readonly marker: string }

/** A marker, or the name of a boolean input. */
export type Test = string | { readonly step: string; readonly marker: string }

/** Follows when all attempts have failed. */
export type AfterFailure = "continue" | Action

type Time = Duration.DurationInput

/** A file below the project's root, to be called. */
export const path = (file: string): ActionRef => ({ _tag: "Path", path: file })

// ---- calls

export interface CallOptions
  extends Pick<
    CallNode,
    "retries" | "backoff" | "jitter" | "output" | "as" | "pluginDirs" | "maxTurns" | "model" | "inputs"
  > {
  readonly retryDelay?: Time
  readonly maxDelay?: Time
  readonly timeout?: Time
  readonly heartbeat?: Time
  readonly onFail?: AfterFailure
  readonly with?: string | ReadonlyArray<string>
}

/** In a parallel block or a pipeline. */
export interface BranchOptions extends CallOptions {
  readonly if: Test
}

/** A call that stands anywhere: it has no condition of its own. */
export type PlainCall = CallNode & { readonly if?: never }

/** What stands in a block. */
export type BlockNode = Exclude<Node, CallNode> | PlainCall

export const call: {
  (action: Action, options?: CallOptions): PlainCall
  (action: Action, options: BranchOptions): BranchCall
} = (action: Action, options: CallOptions & Partial<BranchOptions> = {}): PlainCall => {
  const { heartbeat, if: test, maxDelay, onFail, retryDelay, timeout, with: snippets, ...rest } = options
  const plain: CallNode = { _tag: "Call", action: actionRef(action), ...rest }
  const made: BranchCall = {
    ...plain,
    ...times(plain, { retryDelay, maxDelay, timeout, heartbeat }),
    ...given(onFail, (action) => ({ onFail: afterFailure(action) })),
    ...given(snippets, (texts) => ({ with: list(texts) })),
    ...given(test, (test) => ({ if: condition(test) }))
  }
  // SAFETY: the overloads tell a call with a condition from one without.
  return made as PlainCall
}

export interface CallWorkflowOptions extends Pick<CallWorkflowNode, "inputs" | "retries" | "as"> {
  readonly timeout?: Time
  readonly onFail?: AfterFailure
}

/** By its name, or a typed workflow. */
export const callWorkflow = (
  workflow: string | { readonly name: string },
  options: CallWorkflowOptions = {}
): CallWorkflowNode => {
  const { onFail, timeout, ...rest } = options
  const made: CallWorkflowNode = {
    _tag: "CallWorkflow",
    workflow: typeof workflow === "string" ? workflow : workflow.name,
    ...rest
  }
  return {
    ...made,
    ...times(made, { timeout }),
    ...given(onFail, (action) => ({ onFail: afterFailure(action) }))
  }
}

export interface ScriptOptions extends Pick<ScriptNode, "run" | "env" | "retries" | "as"> {
  readonly timeout?: Time
  readonly onFail?: AfterFailure
}

export const script = (name: string, options: ScriptOptions): ScriptNode => {
  const { onFail, timeout, ...rest } = options
  const made: ScriptNode = { _tag: "Script", name, ...rest }
  return {
    ...made,
    ...times(made, { timeout }),
    ...given(onFail, (action) => ({ onFail: afterFailure(action) }))
  }
}

// ---- gates

export interface GateSettings extends Pick<GateNode, "prompt" | "minApprovals" | "mode" | "onTimeout" | "as"> {
  readonly timeout?: Time
  /** Texts, keys with texts, or the field of an earlier step's output that holds them. */
  readonly options?:
    | ReadonlyArray<string | { readonly key: string; readonly text: string }>
    | { readonly step: string; readonly field: string }
}

/** `gate NAME`; a quality gate is `qualityGate`. */
export const gate = (name: string, settings: GateSettings = {}): GateNode => {
  const { options, timeout, ...rest } = settings
  const made: GateNode = { _tag: "Gate", name, ...rest }
  return {
    ...made,
    ...times(made, { timeout }),
    ...given(options, (options) => ({ options: gateOptions(options) }))
  }
}

const gateOptions = (options: NonNullable<GateSettings["options"]>): GateOptions =>
  "step" in options
    ? { _tag: "From", ...options }
    : { _tag: "Fixed", entries: options.map((one) => (typeof one === "string" ? { key: one, text: one } : one)) }

/** `gate quality_gate`. */
export const qualityGate = (options: Omit<QualityGateNode, "_tag">): QualityGateNode => ({
  _tag: "QualityGate",
  ...options
})

// ---- blocks

export type Calls = readonly [BranchCall, ...ReadonlyArray<BranchCall>]

export interface ParallelOptions extends Omit<ParallelNode, "_tag" | "calls" | "with"> {
  readonly with?: string | ReadonlyArray<string>
}

export const parallel = (options: ParallelOptions, calls: Calls): ParallelNode => {
  const { with: snippets, ...rest } = options
  return { _tag: "Parallel", ...rest, ...given(snippets, (texts) => ({ with: list(texts) })), calls }
}

export const foreach = (name: string, options: Omit<ForeachNode, "_tag" | "name">): ForeachNode => ({
  _tag: "Foreach",
  name,
  ...options
})

export const pipeline = (
  name: string,
  options: Omit<PipelineNode, "_tag" | "name" | "calls">,
  calls: Calls
): PipelineNode => ({ _tag: "Pipeline", name, ...options, calls })

const ifNode = (test: Test, body: ReadonlyArray<BlockNode>): IfNode => ({
  _tag: "If",
  condition: condition(test),
  body
})

export const unless = (test: Test, body: ReadonlyArray<BlockNode>): IfNode => ({
  _tag: "Unless",
  condition: condition(test),
  body
})

export type LoopOptions = Pick<WhileNode, "maxIterations" | "stuckAfter" | "onMaxIter">

const whileNode = (test: Marker, options: LoopOptions, body: ReadonlyArray<BlockNode>): WhileNode => ({
  _tag: "While",
  condition: marker(test),
  ...options,
  body
})

/** `do { … } while step.marker`. */
export const doWhile = (options: LoopOptions, body: ReadonlyArray<BlockNode>, test: Marker): DoWhileNode => ({
  _tag: "DoWhile",
  condition: marker(test),
  ...options,
  body
})

export interface DoOptions extends Pick<DoNode, "output"> {
  readonly with?: string | ReadonlyArray<string>
}

const doNode = (options: DoOptions, body: ReadonlyArray<BlockNode>): DoNode => {
  const { with: snippets, ...rest } = options
  return { _tag: "Do", ...rest, ...given(snippets, (texts) => ({ with: list(texts) })), body }
}

/** In a block: runs in place. The workflow's own stands in `workflow`. */
export const always = (body: ReadonlyArray<BlockNode>): AlwaysNode => ({ _tag: "Always", body })

export { doNode as do, ifNode as if, whileNode as while }

// ---- workflows

export interface WorkflowOptions
  extends Partial<Pick<WorkflowDefinition, "title" | "description" | "trigger" | "targets" | "group">> {
  /** By name, in their order. */
  readonly inputs?: Readonly<Record<string, Partial<Omit<InputDeclaration, "name">>>>
  /** Runs at the end, whatever happened. */
  readonly always?: ReadonlyArray<BlockNode>
}

/**
 * A definition, to be run (`WorkflowFiles.start`), checked (`Validator.validate`) or printed. Throws a `RangeError` where
 * an option cannot have its value, or a name is empty: which node, which option, what was expected, what was given. The
 * functions of nodes throw it where a time cannot be read, or is negative.
 */
export const workflow = (
  name: string,
  options: WorkflowOptions,
  body: ReadonlyArray<Exclude<BlockNode, AlwaysNode>>
): WorkflowDefinition => {
  const { always = [], inputs = {}, targets = [], trigger = defaults.trigger, ...rest } = options
  const made: WorkflowDefinition = {
    name,
    ...rest,
    trigger,
    targets,
    inputs: Object.entries(inputs).map(([name, input]) => ({
      name,
      boolean: false,
      required: false,
      secret: false,
      ...input
    })),
    body,
    always
  }
  return Either.getOrThrowWith(validated(made), (error) => new RangeError(definitionProblem(made, error)))
}

const validated = Schema.validateEither(WorkflowDefinition)

// ---- what options are made of

const actionRef = (action: Action): ActionRef => {
  if (typeof action === "string") return { _tag: "Name", name: action }
  return action._tag === undefined ? { _tag: "Name", name: action.name } : action
}

const afterFailure = (action: AfterFailure): OnFail =>
  action === "continue" ? { _tag: "Continue" } : actionRef(action)

const condition = (test: Test): Condition => {
  if (typeof test !== "string") return { _tag: "Marker", ...test }
  return isDotted(test) ? marker(test) : { _tag: "Input", name: test }
}

const isDotted = (text: string): text is `${string}.${string}` => text.includes(".")

/** In two at the last dot; without one there is no step, which `workflow` refuses. */
const marker = (given: Marker): MarkerCondition => {
  if (typeof given !== "string") return { _tag: "Marker", ...given }
  const dot = given.lastIndexOf(".")
  return { _tag: "Marker", step: given.slice(0, Math.max(dot, 0)), marker: given.slice(dot + 1) }
}

/** The times that are given, in ms. */
const times = <K extends string>(
  node: Node,
  given: Readonly<Record<K, Time | undefined>>
): { readonly [_ in K]?: number } => {
  const found: { [_ in K]?: number } = {}
  for (const [option, time] of entries(given)) if (time !== undefined) found[option] = millis(node, option, time)
  return found
}

// SAFETY: the keys are those of a literal.
const entries = <K extends string, A>(record: Readonly<Record<K, A>>) => Object.entries(record) as Array<[K, A]>

const millis = (node: Node, option: string, time: Time): number => {
  const found = millisOf(time)
  if (found !== undefined) return found
  const actual = typeof time === "string" ? JSON.stringify(time) : typeof time === "object" ? kind(time) : String(time)
  throw new RangeError(
    `${nodeTitle(node)}: ${option}: Expected a time of at least 0, such as "30 seconds", actual ${actual}`
  )
}

const list = (texts: string | ReadonlyArray<string>): ReadonlyArray<string> =>
  typeof texts === "string" ? [texts] : texts

const given = <A, B extends object>(value: A | undefined, make: (value: A) => B): B | undefined =>
  value === undefined ? undefined : make(value)
