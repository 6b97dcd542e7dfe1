/** The name behind a keyword. */
import { Kind } from "./Lexer.ts"
import { type Cursor, shown } from "./ParserCursor.ts"
import { readWord } from "./ParserValues.ts"

export interface Name {
  readonly name: string
  readonly start: number
  readonly end: number
}

/** An identifier; a quoted one is reported and read all the same. Undefined, and the cursor left, if none follows. */
export const readName = (cursor: Cursor, wanted: string): Name | undefined => {
  const [start, end] = [cursor.start(), cursor.end()]
  if (cursor.kind() !== Kind.Identifier && cursor.kind() !== Kind.String) {
    cursor.unexpected(wanted)
    if (cursor.kind() === Kind.Unknown) cursor.advance()
    return undefined
  }
  const quoted = cursor.kind() === Kind.String
  if (quoted) cursor.unexpected(wanted, "names of workflows, gates and steps stand without quotes")
  const name = readWord(cursor)
  if (!quoted) foreignName(cursor, "a name", "a name has letters, digits, `_` and `-`")
  return name === "" ? undefined : { name, start, end }
}

/** Passes what is glued to a name and is none (`agents.review`, `build/x`). */
export const foreignName = (cursor: Cursor, wanted: string, hint: string): void => {
  if (cursor.start() !== cursor.lastEnd) return
  if (cursor.kind() === Kind.Dot || cursor.kind() === Kind.Colon) {
    cursor.report({
      code: "unexpected-token",
      message: `${wanted} is one word, without ${shown(cursor.text())}`,
      start: cursor.start(),
      end: cursor.end(),
      hint
    })
    cursor.advance()
  }
  cursor.skipGlued()
}
