/**
 * The words of programs and scripts, read for the model: keys of nodes in paths, times that options give, and what
 * scripted actions do and give.
 */
import type { ScriptedAction } from "../../src/testing/TestProgram.ts"
import type { BranchCall, CallNode, ForeachNode, Node, PipelineNode, Texts } from "../../src/workflow/Definition.ts"

/** How a step is tried; not every kind has all of them. */
export type Options = Omit<CallNode, "_tag" | "action">

/** What a step shows to those after it. */
export interface Result {
  readonly markers: ReadonlyArray<string>
  readonly structured: unknown
}

export interface Item {
  readonly id: string
  /** Of items that stand in the list. */
  readonly blockers: ReadonlyArray<string>
}

export const nothing: Result = { markers: [], structured: null }

export const hasFailed = (status: string | undefined): boolean => status === "failed" || status === "timed_out"

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined

export const isOrdered = (node: ForeachNode | PipelineNode): boolean => node._tag === "Foreach" && node.ordered === true

/** `scope = { from = "step.field" }`; undefined where there is no such list. */
export const itemsOf = (
  node: ForeachNode | PipelineNode,
  seen: ReadonlyMap<string, Result>
): ReadonlyArray<Item> | undefined => {
  const [step = "", field = ""] = String(node.scope?.["from"]).split(".")
  const list = fieldOf(seen.get(step)?.structured, field)
  if (!Array.isArray(list)) return undefined
  const ids = list.map((item) => (typeof item === "string" ? item : item.id))
  return list.map((item, index) => {
    const blockedBy: ReadonlyArray<string> = (isOrdered(node) && item.blocked_by) || []
    return { id: ids[index], blockers: ids.filter((id) => blockedBy.includes(id)) }
  })
}

/** Whatever waits for an item, directly or not. */
export const dependentsOf = (items: ReadonlyArray<Item>, id: string): ReadonlyArray<string> =>
  items.filter(({ blockers }) => blockers.includes(id)).flatMap((item) => [item.id, ...dependentsOf(items, item.id)])

/** What a scripted action gives: its markers may depend on the round of the innermost loop. */
export const resultOf = (
  { markers = [], markersUntil = Infinity, markRounds, structured }: ScriptedAction,
  path: string
) => {
  const round = Number(/.*\/@(\d+)\//.exec(path)?.[1] ?? 0)
  const given = round <= markersUntil ? markers : []
  return { markers: markRounds === true ? [...given, `round_${round}`] : given, structured: structured ?? null }
}

/** What an attempt does if nothing ends it, and after how many ms. */
export const attemptOf = (action: ScriptedAction, attempt: number, item: string | undefined) => {
  const { delay = 0, failsFor = [], failures = 0, hangs = 0 } = action
  const isFailing = attempt <= hangs + failures || failsFor.includes(item ?? "")
  return { isFailing, takes: attempt <= hangs ? Infinity : delay }
}

/** ms after which an attempt has been silent for too long. */
export const silence = ({ beats }: ScriptedAction, { heartbeat = Infinity }: Options): number =>
  beats === undefined || beats.every >= heartbeat ? heartbeat : beats.every * beats.times + heartbeat

/** ms after the n-th attempt; with jitter between half and the whole of it, here always as `drawn` says. */
export const pauseAfter = ({ backoff, jitter, maxDelay = 3_600_000, retryDelay = 0 }: Options, n: number): number => {
  const whole = Math.min(backoff === "exponential" ? retryDelay * 2 ** (n - 1) : retryDelay, maxDelay)
  return jitter === true ? Math.round(whole * (0.5 + drawn / 2)) : whole
}

/** What every random draw gives where a program is compared with the model: from 0 to 1. */
export const drawn = 0.3

export const confidenceOf = ({ structured }: Result): number =>
  Math.trunc(Math.min(100, Math.max(0, Number(fieldOf(structured, "confidence") ?? 0))))

/** Texts with variables in them. */
export const substituted = (texts: Texts, variables: Texts): Texts =>
  Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [
      key,
      text.replace(/\{\{(.*?)\}\}/g, (whole, name: string) => variables[name] ?? whole)
    ])
  )

export const keyOf = (node: Node | BranchCall): string => {
  switch (node._tag) {
    case "Call":
      return node.action._tag === "Name" ? node.action.name : node.action.path
    case "CallWorkflow":
      return `workflow:${node.workflow}`
    case "Foreach":
    case "Pipeline":
      return `${node._tag.toLowerCase()}:${node.name}`
    case "Gate":
    case "Script":
      return node.name
    case "QualityGate":
      return "quality_gate"
    case "If":
    case "Unless":
    case "While":
    case "DoWhile": {
      const { condition } = node
      const text = condition._tag === "Input" ? condition.name : `${condition.step}.${condition.marker}`
      return `${node._tag === "DoWhile" ? "do-while" : node._tag.toLowerCase()}:${text}`
    }
    default:
      return node._tag.toLowerCase()
  }
}

/** The keys of a block's nodes: equal ones are numbered from the second on. */
const keysOf = (nodes: ReadonlyArray<Node | BranchCall>): ReadonlyArray<string> => {
  const keys = nodes.map(keyOf)
  return keys.map((key, index) => {
    const before = keys.slice(0, index).filter((it) => it === key).length
    return before === 0 ? key : `${key}~${before + 1}`
  })
}

/** Nodes of a block, with their paths. */
export const placed = <N extends Node | BranchCall>(nodes: ReadonlyArray<N>, path: string) => {
  const keys = keysOf(nodes)
  return nodes.map((node, index) => ({ node, path: `${path}/${keys[index]}` }))
}
