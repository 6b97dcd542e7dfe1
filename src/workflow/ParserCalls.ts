/** Calls of actions and workflows, parallel blocks and pipelines. */
import {
  type ActionRef,
  type BranchCall,
  type CallNode,
  type CallWorkflowNode,
  defaults,
  type Node,
  type ParallelNode,
  type PipelineNode
} from "./Definition.ts"
import { Kind } from "./Lexer.ts"
import { misplacedOption, readBlock, readOptions } from "./ParserBlocks.ts"
import * as Coerce from "./ParserCoerce.ts"
import { type Cursor, isNodeKeyword, Mark, shown } from "./ParserCursor.ts"
import { foreignName, readName } from "./ParserNames.ts"
import { Options } from "./ParserOptions.ts"
import { type Entry, readEntry, readEntryWithoutEquals, readWord } from "./ParserValues.ts"
import { duration } from "./PrinterText.ts"
import { nearest } from "./Suggest.ts"

export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Sets what was written; an absent option stays absent. */
export const put = <T, K extends keyof T>(node: T, key: K, value: T[K] | undefined): void => {
  if (value !== undefined) node[key] = value
}

const none: ReadonlyArray<Entry> = []
const backoff = Coerce.oneOf(["fixed", "exponential"])

/** `call NAME { … }`, `call "path" { … }` or `call workflow NAME { … }`. */
export const readCall = (cursor: Cursor): CallNode | CallWorkflowNode | undefined => {
  const start = cursor.start()
  cursor.advance()
  if (cursor.isWord("workflow") && cursor.kind(1) !== Kind.Equals) return readCallWorkflow(cursor, start)
  const head = readAction(cursor)
  if (head === undefined) return undefined
  const node: Mutable<CallNode> = { _tag: "Call", action: head.action }
  const entries = cursor.kind() === Kind.LeftBrace ? readOptions(cursor, "`call`", Mark.None, "inputs") : none
  if (entries.length > 0) callOptions(cursor, Options.check(cursor, "call", entries), node)
  cursor.spans.add(node, start, cursor.lastEnd, head.start, head.end, entries)
  return node
}

interface ActionHead {
  readonly action: ActionRef
  readonly start: number
  readonly end: number
}

const unusable: ActionRef = { _tag: "Path", path: "unusable" }

const readAction = (cursor: Cursor): ActionHead | undefined => {
  const [start, end] = [cursor.start(), cursor.end()]
  if (cursor.kind() === Kind.Identifier && !cursor.isEntry()) {
    const name = cursor.text()
    cursor.advance()
    foreignName(cursor, "an action's name", "put a path in quotes")
    return { action: { _tag: "Name", name }, start, end }
  }
  if (cursor.kind() === Kind.String && !cursor.isEntry()) {
    return { action: Coerce.path(cursor, readWord(cursor), start, end) ?? unusable, start, end }
  }
  cursor.unexpected("an action behind `call`", 'write its name, or its path in quotes: `call "agents/review.md"`')
  if (cursor.kind() === Kind.Unknown) cursor.advance()
  if (cursor.kind() === Kind.LeftBrace) cursor.skipGroup()
  return undefined
}

const callOptions = (cursor: Cursor, options: Options, node: Mutable<CallNode>): void => {
  put(node, "retries", options.integer("retries", 0))
  put(node, "retryDelay", options.read("retry_delay", Coerce.millis))
  put(node, "backoff", options.read("backoff", backoff))
  put(node, "maxDelay", options.read("max_delay", Coerce.millis))
  warnOfCappedDelay(cursor, options, node)
  put(node, "jitter", options.read("jitter", Coerce.boolean))
  put(node, "onFail", options.read("on_fail", Coerce.onFail))
  put(node, "output", options.read("output", Coerce.text))
  put(node, "with", options.read("with", Coerce.textOrTexts))
  put(node, "as", options.read("as", Coerce.text))
  put(node, "pluginDirs", options.read("plugin_dirs", Coerce.texts))
  put(node, "timeout", options.read("timeout", Coerce.millis))
  put(node, "heartbeat", options.read("heartbeat", Coerce.millis))
  put(node, "maxTurns", options.integer("max_turns", 0))
  put(node, "model", options.read("model", Coerce.text))
  put(node, "inputs", options.inputs())
}

const warnOfCappedDelay = (cursor: Cursor, options: Options, { maxDelay, retryDelay }: CallNode): void => {
  const written = options.entry("retry_delay")?.value
  const longest = maxDelay ?? defaults.maxDelay
  if (written === undefined || retryDelay === undefined || retryDelay <= longest) return
  const which = maxDelay === undefined ? "the default of `max_delay`" : "`max_delay`"
  cursor.report({
    severity: "warning",
    code: "retry-delay-capped",
    message: `\`retry_delay = ${duration(retryDelay)}\` counts as ${duration(longest)}, which is ${which}`,
    start: written.start,
    end: written.end,
    hint: `to wait that long, write \`max_delay = ${duration(retryDelay)}\` beside it`
  })
}

const readCallWorkflow = (cursor: Cursor, start: number): CallWorkflowNode | undefined => {
  cursor.advance()
  const head = readName(cursor, "the workflow's name behind `call workflow`")
  if (head === undefined) return undefined
  const node: Mutable<CallWorkflowNode> = { _tag: "CallWorkflow", workflow: head.name }
  const entries = cursor.kind() === Kind.LeftBrace ? readOptions(cursor, "`call workflow`", Mark.None, "inputs") : none
  if (entries.length > 0) {
    const options = Options.check(cursor, "call workflow", entries)
    put(node, "inputs", options.inputs())
    put(node, "retries", options.integer("retries", 0))
    put(node, "onFail", options.read("on_fail", Coerce.onFail))
    put(node, "as", options.read("as", Coerce.text))
    put(node, "timeout", options.read("timeout", Coerce.millis))
  }
  cursor.spans.add(node, start, cursor.lastEnd, head.start, head.end, entries)
  return node
}

type CallOwner = "call in a parallel block" | "call in a pipeline"

const readBranch = (cursor: Cursor, owner: CallOwner): BranchCall | undefined => {
  const start = cursor.start()
  cursor.mark(Mark.Item)
  cursor.advance()
  if (cursor.isWord("workflow") && cursor.kind(1) === Kind.Identifier) {
    onlyCalls(cursor, "`call workflow`")
    readCallWorkflow(cursor, start)
    return undefined
  }
  const head = readAction(cursor)
  if (head === undefined) return undefined
  const node: Mutable<BranchCall> = { _tag: "Call", action: head.action }
  const entries = cursor.kind() === Kind.LeftBrace ? readOptions(cursor, "`call`", Mark.None, "inputs") : none
  if (entries.length > 0) {
    const options = Options.check(cursor, owner, entries)
    callOptions(cursor, options, node)
    put(node, "if", options.read("if", Coerce.condition))
  }
  cursor.spans.add(node, start, cursor.lastEnd, head.start, head.end, entries)
  return node
}

const onlyCalls = (cursor: Cursor, what: string): void =>
  cursor.report({
    code: "only-calls",
    message: `${what} cannot stand here: only calls of actions can`,
    start: cursor.start(),
    end: cursor.end(),
    hint: "a workflow called by `foreach`, or a block of its own, holds other steps"
  })

interface Calls {
  readonly entries: ReadonlyArray<Entry>
  readonly calls: ReadonlyArray<BranchCall>
}

/** `{ kv* call+ }`. */
const readCalls = (cursor: Cursor, after: string, owner: CallOwner): Calls => {
  const entries: Array<Entry> = []
  const calls: Array<BranchCall> = []
  let seen = false
  const member = (): boolean => {
    if (cursor.isEntry()) {
      if (seen) misplacedOption(cursor)
      entries.push(readEntry(cursor))
    } else if (isCall(cursor)) {
      seen = true
      const call = readBranch(cursor, owner)
      if (call !== undefined) calls.push(call)
    } else readOther(cursor, entries)
    return true
  }
  readBlock(cursor, after, Mark.Block, member, () => cursor.kind() === Kind.Identifier)
  return { entries, calls }
}

/** `call`, or a word that is likely meant to be it. */
const isCall = (cursor: Cursor): boolean => {
  if (cursor.kind() !== Kind.Identifier) return false
  const word = cursor.text()
  const next = cursor.kind(1)
  if (word === "call") return true
  if (nearest(word, ["call"]) === undefined || (next !== Kind.Identifier && next !== Kind.String)) return false
  cursor.report({
    code: "unknown-keyword",
    message: `${shown(word)} does not begin a step`,
    start: cursor.start(),
    end: cursor.end(),
    hint: "did you mean `call`?"
  })
  return true
}

const readOther = (cursor: Cursor, entries: Array<Entry>): void => {
  const value = cursor.kind(1)
  const entry = value === Kind.LeftBrace ? undefined : readEntryWithoutEquals(cursor)
  if (entry !== undefined) entries.push(entry)
  else if (cursor.kind() !== Kind.Identifier || !isNodeKeyword(cursor.text())) {
    cursor.unexpected("`call`, an option or `}`")
  } else {
    onlyCalls(cursor, shown(cursor.text()))
    cursor.recover()
  }
}

const missingCalls = (cursor: Cursor, owner: string, start: number, end: number): void =>
  cursor.report({
    code: "missing-calls",
    message: `\`${owner}\` needs at least one \`call\``,
    start,
    end,
    hint: "add `call NAME`"
  })

const isFilled = <A>(items: ReadonlyArray<A>): items is readonly [A, ...Array<A>] => items.length > 0

export const readParallel = (cursor: Cursor): Node | undefined => {
  const [start, headEnd] = [cursor.start(), cursor.end()]
  cursor.advance()
  const { entries, calls } = readCalls(cursor, "`parallel`", "call in a parallel block")
  const options = Options.check(cursor, "parallel", entries)
  const node: Mutable<Omit<ParallelNode, "calls">> = { _tag: "Parallel" }
  put(node, "failFast", options.read("fail_fast", Coerce.boolean))
  put(node, "minSuccess", options.integer("min_success", 0))
  put(node, "output", options.read("output", Coerce.text))
  put(node, "with", options.read("with", Coerce.textOrTexts))
  put(node, "maxParallel", options.integer("max_parallel", 1))
  if (!isFilled(calls)) {
    missingCalls(cursor, "parallel", start, headEnd)
    return undefined
  }
  if (node.minSuccess !== undefined && node.minSuccess > calls.length) minSuccess(cursor, options, calls.length)
  const filled: ParallelNode = { ...node, calls }
  cursor.spans.add(filled, start, cursor.lastEnd, start, headEnd, entries)
  return filled
}

const minSuccess = (cursor: Cursor, options: Options, calls: number): void => {
  const { start = 0, end = 0 } = options.entry("min_success")?.value ?? {}
  cursor.report({
    severity: "warning",
    code: "min-success-too-large",
    message: `\`min_success\` asks for more successes than the block has calls (${calls}), so it always fails`,
    start,
    end
  })
}

/** `halt` or `continue`. */
const childFail = Coerce.oneOf(["halt", "continue"])

export const readPipeline = (cursor: Cursor): Node | undefined => {
  const start = cursor.start()
  cursor.advance()
  const head = readName(cursor, "the pipeline's name")
  const headEnd = cursor.lastEnd
  const { entries, calls } = readCalls(cursor, "the pipeline's name", "call in a pipeline")
  const options = Options.check(cursor, "pipeline", entries)
  options.require(["over", "max_parallel"], start, headEnd)
  if (!isFilled(calls)) missingCalls(cursor, "pipeline", start, headEnd)
  if (head === undefined || !isFilled(calls)) return undefined
  const node: Mutable<Omit<PipelineNode, "calls">> = {
    _tag: "Pipeline",
    name: head.name,
    over: options.read("over", Coerce.filledText) ?? "unknown",
    maxParallel: options.integer("max_parallel", 0) ?? 1
  }
  put(node, "scope", options.read("scope", Coerce.valueMap))
  put(node, "filter", options.read("filter", Coerce.valueMap))
  put(node, "onChildFail", options.read("on_child_fail", childFail))
  const filled: PipelineNode = { ...node, calls }
  cursor.spans.add(filled, start, cursor.lastEnd, head.start, head.end, entries)
  return filled
}
