/**
 * What the step of a node is called, and the keys of nodes in paths (spec/language.md, "Step names"; design, "Paths").
 * A path is its parent's path, `/`, and a key; blocks number equal keys in source order (`build`, `build~2`).
 */
import { actionStepKey, type BranchCall, type Condition, type Node } from "./Definition.ts"

/** A quality gate has no name of its own. */
export const qualityGateKey = "quality_gate"

/**
 * The name that the node's step is recorded under, before encoding; undefined for nodes that record no step of their
 * own (conditions, loops, blocks).
 */
export const stepName = (node: Node | BranchCall): string | undefined => {
  switch (node._tag) {
    case "Call":
      return actionStepKey(node.action)
    case "CallWorkflow":
      return `workflow:${node.workflow}`
    case "Foreach":
      return `foreach:${node.name}`
    case "Pipeline":
      return `pipeline:${node.name}`
    case "Gate":
    case "Script":
      return node.name
    case "QualityGate":
      return qualityGateKey
    default:
      return undefined
  }
}

/** The names by which conditions, `source` and `options` may refer to the node's step: its own and the short one. */
export const stepReferences = (node: Node | BranchCall): ReadonlyArray<string> => {
  const name = stepName(node)
  if (name === undefined) return []
  switch (node._tag) {
    case "CallWorkflow":
      return [name, node.workflow]
    case "Foreach":
    case "Pipeline":
      return [name, node.name]
    default:
      return [name]
  }
}

const conditionText = (condition: Condition): string =>
  condition._tag === "Input" ? condition.name : `${condition.step}.${condition.marker}`

/** The key of a node, not yet encoded: its step's name, or its kind and condition (`if:review.has_issues`, `do`). */
export const nodeKey = (node: Node | BranchCall): string => {
  switch (node._tag) {
    case "If":
      return `if:${conditionText(node.condition)}`
    case "Unless":
      return `unless:${conditionText(node.condition)}`
    case "While":
      return `while:${conditionText(node.condition)}`
    case "DoWhile":
      return `do-while:${conditionText(node.condition)}`
    case "Do":
      return "do"
    case "Parallel":
      return "parallel"
    case "Always":
      return "always"
    default:
      return stepName(node) ?? ""
  }
}

const safe = /^[A-Za-z0-9_.:-]*$/
const safeChar = /^[A-Za-z0-9_.:-]$/

/** A key as it stands in a path: every character but `A-Z a-z 0-9 _ . : -` percent-encoded as UTF-8. */
export const encodeKey = (text: string): string => {
  if (safe.test(text)) return text
  let encoded = ""
  for (const char of text) encoded += safeChar.test(char) ? char : percentEncode(char.codePointAt(0) ?? 0)
  return encoded
}

/** Surrogates without a partner get the three bytes that UTF-8 would have for them, so that keys stay distinct. */
const percentEncode = (code: number): string => {
  if (code < 0x80) return percent(code)
  if (code < 0x800) return percent(0xc0 | (code >> 6)) + trailing(code)
  if (code < 0x10000) return percent(0xe0 | (code >> 12)) + trailing(code >> 6) + trailing(code)
  return percent(0xf0 | (code >> 18)) + trailing(code >> 12) + trailing(code >> 6) + trailing(code)
}

const percent = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
const trailing = (bits: number): string => percent(0x80 | (bits & 0x3f))

/** The path segments of a block's nodes in source order: encoded keys, from the second equal one on with `~n`. */
export const blockKeys = (nodes: ReadonlyArray<Node | BranchCall>): ReadonlyArray<string> =>
  numberKeys(nodes.map((node) => encodeKey(nodeKey(node))))

/** Encoded keys, from the second equal one on with `~2`, `~3`, … */
export const numberKeys = (keys: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Map<string, number>()
  return keys.map((key) => {
    const count = (seen.get(key) ?? 0) + 1
    seen.set(key, count)
    return count === 1 ? key : `${key}~${count}`
  })
}
