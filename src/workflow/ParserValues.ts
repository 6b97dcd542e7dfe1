/** Values and `key = value` as written, before anyone has said what shape an option wants. */
import { Kind, stringValue } from "./Lexer.ts"
import { type Cursor, isNodeKeyword, Mark, shown } from "./ParserCursor.ts"
import { nearest } from "./Suggest.ts"

export interface Scalar {
  readonly kind: "scalar"
  readonly form: "string" | "integer" | "duration" | "name"
  readonly text: string
  readonly start: number
  readonly end: number
}

/** `left.right`; either part may be quoted (`"foreach:F".failed`), which makes it a condition and no text. */
export interface Dotted {
  readonly kind: "dotted"
  readonly left: string
  readonly right: string
  readonly quoted: boolean
  readonly start: number
  readonly end: number
}

export interface List {
  readonly kind: "list"
  readonly items: ReadonlyArray<Raw>
  readonly start: number
  readonly end: number
}

export interface RawMap {
  readonly kind: "map"
  readonly entries: ReadonlyArray<Entry>
  readonly start: number
  readonly end: number
}

/** Something that could not be read and was reported. */
export interface Bad {
  readonly kind: "bad"
  readonly start: number
  readonly end: number
}

export type Raw = Scalar | Dotted | List | RawMap | Bad

export interface Entry {
  readonly key: string
  readonly keyStart: number
  readonly keyEnd: number
  readonly value: Raw
  /** `inputs { … }` without `=`. */
  readonly block: boolean
}

/** The text of the identifier or string at the cursor, which is passed. */
export const readWord = (cursor: Cursor): string => {
  const word =
    cursor.kind() === Kind.String ? stringValue(cursor.source.text, cursor.start(), cursor.end()) : cursor.text()
  cursor.advance()
  return word
}

const isWordKind = (kind: number): boolean => kind === Kind.Identifier || kind === Kind.String

/** `key = value`, with the cursor at a key that `Cursor.isEntry` has seen. */
export const readEntry = (cursor: Cursor): Entry => {
  const [keyStart, keyEnd] = [cursor.start(), cursor.end()]
  cursor.mark(Mark.Item)
  const key = readWord(cursor)
  if (cursor.kind() === Kind.Colon) cursor.unexpected(`\`=\` after ${shown(key)}`, `write \`${key} = …\``)
  cursor.advance()
  if (cursor.kind() === Kind.Equals) {
    cursor.unexpected("a value after `=`")
    cursor.advance()
  }
  return { key, keyStart, keyEnd, value: readValue(cursor, key), block: false }
}

/** `key { … }`, of which only `inputs { … }` is part of the language. */
export const readBlockEntry = (cursor: Cursor): Entry => {
  const [keyStart, keyEnd] = [cursor.start(), cursor.end()]
  cursor.mark(Mark.Item)
  const key = readWord(cursor)
  return { key, keyStart, keyEnd, value: readValue(cursor, key), block: true }
}

/**
 * An option whose `=` is missing: `env { … }`, `retries 3`. Reports it and takes the value; gives undefined, and
 * leaves the cursor, if no value follows. A word near to that of a `block` that may stand here is taken for it.
 */
export const readEntryWithoutEquals = (cursor: Cursor, block?: string): Entry | undefined => {
  const next = cursor.kind(1)
  const isMap = next === Kind.LeftBrace
  const isValue = isMap || next === Kind.LeftBracket || next === Kind.String || isNumber(next)
  if (!isWordKind(cursor.kind()) || !isValue) return undefined
  const word = cursor.text()
  const meant = isMap && block !== undefined ? nearest(word, [block]) : undefined
  const written = isMap ? `write \`${word} = { … }\`` : `write \`${word} = …\``
  cursor.report({
    code: "missing-equals",
    message: `\`=\` is missing after ${shown(word)}`,
    start: cursor.start(),
    end: cursor.end(),
    hint: meant === undefined ? written : `did you mean \`${meant} { … }\`?`
  })
  const entry = readBlockEntry(cursor)
  return meant === undefined ? { ...entry, block: false } : { ...entry, key: meant }
}

const isNumber = (kind: number): boolean => kind === Kind.Integer || kind === Kind.Duration

/** The value that follows `key =`; nothing there is reported and leaves the cursor. */
export const readValue = (cursor: Cursor, key: string): Raw => {
  switch (cursor.kind()) {
    case Kind.String:
    case Kind.Identifier:
      return cursor.isEntry() ? missingValue(cursor, key) : readWords(cursor)
    case Kind.Integer:
      return readInteger(cursor)
    case Kind.Duration:
      return readScalar(cursor, "duration")
    case Kind.LeftBracket:
      return readList(cursor, key)
    case Kind.LeftBrace:
      return readMap(cursor)
    default:
      return missingValue(cursor, key)
  }
}

const readScalar = (cursor: Cursor, form: Scalar["form"]): Scalar => {
  const [start, end] = [cursor.start(), cursor.end()]
  const text = readWord(cursor)
  if (cursor.kind() === Kind.Unknown) cursor.skipGlued()
  return { kind: "scalar", form, text, start, end }
}

const missingValue = (cursor: Cursor, key: string): Bad => {
  const start = cursor.start()
  const isReported = cursor.kind() === Kind.Dot && cursor.kind(1) === Kind.Unknown
  if (!isReported) cursor.unexpected(`a value for ${shown(key)}`)
  if (cursor.kind() === Kind.Unknown || cursor.kind() === Kind.Dot) {
    cursor.advance()
    cursor.skipGlued()
  }
  return { kind: "bad", start, end: Math.max(start, cursor.lastEnd) }
}

/** A text, a name, or two of them with a dot between. */
const readWords = (cursor: Cursor): Raw => {
  const first = cursor.kind()
  if (cursor.kind(1) !== Kind.Dot) return readScalar(cursor, first === Kind.String ? "string" : "name")
  const start = cursor.start()
  const left = readWord(cursor)
  cursor.advance()
  const second = cursor.kind()
  if (!isWordKind(second)) {
    cursor.unexpected(`a name after \`${first === Kind.String ? `"${left}"` : left}.\``, "put other texts in quotes")
    cursor.skipGlued()
    return { kind: "bad", start, end: cursor.lastEnd }
  }
  const end = cursor.end()
  const right = readWord(cursor)
  if (cursor.kind() === Kind.Dot || cursor.kind() === Kind.Unknown) return tooManyParts(cursor, start)
  return { kind: "dotted", left, right, quoted: first === Kind.String || second === Kind.String, start, end }
}

/** `a.b.c`, or `a.b/c`, which the lexer has reported already. */
const tooManyParts = (cursor: Cursor, start: number): Bad => {
  const end = cursor.end()
  if (cursor.kind() === Kind.Dot) {
    cursor.report({
      code: "unexpected-token",
      message: "a name without quotes has at most one dot",
      start,
      end,
      hint: "put the text in quotes"
    })
  }
  while (cursor.kind() === Kind.Dot || (cursor.kind() === Kind.Unknown && cursor.start() === cursor.lastEnd)) {
    cursor.advance()
    cursor.skipGlued()
  }
  return { kind: "bad", start, end: cursor.lastEnd }
}

/** Digits; letters glued to them that are no unit (`1parsec`) make neither a number nor a duration. */
const readInteger = (cursor: Cursor): Raw => {
  const start = cursor.start()
  const scalar = readScalar(cursor, "integer")
  const glued = cursor.kind() === Kind.Identifier && cursor.start() === scalar.end && cursor.kind(1) !== Kind.Equals
  if (!glued) return scalar
  cursor.skipGlued()
  const end = cursor.lastEnd
  cursor.report({
    code: "invalid-number",
    message: `${shown(cursor.source.text.slice(start, end))} is neither a number nor a duration`,
    start,
    end,
    hint: "durations end in `ms`, `s`, `m` or `h`"
  })
  return { kind: "bad", start, end }
}

const readList = (cursor: Cursor, key: string): Raw => {
  const open = cursor.at
  const start = cursor.start()
  const items = cursor.nested(() => readItems(cursor, key, open))
  const end = cursor.lastEnd
  return items === undefined ? { kind: "bad", start, end } : { kind: "list", items, start, end }
}

const readItems = (cursor: Cursor, key: string, open: number): ReadonlyArray<Raw> => {
  const items: Array<Raw> = []
  cursor.advance()
  while (cursor.kind() !== Kind.RightBracket) {
    if (cursor.kind() === Kind.End || cursor.kind() === Kind.RightBrace || cursor.isEntry()) {
      cursor.unclosed("unclosed-list", open)
      return items
    }
    const before = cursor.at
    cursor.mark(Mark.Item)
    items.push(readValue(cursor, key))
    if (cursor.kind() === Kind.Comma || cursor.at === before) {
      cursor.mark(Mark.Separator)
      cursor.advance()
    }
  }
  cursor.advance()
  return items
}

/** A map in braces. */
export const readMap = (cursor: Cursor): RawMap | Bad => {
  const open = cursor.at
  const start = cursor.start()
  const entries = cursor.nested(() => readEntries(cursor, open))
  const end = cursor.lastEnd
  return entries === undefined ? { kind: "bad", start, end } : { kind: "map", entries, start, end }
}

const readEntries = (cursor: Cursor, open: number): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  cursor.advance()
  while (!passClosing(cursor)) {
    if (passSeparator(cursor)) continue
    if (endsMap(cursor)) {
      cursor.unclosed("unclosed-block", open)
      return entries
    }
    const entry = cursor.isEntry() ? readEntry(cursor) : readEntryWithoutEquals(cursor)
    if (entry !== undefined) entries.push(entry)
    else {
      expectEntry(cursor)
      cursor.recover()
    }
  }
  return entries
}

const endsMap = (cursor: Cursor): boolean =>
  cursor.kind() === Kind.End ||
  (cursor.kind() === Kind.Identifier &&
    isNodeKeyword(cursor.text()) &&
    (isWordKind(cursor.kind(1)) || cursor.kind(1) === Kind.LeftBrace))

const expectEntry = (cursor: Cursor): void => {
  if (!isWordKind(cursor.kind())) cursor.unexpected("a name or `}`")
  else {
    cursor.report({
      code: "missing-equals",
      message: `${shown(cursor.text())} has no value`,
      start: cursor.start(),
      end: cursor.end(),
      hint: `write \`${cursor.text()} = …\``
    })
  }
}

export const passClosing = (cursor: Cursor): boolean => {
  if (cursor.kind() !== Kind.RightBrace) return false
  cursor.advance()
  return true
}

/** Passes a `,` or `;` between options, and what the lexer has reported. */
export const passSeparator = (cursor: Cursor): boolean => {
  const kind = cursor.kind()
  if (kind === Kind.Comma || kind === Kind.Semicolon) cursor.mark(Mark.Separator)
  else if (kind !== Kind.Unknown) return false
  cursor.advance()
  return true
}
