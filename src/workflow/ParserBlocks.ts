/** Blocks: the braces around options, nodes and calls, and what is wrong between them. */
import { Kind } from "./Lexer.ts"
import { type Cursor, isNodeKeyword, shown } from "./ParserCursor.ts"
import {
  type Entry,
  passClosing,
  passSeparator,
  readBlockEntry,
  readEntry,
  readEntryWithoutEquals
} from "./ParserValues.ts"

/**
 * Reads `{ … }`, handing every member to `member`, which passes it, or gives false where the block must have ended.
 * `after` names what the block belongs to, `mark` is what the formatter has to know of its brace. A missing `{` is reported; the block is then read if `begins` says that the
 * next token belongs to it.
 */
export const readBlock = (
  cursor: Cursor,
  after: string,
  mark: number,
  member: () => boolean,
  begins: () => boolean = () => cursor.isEntry()
): void => {
  const opens = cursor.kind() === Kind.LeftBrace
  if (!opens) {
    cursor.unexpected(`\`{\` after ${after}`)
    if (!begins()) return
  }
  cursor.nested(() => {
    const open = opens ? cursor.at : undefined
    if (opens) {
      cursor.mark(mark)
      cursor.advance()
    }
    readMembers(cursor, open, member)
    return true
  })
}

const readMembers = (cursor: Cursor, open: number | undefined, member: () => boolean): void => {
  while (!passClosing(cursor)) {
    if (passSeparator(cursor)) continue
    const before = cursor.at
    if (cursor.kind() === Kind.End || !member()) {
      if (open !== undefined) cursor.unclosed("unclosed-block", open)
      return
    }
    if (cursor.at === before) cursor.recover()
  }
}

/** A block that holds options only. `inputs { … }` is among them where the node has inputs. */
export const readOptions = (
  cursor: Cursor,
  after: string,
  mark: number,
  inputs: "inputs" | "no inputs"
): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  readBlock(cursor, after, mark, () => {
    if (cursor.isEntry()) entries.push(readEntry(cursor))
    else if (inputs === "inputs" && cursor.isWord("inputs") && cursor.kind(1) === Kind.LeftBrace) {
      entries.push(readBlockEntry(cursor))
    } else if (cursor.kind() === Kind.Identifier && isNodeKeyword(cursor.text())) return false
    else {
      const entry = readEntryWithoutEquals(cursor, inputs === "inputs" ? inputs : undefined)
      if (entry === undefined) expectOption(cursor)
      else entries.push(entry)
    }
    return true
  })
  return entries
}

const expectOption = (cursor: Cursor): void => {
  if (cursor.kind() !== Kind.Identifier) return cursor.unexpected("an option or `}`")
  const word = cursor.text()
  cursor.report({
    code: "missing-equals",
    message: `the option ${shown(word)} has no value`,
    start: cursor.start(),
    end: cursor.end(),
    hint: `write \`${word} = …\``
  })
}

/** An option behind the first node of a block, where the grammar has none; it is read all the same. */
export const misplacedOption = (cursor: Cursor): void =>
  cursor.report({
    code: "misplaced-option",
    message: `the option ${shown(cursor.text())} stands behind a step`,
    start: cursor.start(),
    end: cursor.end(),
    hint: "a block's options come before its steps; those of a call stand in braces: `call name { … }`"
  })
