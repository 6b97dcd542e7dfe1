/** `inputs { (IDENT modifier*)* }`, the inputs that a workflow declares. */
import type { InputDeclaration } from "./Definition.ts"
import { Kind } from "./Lexer.ts"
import { readBlock } from "./ParserBlocks.ts"
import type { Mutable } from "./ParserCalls.ts"
import * as Coerce from "./ParserCoerce.ts"
import { type Cursor, Mark, shown } from "./ParserCursor.ts"
import { type Entry, readEntry } from "./ParserValues.ts"
import { nearest } from "./Suggest.ts"

export type Input = InputDeclaration

/** Adds what is declared to `inputs`; the cursor stands behind the word `inputs`. */
export const readInputs = (cursor: Cursor, inputs: Array<Input>): void => {
  const member = (): boolean => {
    if (cursor.isEntry()) strayModifier(cursor)
    else if (cursor.kind() === Kind.Identifier) {
      const input = readInput(cursor)
      if (input !== undefined) inputs.push(input)
    } else cursor.unexpected("an input's name or `}`")
    return true
  }
  readBlock(cursor, "`inputs`", Mark.Block, member, () => cursor.kind() === Kind.Identifier)
}

const modifiers = ["required", "boolean", "default", "description", "secret"]

const isFlag = (word: string): boolean => word === "required" || word === "boolean"

const readInput = (cursor: Cursor): Input | undefined => {
  const [start, end] = [cursor.start(), cursor.end()]
  const name = cursor.text()
  cursor.mark(isFlag(name) ? Mark.Item | Mark.NeedsComma : Mark.Item)
  cursor.advance()
  const input: Mutable<Input> = { name, boolean: false, required: false, secret: false }
  const entries: Array<Entry> = []
  while (cursor.kind() === Kind.Identifier && readModifier(cursor, input, entries));
  if (input.boolean) checkDefault(cursor, entries)
  if (name !== "__proto__") {
    cursor.spans.add(input, start, cursor.lastEnd, start, end, entries)
    return input
  }
  cursor.report({ code: "reserved-name", message: "the name `__proto__` cannot be used", start, end })
  return undefined
}

/** One modifier of the input; false where the next input begins. */
const readModifier = (cursor: Cursor, input: Mutable<Input>, entries: Array<Entry>): boolean => {
  const word = cursor.text()
  if (isFlag(word)) {
    readFlag(cursor, word, input)
    return true
  }
  if (!cursor.isEntry()) return false
  if (!modifiers.includes(word)) strayModifier(cursor)
  else readValued(cursor, word, input, entries)
  return true
}

const readFlag = (cursor: Cursor, word: string, input: Mutable<Input>): void => {
  if (word === "required") input.required = true
  else input.boolean = true
  if (!cursor.isEntry()) return cursor.advance()
  const entry = readUnmarked(cursor)
  cursor.report({
    code: "unknown-modifier",
    message: `\`${word}\` takes no value`,
    start: entry.keyStart,
    end: entry.value.end,
    hint: `write \`${word}\` alone, or leave it out`
  })
}

/** `key = value` that does not begin a line of its own. */
const readUnmarked = (cursor: Cursor): Entry => {
  const { at } = cursor
  const entry = readEntry(cursor)
  if (cursor.marks !== undefined) cursor.marks[at] = 0
  return entry
}

const readValued = (cursor: Cursor, word: string, input: Mutable<Input>, entries: Array<Entry>): void => {
  const entry = readUnmarked(cursor)
  const before = entries.find(({ key }) => key === word)
  if (before !== undefined) Coerce.repeated(cursor, before)
  entries.push(entry)
  if (word === "secret") {
    input.secret = Coerce.boolean(cursor, entry.value, word) ?? input.secret
    return
  }
  const text = Coerce.text(cursor, entry.value, word)
  if (text === undefined) return
  if (word === "default") input.default = text
  else input.description = text
}

const strayModifier = (cursor: Cursor): void => {
  const entry = readEntry(cursor)
  const near = nearest(entry.key, modifiers)
  cursor.report({
    code: "unknown-modifier",
    message: `${shown(entry.key)} says nothing about an input`,
    start: entry.keyStart,
    end: entry.keyEnd,
    hint:
      near === undefined
        ? `an input is declared as \`name default = "…"\`; there are \`${modifiers.join("`, `")}\``
        : `did you mean \`${near}\`?`
  })
}

const checkDefault = (cursor: Cursor, entries: ReadonlyArray<Entry>): void => {
  const raw = entries.findLast(({ key }) => key === "default")?.value
  if (raw === undefined || raw.kind !== "scalar" || /^(true|false)$/i.test(raw.text)) return
  cursor.report({
    severity: "warning",
    code: "boolean-default",
    message: `the default ${shown(`"${raw.text}"`)} of a boolean input counts as false`,
    start: raw.start,
    end: raw.end,
    hint: "write `true` or `false`"
  })
}
