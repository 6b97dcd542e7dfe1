/**
 * The block that a script or an agent prints to hand on its result (spec/language.md, "Flow output"):
 *
 * ```
 * <<<FLOW_OUTPUT>>>
 * {"markers": ["has_issues"], "context": "2 issues in auth", "base_branch": "main"}
 * <<<END_FLOW_OUTPUT>>>
 * ```
 *
 * Everything here is total and linear in the length of the output, which may be megabytes.
 */
import { isObject, type Json, type JsonObject, parse } from "./Json.ts"

export const opening = "<<<FLOW_OUTPUT>>>"
export const closing = "<<<END_FLOW_OUTPUT>>>"

/** The result that a block carries. */
export interface FlowOutput {
  /** In written order, without repeats. */
  readonly markers: ReadonlyArray<string>
  readonly context?: string
  /** The whole block (an object or an array), or the `structured_output` object in it. */
  readonly structured: JsonObject | ReadonlyArray<Json>
}

export interface ParsedFlowOutput {
  /** Absent where there is no block, or none that can be used: a warning then says why. */
  readonly output?: FlowOutput
  readonly warnings: ReadonlyArray<string>
}

/**
 * The result in a program's output. The last opening delimiter followed by `{`, `[` or a code fence counts; a code
 * fence around the JSON, trailing commas and invalid backslash escapes are repaired.
 */
export const parseFlowOutput = (stdout: string): ParsedFlowOutput => {
  const start = lastBlock(stdout)
  if (start === undefined) return { warnings: [] }
  const end = stdout.indexOf(closing, start)
  if (end === -1) return unusable(`it has no ${closing}`)
  const text = unfenced(stdout.slice(start, end))
  const block = parse(text) ?? parse(repaired(text))
  if (Array.isArray(block)) return { output: { markers: [], structured: block }, warnings: [] }
  return isJsonObject(block) ? read(block) : unusable("it holds no valid JSON")
}

/** What an agent without an output schema is told at the end of its prompt. */
export const instructions = `When you have finished, end your answer with this block, and write it nowhere else:

${opening}
{"markers": [], "context": "one or two sentences on the result, for the next step"}
${closing}

\`markers\` is a list of short names that tell what you found, such as "has_issues"; leave it empty if there is nothing to tell. \`context\` is plain text. Every further text field becomes a variable of the later steps. Write valid JSON without comments.`

const unusable = (why: string): ParsedFlowOutput => ({ warnings: [`the flow output is ignored: ${why}`] })

const isJsonObject = (value: Json | undefined): value is JsonObject => isObject(value)

const read = (block: JsonObject): ParsedFlowOutput => {
  const markers = Object.hasOwn(block, "markers") ? block["markers"] : []
  if (!isTexts(markers)) return unusable("its `markers` are no list of texts")
  const context = Object.hasOwn(block, "context") ? block["context"] : undefined
  if (context !== undefined && typeof context !== "string") return unusable("its `context` is no text")
  const own = Object.hasOwn(block, "structured_output") ? block["structured_output"] : undefined
  const output = { markers: [...new Set(markers)], structured: isJsonObject(own) ? own : block }
  return { output: context === undefined ? output : { ...output, context }, warnings: [] }
}

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((element) => typeof element === "string")

/** The offset behind the last opening delimiter that something like JSON follows. */
const lastBlock = (stdout: string): number | undefined => {
  for (let at = stdout.lastIndexOf(opening); at !== -1; at = at === 0 ? -1 : stdout.lastIndexOf(opening, at - 1)) {
    const start = skipBlank(stdout, at + opening.length)
    if (stdout[start] === "{" || stdout[start] === "[" || stdout.startsWith(fence, start)) return start
  }
  return undefined
}

const fence = "```"

const skipBlank = (text: string, from: number): number => {
  let at = from
  while (at < text.length && isBlank(text[at])) at++
  return at
}

const isBlank = (character: string | undefined): boolean =>
  character === " " || character === "\n" || character === "\r" || character === "\t"

/** The text without the code fence around it, whose first line may name a language. */
const unfenced = (block: string): string => {
  const text = block.trim()
  if (!text.startsWith(fence)) return text
  const language = /^`{3,}[A-Za-z0-9_-]*/.exec(text.slice(0, 64))
  const end = text.length > fence.length && text.endsWith(fence) ? text.length - fence.length : text.length
  return text.slice(language?.[0].length ?? fence.length, end)
}

/** Drops trailing commas, and doubles backslashes that start no JSON escape. */
const repaired = (text: string): string => {
  const parts: Array<string> = []
  let from = 0
  let inText = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') inText = !inText
    else if (inText && character === "\\") {
      if (startsEscape(text, at)) at++
      else {
        parts.push(text.slice(from, at), "\\")
        from = at
      }
    } else if (!inText && character === "," && closesNext(text, at + 1)) {
      parts.push(text.slice(from, at))
      from = at + 1
    }
  }
  parts.push(text.slice(from))
  return parts.join("")
}

const startsEscape = (text: string, at: number): boolean => {
  const next = text[at + 1] ?? ""
  if (next === "u") return /^[0-9A-Fa-f]{4}$/.test(text.slice(at + 2, at + 6))
  return next !== "" && '"\\/bfnrt'.includes(next)
}

const closesNext = (text: string, from: number): boolean => {
  const next = text[skipBlank(text, from)]
  return next === "}" || next === "]"
}
