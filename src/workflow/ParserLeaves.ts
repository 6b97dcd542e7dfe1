/** Gates, scripts and fan-outs: nodes that hold nothing but options. */
import type { ForeachNode, GateNode, Node, QualityGateNode, ScriptNode } from "./Definition.ts"
import { readOptions } from "./ParserBlocks.ts"
import { type Mutable, put } from "./ParserCalls.ts"
import * as Coerce from "./ParserCoerce.ts"
import { type Cursor, Mark, shown } from "./ParserCursor.ts"
import { type Name, readName } from "./ParserNames.ts"
import { Options } from "./ParserOptions.ts"
import type { Entry, Raw } from "./ParserValues.ts"

const failOrContinue = Coerce.oneOf(["fail", "continue"])
const gateMode = Coerce.oneOf(["min_approvals", "review_decision"])
const onCycle = Coerce.oneOf(["fail", "warn"])
const onChildFail = Coerce.oneOf(["halt", "continue", "skip_dependents"])

const humanGates: ReadonlySet<string> = new Set(["human_approval", "human_review"])

interface Head {
  readonly start: number
  readonly end: number
  readonly name: Name
}

/** The keyword at the cursor and the name behind it; a missing name is reported and stands for itself. */
const readHead = (cursor: Cursor, wanted: string): Head => {
  const [start, end] = [cursor.start(), cursor.end()]
  cursor.advance()
  const name = readName(cursor, wanted) ?? { name: "unknown", start, end }
  return { start, end: cursor.lastEnd, name }
}

const place = (cursor: Cursor, node: Node, head: Head, entries: ReadonlyArray<Entry>): Node => {
  cursor.spans.add(node, head.start, cursor.lastEnd, head.name.start, head.name.end, entries)
  return node
}

export const readGate = (cursor: Cursor): Node => {
  const head = readHead(cursor, "the gate's name")
  const entries = readOptions(cursor, "the gate's name", Mark.Block, "no inputs")
  const node = head.name.name === "quality_gate" ? qualityGate(cursor, head, entries) : gate(cursor, head, entries)
  return place(cursor, node, head, entries)
}

const gate = (cursor: Cursor, head: Head, entries: ReadonlyArray<Entry>): GateNode => {
  const { name } = head.name
  const options = Options.check(cursor, "gate", entries)
  const node: Mutable<GateNode> = { _tag: "Gate", name }
  put(node, "prompt", options.read("prompt", Coerce.text))
  put(node, "minApprovals", options.integer("min_approvals", 1))
  put(node, "mode", options.read("mode", gateMode))
  put(node, "timeout", options.read("timeout", Coerce.millis))
  put(node, "onTimeout", options.read("on_timeout", failOrContinue))
  put(node, "as", options.read("as", Coerce.text))
  put(node, "options", options.read("options", Coerce.gateOptions))
  if (node.mode === "review_decision") reportApprovals(cursor, options.entry("min_approvals"))
  if (!humanGates.has(name)) reportChoices(cursor, name, options.entry("options"))
  return node
}

const reportApprovals = (cursor: Cursor, entry: Entry | undefined): void => {
  if (entry === undefined) return
  cursor.report({
    code: "approvals-with-review-decision",
    message: "`min_approvals` does not count in the mode `review_decision`",
    start: entry.keyStart,
    end: entry.value.end,
    hint: "remove it, or write `mode = min_approvals`"
  })
}

const reportChoices = (cursor: Cursor, gate: string, entry: Entry | undefined): void => {
  if (entry === undefined) return
  cursor.report({
    code: "options-outside-human-gate",
    message: `no human answers the gate ${shown(gate)}, so it cannot have \`options\``,
    start: entry.keyStart,
    end: entry.keyEnd,
    hint: "`options` belongs to `human_approval` and `human_review`"
  })
}

const qualityGate = (cursor: Cursor, head: Head, entries: ReadonlyArray<Entry>): QualityGateNode => {
  const options = Options.check(cursor, "gate quality_gate", entries)
  options.require(["source", "threshold"], head.start, head.end)
  const onFail = options.read("on_fail", qualityOnFail)
  return {
    _tag: "QualityGate",
    source: options.read("source", Coerce.filledText) ?? "unknown",
    threshold: options.integer("threshold", 0, 100) ?? 0,
    ...(onFail === undefined ? {} : { onFail })
  }
}

const qualityOnFail = (cursor: Cursor, raw: Raw, name: string): "fail" | "continue" | undefined => {
  if (raw.kind !== "scalar" || raw.text !== "pause") return failOrContinue(cursor, raw, name)
  cursor.report({
    code: "old-pause",
    message: "a quality gate cannot pause",
    start: raw.start,
    end: raw.end,
    hint: "write `fail` or `continue`; to have a human decide, put a `gate human_approval` behind it"
  })
  return undefined
}

export const readScript = (cursor: Cursor): Node => {
  const head = readHead(cursor, "the script's name")
  const entries = readOptions(cursor, "the script's name", Mark.Block, "no inputs")
  const options = Options.check(cursor, "script", entries)
  options.require(["run"], head.start, head.end)
  const node: Mutable<ScriptNode> = {
    _tag: "Script",
    name: head.name.name,
    run: options.read("run", Coerce.text) ?? ""
  }
  put(node, "env", options.read("env", Coerce.textMap))
  put(node, "timeout", options.read("timeout", Coerce.millis))
  put(node, "retries", options.integer("retries", 0))
  put(node, "onFail", options.read("on_fail", Coerce.onFail))
  put(node, "as", options.read("as", Coerce.text))
  return place(cursor, node, head, entries)
}

export const readForeach = (cursor: Cursor): Node => {
  const head = readHead(cursor, "the foreach's name")
  const entries = readOptions(cursor, "the foreach's name", Mark.Block, "inputs")
  const options = Options.check(cursor, "foreach", entries)
  options.require(["over", "workflow", "max_parallel"], head.start, head.end)
  const node: Mutable<ForeachNode> = {
    _tag: "Foreach",
    name: head.name.name,
    over: options.read("over", Coerce.filledText) ?? "unknown",
    workflow: options.read("workflow", Coerce.filledText) ?? "unknown",
    maxParallel: options.integer("max_parallel", 0) ?? 1
  }
  put(node, "scope", options.read("scope", Coerce.valueMap))
  put(node, "filter", options.read("filter", Coerce.valueMap))
  put(node, "inputs", options.inputs())
  put(node, "ordered", options.read("ordered", Coerce.boolean))
  put(node, "onCycle", options.read("on_cycle", onCycle))
  put(node, "onChildFail", options.read("on_child_fail", onChildFail))
  return place(cursor, node, head, entries)
}
