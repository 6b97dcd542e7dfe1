/** The nodes of a workflow's body, one function per kind (spec/language.md, "Grammar" and "Options by node"). */
import type { Condition, MarkerCondition, Node } from "./Definition.ts"
import { Kind } from "./Lexer.ts"
import { misplacedOption, readBlock } from "./ParserBlocks.ts"
import { readCall, readPipeline, readParallel } from "./ParserCalls.ts"
import * as Coerce from "./ParserCoerce.ts"
import { type Cursor, isNodeKeyword, Mark, nodeKeywords, shown } from "./ParserCursor.ts"
import { readForeach, readGate, readScript } from "./ParserLeaves.ts"
import { Options } from "./ParserOptions.ts"
import { type Entry, type Raw, readEntry, readValue } from "./ParserValues.ts"
import { nearest } from "./Suggest.ts"

/**
 * Reads the node at the cursor, which stands on an identifier. Undefined where none could be made of it; everything
 * that is wrong with it is reported.
 */
export const readNode = (cursor: Cursor): Node | undefined => {
  const word = cursor.text()
  if (isNodeKeyword(word)) return readKind(cursor, word)
  switch (word) {
    case "else":
      return foreignElse(cursor)
    case "meta":
    case "inputs":
      return misplacedBlock(cursor, word)
    case "workflow":
      return misplacedWorkflow(cursor)
    default:
      return misspelt(cursor, word)
  }
}

const readKind = (cursor: Cursor, keyword: string): Node | undefined => {
  cursor.mark(Mark.Item)
  switch (keyword) {
    case "call":
      return readCall(cursor)
    case "if":
      return readIf(cursor, "If")
    case "unless":
      return readIf(cursor, "Unless")
    case "while":
      return readWhile(cursor)
    case "do":
      return readDo(cursor)
    case "parallel":
      return readParallel(cursor)
    case "gate":
      return readGate(cursor)
    case "always":
      return readAlways(cursor)
    case "script":
      return readScript(cursor)
    case "foreach":
      return readForeach(cursor)
    default:
      return readPipeline(cursor)
  }
}

interface Body {
  readonly entries: ReadonlyArray<Entry>
  readonly nodes: ReadonlyArray<Node>
}

/** `{ kv* node* }`. */
const readBody = (cursor: Cursor, after: string): Body => {
  const entries: Array<Entry> = []
  const nodes: Array<Node> = []
  const member = (): boolean => {
    if (cursor.isEntry()) {
      if (nodes.length > 0) misplacedOption(cursor)
      entries.push(readEntry(cursor))
    } else readNodeInto(cursor, nodes)
    return true
  }
  readBlock(cursor, after, Mark.Block, member, () => cursor.kind() === Kind.Identifier)
  return { entries, nodes }
}

/** Reads one node, or reports what stands in its place and leaves it to the caller. */
export const readNodeInto = (cursor: Cursor, nodes: Array<Node>): void => {
  if (cursor.kind() !== Kind.Identifier) return cursor.unexpected("a step or `}`")
  const node = readNode(cursor)
  if (node !== undefined) nodes.push(node)
}

/** The condition behind `if`, `unless` and `while`: an entry of its own, for the spans. */
const readConditionEntry = (cursor: Cursor, keyword: string): Entry | undefined => {
  const kind = cursor.kind()
  if (kind !== Kind.Identifier && kind !== Kind.String) {
    cursor.unexpected(`a condition after \`${keyword}\``, "write `step.marker`")
    if (cursor.kind(1) === Kind.LeftBrace) cursor.advance()
    return undefined
  }
  const keyStart = cursor.start()
  const value = readValue(cursor, keyword)
  return { key: "condition", keyStart, keyEnd: keyStart, value, block: false }
}

const unreadable: MarkerCondition = { _tag: "Marker", step: "unknown", marker: "unknown" }

const readIf = (cursor: Cursor, tag: "If" | "Unless"): Node => {
  const start = cursor.start()
  const keyword = tag === "If" ? "if" : "unless"
  cursor.advance()
  const entry = readConditionEntry(cursor, keyword)
  const condition: Condition | undefined = entry && Coerce.condition(cursor, entry.value, keyword)
  const body = readBody(cursor, "the condition")
  if (body.entries.length > 0) Options.check(cursor, keyword, body.entries)
  const node: Node = { _tag: tag, condition: condition ?? unreadable, body: body.nodes }
  place(cursor, node, start, entry, body.entries)
  return node
}

const place = (
  cursor: Cursor,
  node: Node,
  start: number,
  condition: Entry | undefined,
  entries: ReadonlyArray<Entry>
): void => {
  const named: { readonly start: number; readonly end: number } = condition?.value ?? { start, end: cursor.lastEnd }
  const all = condition === undefined ? entries : [condition, ...entries]
  cursor.spans.add(node, start, cursor.lastEnd, named.start, named.end, all)
}

/** A loop's condition: a marker, because an input never changes. */
const markerCondition = (cursor: Cursor, raw: Raw): MarkerCondition | undefined => {
  const condition = Coerce.condition(cursor, raw, "while")
  if (condition === undefined || condition._tag === "Marker") return condition
  cursor.report({
    code: "loop-condition",
    message: `a loop's condition is \`step.marker\`, not ${shown(condition.name)}`,
    start: raw.start,
    end: raw.end,
    hint: `name the step too: \`while step.${condition.name}\``
  })
  return undefined
}

const readWhile = (cursor: Cursor): Node => {
  const start = cursor.start()
  cursor.advance()
  const entry = readConditionEntry(cursor, "while")
  const condition = entry && markerCondition(cursor, entry.value)
  const headEnd = cursor.lastEnd
  const body = readBody(cursor, "the condition")
  const node: Node = {
    _tag: "While",
    condition: condition ?? unreadable,
    ...loopOptions(cursor, "while", body.entries, start, headEnd),
    body: body.nodes
  }
  place(cursor, node, start, entry, body.entries)
  return node
}

const failOrContinue = Coerce.oneOf(["fail", "continue"])

const loopOptions = (
  cursor: Cursor,
  owner: "while" | "do … while",
  entries: ReadonlyArray<Entry>,
  start: number,
  end: number
) => {
  const options = Options.check(cursor, owner, entries)
  options.require(["max_iterations"], start, end)
  const maxIterations = options.integer("max_iterations", 1) ?? 1
  const stuckAfter = options.integer("stuck_after", 1)
  const onMaxIter = options.read("on_max_iter", failOrContinue)
  const stuck = options.entry("stuck_after")?.value
  if (stuckAfter === 1 && stuck !== undefined) {
    cursor.report({
      severity: "warning",
      code: "stuck-after-one",
      message: "`stuck_after = 1` fails the loop in its first round",
      start: stuck.start,
      end: stuck.end,
      hint: "write 2 or more: so many rounds with the same markers in a row are a standstill"
    })
  }
  return {
    maxIterations,
    ...(stuckAfter === undefined ? {} : { stuckAfter }),
    ...(onMaxIter === undefined ? {} : { onMaxIter })
  }
}

/** `do { … }` and `do { … } while step.marker`; a condition in front of the block is the old form. */
const readDo = (cursor: Cursor): Node => {
  const start = cursor.start()
  const headEnd = cursor.end()
  cursor.advance()
  const early = cursor.kind() === Kind.LeftBrace || cursor.isEntry() ? undefined : foreignCondition(cursor)
  const body = readBody(cursor, "`do`")
  const entry = loopFollows(cursor) ? readLoopCondition(cursor) : early
  const node = entry === undefined ? plainDo(cursor, body) : doWhile(cursor, body, entry, start, headEnd)
  place(cursor, node, start, entry, body.entries)
  return node
}

/** `do step.marker {` or `do while step.marker {`. */
const foreignCondition = (cursor: Cursor): Entry | undefined => {
  const at = cursor.isWord("while") ? 1 : 0
  if (cursor.kind(at) !== Kind.Identifier || cursor.kind(at + 1) !== Kind.Dot) return undefined
  for (let passed = 0; passed < at; passed++) cursor.advance()
  const entry = readConditionEntry(cursor, "do")
  if (entry === undefined) return undefined
  const condition = shown(cursor.source.text.slice(entry.value.start, entry.value.end)).slice(1, -1)
  cursor.report({
    code: "foreign-do-condition",
    message: "a `do` loop's condition stands behind its block",
    start: entry.value.start,
    end: entry.value.end,
    hint: `write \`do { … } while ${condition}\``
  })
  return entry
}

/** Whether the `while` at the cursor ends this `do`: with a block behind its condition it begins the next node. */
const loopFollows = (cursor: Cursor): boolean => {
  if (!cursor.isWord("while")) return false
  const behind = cursor.kind(2) === Kind.Dot ? 4 : 2
  return cursor.kind(behind) !== Kind.LeftBrace
}

const readLoopCondition = (cursor: Cursor): Entry | undefined => {
  cursor.advance()
  return readConditionEntry(cursor, "while")
}

const doWhile = (cursor: Cursor, body: Body, entry: Entry, start: number, headEnd: number): Node => ({
  _tag: "DoWhile",
  condition: markerCondition(cursor, entry.value) ?? unreadable,
  ...loopOptions(cursor, "do … while", body.entries, start, headEnd),
  body: body.nodes
})

const plainDo = (cursor: Cursor, body: Body): Node => {
  const isLoop = (entry: Entry) =>
    entry.key === "max_iterations" || entry.key === "stuck_after" || entry.key === "on_max_iter"
  for (const entry of body.entries) if (isLoop(entry)) loopWithoutWhile(cursor, entry)
  const options = Options.check(
    cursor,
    "do",
    body.entries.filter((entry) => !isLoop(entry))
  )
  const output = options.read("output", Coerce.text)
  const snippets = options.read("with", Coerce.textOrTexts)
  return {
    _tag: "Do",
    ...(output === undefined ? {} : { output }),
    ...(snippets === undefined ? {} : { with: snippets }),
    body: body.nodes
  }
}

const loopWithoutWhile = (cursor: Cursor, entry: Entry): void =>
  cursor.report({
    code: "loop-options-without-while",
    message: `\`${entry.key}\` belongs to a loop, but this \`do\` has no \`while\``,
    start: entry.keyStart,
    end: entry.keyEnd,
    hint: "write the condition behind the block: `do { … } while step.marker`"
  })

const readAlways = (cursor: Cursor): Node => {
  const start = cursor.start()
  const node: Node = { _tag: "Always", body: readAlwaysBody(cursor) }
  cursor.spans.add(node, start, cursor.lastEnd, start, start + "always".length, [])
  return node
}

/** `always { node* }`, which has no options. */
export const readAlwaysBody = (cursor: Cursor): ReadonlyArray<Node> => {
  cursor.advance()
  const { entries, nodes } = readBody(cursor, "`always`")
  for (const entry of entries) {
    cursor.report({
      code: "misplaced-option",
      message: `\`always\` has no options, so ${shown(entry.key)} cannot stand here`,
      start: entry.keyStart,
      end: entry.keyEnd
    })
  }
  return nodes
}

const foreignElse = (cursor: Cursor): undefined => {
  cursor.report({
    code: "foreign-else",
    message: "there is no `else`",
    start: cursor.start(),
    end: cursor.end(),
    hint: "write a second block with the opposite condition: `unless step.marker { … }`"
  })
  cursor.advance()
  if (cursor.isWord("if")) {
    cursor.advance()
    readConditionEntry(cursor, "if")
  }
  readBody(cursor, "`else`")
  return undefined
}

/** `meta` and `inputs` inside of a node: reported and passed. */
const misplacedBlock = (cursor: Cursor, word: string): undefined => {
  cursor.report({
    code: "misplaced-block",
    message: `\`${word}\` cannot stand here`,
    start: cursor.start(),
    end: cursor.end(),
    hint: `\`${word} { … }\` stands directly in the workflow`
  })
  cursor.recover()
  return undefined
}

const misplacedWorkflow = (cursor: Cursor): Node | undefined => {
  cursor.report({
    code: "misplaced-block",
    message: "a workflow cannot be written inside of another",
    start: cursor.start(),
    end: cursor.end(),
    hint: "to run a workflow as a step, write `call workflow NAME`"
  })
  cursor.recover()
  return undefined
}

/** What people write who know other languages; nearest by meaning, not by letters. */
const synonyms: ReadonlyMap<string, string> = new Map([
  ["step", "call"],
  ["action", "call"],
  ["agent", "call"],
  ["task", "call"],
  ["run", "script"],
  ["shell", "script"],
  ["for", "foreach"],
  ["each", "foreach"],
  ["loop", "while"],
  ["repeat", "do"],
  ["finally", "always"],
  ["approval", "gate"]
])

/** A word that begins no node: read as the keyword it is likely meant to be, where something follows it. */
const misspelt = (cursor: Cursor, word: string): Node | undefined => {
  const next = cursor.kind(1)
  const leads = next === Kind.Identifier || next === Kind.String || next === Kind.LeftBrace
  const near = nearest(word, nodeKeywords) ?? (leads ? nearest(word, ["meta", "inputs", "else"]) : undefined)
  const meant = near ?? synonyms.get(word)
  cursor.report({
    code: "unknown-keyword",
    message: `${shown(word)} does not begin a step`,
    start: cursor.start(),
    end: cursor.end(),
    hint: meant === undefined ? unknownWordHint(word, next) : `did you mean \`${meant}\`?`
  })
  if (near !== undefined && leads && isNodeKeyword(near)) return readKind(cursor, near)
  cursor.recover()
  return undefined
}

const unknownWordHint = (word: string, next: number): string => {
  const isOption = next === Kind.String || next === Kind.Integer || next === Kind.Duration || next === Kind.LeftBracket
  const cited = shown(word).slice(1, -1)
  return isOption
    ? `if it is an option, write \`${cited} = …\``
    : `to run an action, write \`call ${cited}\`; other steps begin with ${otherKeywords}`
}

const otherKeywords = nodeKeywords
  .slice(1)
  .map((keyword) => `\`${keyword}\``)
  .join(", ")
