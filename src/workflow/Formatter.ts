/**
 * Lays out the tokens of a file: two spaces a level, one option, step or input a line, at most one empty line between
 * two, every comment kept. Works on tokens and not on the definition, so that what a definition does not hold (comments,
 * unknown options, their order) is not lost. A layout laid out again is the same.
 */
import * as Either from "effect/Either"
import { hasErrors } from "./Diagnostic.ts"
import { InvalidWorkflow } from "./InvalidWorkflow.ts"
import { Kind, type Tokens } from "./Lexer.ts"
import { parseWith } from "./Parser.ts"
import { Mark } from "./ParserCursor.ts"
import type { Source } from "./Source.ts"

/** The widest line that a list or the options of a call are kept on. */
const maxWidth = 100

/** The file laid out anew, or why it cannot be: a file with errors is not touched. */
export const formatSource = (source: Source): Either.Either<string, InvalidWorkflow> => {
  const { file, cursor } = parseWith(source, true)
  return hasErrors(file.diagnostics)
    ? Either.left(InvalidWorkflow.fromDiagnostics(source.file, file.diagnostics))
    : Either.right(new Layout(cursor.tokens, cursor.marks ?? new Uint8Array()).run())
}

const isOpening = (kind: number | undefined): boolean => kind === Kind.LeftBrace || kind === Kind.LeftBracket
const isClosing = (kind: number | undefined): boolean => kind === Kind.RightBrace || kind === Kind.RightBracket

interface Flat {
  readonly text: string
  /** The token that closes the group. */
  readonly close: number
}

class Layout {
  private readonly lines: Array<string> = []
  private line = ""
  /** The kinds of the open groups, all of which are broken over lines. */
  private readonly groups: Array<number> = []
  /** Index into `tokens.comments` of the next comment. */
  private comment = 0
  /** Where the last token or comment ended in the source. */
  private end = 0
  /** Nothing may follow on this line. */
  private closedLine = false
  /** Nothing has been written since a group was opened, or at all. */
  private fresh = true

  constructor(
    private readonly tokens: Tokens,
    private readonly marks: Uint8Array
  ) {}

  run(): string {
    for (let index = 0; index < this.tokens.count; index++) {
      this.writeComments(index)
      if (!this.has(index, Mark.Separator) && this.kind(index) !== Kind.End) index = this.writeToken(index)
      this.end = this.tokens.ends[index] ?? this.end
    }
    this.lines.push(this.line)
    return `${this.lines.join("\n").trim()}\n`
  }

  private kind(index: number): number {
    return this.tokens.kinds[index] ?? Kind.End
  }

  private has(index: number, mark: number): boolean {
    return ((this.marks[index] ?? 0) & mark) !== 0
  }

  private text(index: number): string {
    return this.tokens.text.slice(this.tokens.starts[index], this.tokens.ends[index])
  }

  /** The next token that is written. */
  private following(index: number): number {
    let next = index + 1
    while (this.has(next, Mark.Separator)) next++
    return next
  }

  private breakLine(indent: number, empty: boolean): void {
    if (this.line !== "" || this.lines.length > 0) this.lines.push(this.line)
    if (empty) this.lines.push("")
    this.line = "  ".repeat(indent)
    this.closedLine = false
  }

  /** Line ends in the source between the last token or comment and `start`. */
  private linesBefore(start: number): number {
    let count = 0
    for (let at = this.end; at < start; at++) if (this.tokens.text.charCodeAt(at) === 0x0a) count++
    return count
  }

  /** The comments in front of a token: behind the token before it if they stood there, else on lines of their own. */
  private writeComments(index: number): void {
    const { comments, text } = this.tokens
    const before = this.tokens.starts[index] ?? text.length
    for (; (comments[this.comment] ?? before) < before; this.comment += 2) {
      const start = comments[this.comment] ?? 0
      const end = comments[this.comment + 1] ?? start
      const written = text.slice(start, end).trimEnd()
      const gap = this.linesBefore(start)
      if (gap === 0 && this.line.trim() !== "" && !this.closedLine) this.line += ` ${written}`
      else {
        this.breakLine(this.groups.length + (this.isBoundary(index) ? 0 : 1), gap > 1 && !this.fresh)
        this.line += written
      }
      this.closedLine = true
      this.fresh = false
      this.end = end
    }
  }

  /** Whether what is written next begins or ends something, rather than going on with it. */
  private isBoundary(index: number): boolean {
    const next = this.has(index, Mark.Separator) ? this.following(index) : index
    return this.has(next, Mark.Item) || isClosing(this.kind(next)) || this.kind(next) === Kind.End
  }

  /** Writes a token, or a whole group that fits on the line; gives the last token written. */
  private writeToken(index: number): number {
    const kind = this.kind(index)
    if (isClosing(kind)) {
      this.groups.pop()
      this.breakLine(this.groups.length, false)
    } else if (this.has(index, Mark.Item)) {
      this.breakLine(this.groups.length, !this.fresh && this.linesBefore(this.tokens.starts[index] ?? 0) > 1)
    } else if (this.closedLine) this.breakLine(this.groups.length + 1, false)
    else if (this.spaced(index)) this.line += " "
    this.fresh = false
    if (isOpening(kind)) return this.writeOpening(index)
    this.line += this.text(index)
    this.separate(index)
    return index
  }

  private spaced(index: number): boolean {
    return this.kind(index) !== Kind.Dot && this.kind(index - 1) !== Kind.Dot
  }

  private writeOpening(index: number): number {
    const flat = this.flatten(index)
    if (flat !== undefined && this.line.length + flat.text.length <= maxWidth) {
      this.line += flat.text
      this.separate(flat.close)
      return flat.close
    }
    this.line += this.text(index)
    this.groups.push(this.kind(index))
    this.fresh = true
    return index
  }

  /** Writes the comma that has to stand between a token and the next item. */
  private separate(index: number): void {
    const next = this.following(index)
    if (!this.has(next, Mark.Item)) return
    if (this.groups.at(-1) === Kind.LeftBracket || this.has(next, Mark.NeedsComma)) this.line += ","
  }

  /**
   * The group that begins at a token on one line, if it may stand on one: a list without comments, braces with one
   * entry at most; never a block of steps or inputs.
   */
  private flatten(open: number): Flat | undefined {
    if (this.has(open, Mark.Block)) return this.emptyBlock(open)
    const groups: Array<{ readonly isList: boolean; items: number }> = []
    let text = ""
    for (let index = open; text.length <= maxWidth && index < this.tokens.count; index++) {
      if (this.has(index, Mark.Separator)) continue
      const group = groups.at(-1)
      const token = this.text(index)
      if (token.includes("\n")) return undefined
      if (isClosing(this.kind(index))) {
        text += group?.isList === false && group.items > 0 ? ` ${token}` : token
        groups.pop()
        if (groups.length === 0) return this.isCommentedBefore(index) ? undefined : { text, close: index }
        continue
      }
      if (group !== undefined && this.has(index, Mark.Item)) {
        group.items++
        if (!group.isList && group.items > 1) return undefined
        text += group.items > 1 ? ", " : group.isList ? "" : " "
      } else if (group !== undefined && this.spaced(index)) text += " "
      text += token
      if (isOpening(this.kind(index))) groups.push({ isList: this.kind(index) === Kind.LeftBracket, items: 0 })
    }
    return undefined
  }

  private emptyBlock(open: number): Flat | undefined {
    const close = this.following(open)
    const isEmpty = isClosing(this.kind(close)) && !this.isCommentedBefore(close)
    return isEmpty ? { text: "{}", close } : undefined
  }

  private isCommentedBefore(index: number): boolean {
    return (this.tokens.comments[this.comment] ?? Number.POSITIVE_INFINITY) < (this.tokens.starts[index] ?? 0)
  }
}
