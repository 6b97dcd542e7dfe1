/**
 * What the model knows by name: keys of nodes in paths, and what scripted actions give.
 */
import type { ScriptedAction } from "../../src/testing/TestProgram.ts"
import type { BranchCall, CallNode, ForeachNode, Node } from "../../src/workflow/Definition.ts"

/** What a step shows to those after it. */
export interface Result {
  readonly markers: ReadonlyArray<string>
  readonly structured: unknown
}

export interface Item {
  readonly id: string
  readonly blocked_by?: ReadonlyArray<string>
}

export const nothing: Result = { markers: [], structured: null }

export const hasFailed = (status: string | undefined): boolean => status === "failed" || status === "timed_out"

export const actionName = ({ action }: CallNode): string => (action._tag === "Name" ? action.name : action.path)

export const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined

/** `scope = { from = "step.field" }`; undefined where there is no such list. */
export const itemsOf = (
  scope: ForeachNode["scope"],
  seen: ReadonlyMap<string, Result>
): ReadonlyArray<Item> | undefined => {
  const [step = "", field = ""] = String(scope?.["from"]).split(".")
  const list = fieldOf(seen.get(step)?.structured, field)
  return Array.isArray(list) ? list.map((item) => (typeof item === "string" ? { id: item } : item)) : undefined
}

/** What a scripted action gives: its markers may depend on the round of the innermost loop. */
export const resultOf = (
  { markers = [], markersUntil = Infinity, markRounds, structured }: ScriptedAction,
  path: string
) => {
  const round = Number(/.*\/@(\d+)\//.exec(path)?.[1] ?? 0)
  const given = round <= markersUntil ? markers : []
  return { markers: markRounds === true ? [...given, `round_${round}`] : given, structured: structured ?? null }
}

const keyOf = (node: Node | BranchCall): string => {
  switch (node._tag) {
    case "Call":
      return actionName(node)
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
export const keysOf = (nodes: ReadonlyArray<Node | BranchCall>): ReadonlyArray<string> => {
  const keys = nodes.map(keyOf)
  return keys.map((key, index) => {
    const before = keys.slice(0, index).filter((it) => it === key).length
    return before === 0 ? key : `${key}~${before + 1}`
  })
}
