/**
 * The parser's place in the token stream, what it reports, and how it finds its feet again after a mistake. Knows
 * tokens, braces and problems; what they mean is in ParserValues, ParserOptions and ParserNodes.
 */
import type { Diagnostic, Severity } from "./Diagnostic.ts"
import { Kind, type Tokens } from "./Lexer.ts"
import { missingBraces } from "./ParserBraces.ts"
import { SpanRecorder } from "./ParserSpans.ts"
import type { Source } from "./Source.ts"
import type { SyntaxCode } from "./SyntaxCodes.ts"

/** How deep blocks and values may be nested; deeper ones are an error, not a stack overflow. */
export const maxNesting = 100

/** How many problems of one file are kept. */
export const maxProblems = 1000

/** What the formatter has to know of a token; see `Cursor.mark`. */
export const Mark = {
  /** Nothing to know: braces that may stand on one line. */
  None: 0,
  /** Begins an option, a node, an input, an entry of a map. */
  Item: 1,
  /** Opens a block of nodes, inputs or options that is always broken over lines. */
  Block: 2,
  /** Names an input that would read as a modifier if nothing stood in front of it. */
  NeedsComma: 4,
  /** Separates inputs, options or entries, and has no other meaning. */
  Separator: 8
} as const

/** The words that begin a node. */
export const nodeKeywords = [
  "call",
  "if",
  "unless",
  "while",
  "do",
  "parallel",
  "gate",
  "always",
  "script",
  "foreach",
  "pipeline"
] as const

const nodeWords: ReadonlySet<string> = new Set(nodeKeywords)

export const isNodeKeyword = (word: string): boolean => nodeWords.has(word)

export interface Report {
  readonly code: SyntaxCode
  readonly message: string
  readonly start: number
  readonly end: number
  readonly hint?: string | undefined
  readonly severity?: Severity
}

export class Cursor {
  /** Index of the next token. */
  at = 0
  /** How many blocks and values are open. */
  depth = 0
  private unclosedAt = -1
  private unexpectedAt = -1
  /** The text of the token asked for last: every node's first word is looked at several times. */
  private textIndex = -1
  private lastText = ""
  readonly spans = new SpanRecorder()
  readonly diagnostics: Array<Diagnostic> = []
  /** One entry per token for the formatter, which alone pays for it. */
  readonly marks: Uint8Array | undefined

  constructor(
    readonly source: Source,
    readonly tokens: Tokens,
    withMarks: boolean
  ) {
    this.marks = withMarks ? new Uint8Array(tokens.count) : undefined
    for (const problem of tokens.problems) this.report(problem)
  }

  kind(ahead = 0): number {
    return this.tokens.kinds[this.at + ahead] ?? Kind.End
  }

  start(index = this.at): number {
    return this.tokens.starts[index] ?? this.source.text.length
  }

  end(index = this.at): number {
    return this.tokens.ends[index] ?? this.source.text.length
  }

  text(index = this.at): string {
    if (index !== this.textIndex) {
      this.textIndex = index
      this.lastText = this.source.text.slice(this.start(index), this.end(index))
    }
    return this.lastText
  }

  /** The end of the token before the next one. */
  get lastEnd(): number {
    return this.at === 0 ? 0 : this.end(this.at - 1)
  }

  isWord(word: string, ahead = 0): boolean {
    return this.kind(ahead) === Kind.Identifier && this.text(this.at + ahead) === word
  }

  advance(): void {
    if (this.at < this.tokens.count - 1) this.at++
  }

  mark(mark: number, index = this.at): void {
    if (this.marks !== undefined) this.marks[index] = (this.marks[index] ?? 0) | mark
  }

  report(report: Report): void {
    if (this.diagnostics.length > maxProblems) return
    const full = this.diagnostics.length === maxProblems
    const { code, message, hint } = full ? tooMany : report
    this.diagnostics.push({
      severity: full ? "error" : (report.severity ?? "error"),
      code,
      message,
      source: this.source,
      span: { start: report.start, end: report.end },
      ...(hint === undefined ? {} : { hint })
    })
  }

  /** Reports, once a token, that something else than `wanted` stands here; the token itself is left to the caller. */
  unexpected(wanted: string, hint?: string): void {
    if (this.kind() === Kind.Unknown || this.endsInText() || this.unexpectedAt === this.at) return
    this.unexpectedAt = this.at
    this.report({
      code: "unexpected-token",
      message: `expected ${wanted}, found ${this.describe()}`,
      start: this.start(),
      end: this.end(),
      hint
    })
  }

  private describe(): string {
    switch (this.kind()) {
      case Kind.End:
        return "the end of the file"
      case Kind.String:
        return "a text"
      default:
        return shown(this.text())
    }
  }

  /** Reports a group that the next token cannot continue; one missing brace is one problem. */
  unclosed(code: "unclosed-block" | "unclosed-list", open: number): void {
    const before = this.unclosedAt
    this.unclosedAt = this.at
    if (before === this.at || this.endsInText()) return
    const opening = this.text(open)
    const closing = code === "unclosed-list" ? "]" : "}"
    const atEnd = this.kind() === Kind.End
    this.report({
      code,
      message: atEnd
        ? `this \`${opening}\` is never closed`
        : `this \`${opening}\` is not closed before ${this.describe()}`,
      start: this.start(open),
      end: this.end(open),
      hint: atEnd
        ? missingBraces(this.tokens, this.depth, closing)
        : `add \`${closing}\` in front of ${this.describe()}`
    })
  }

  /** Whether an unclosed text has swallowed the rest of the file, which is then no news. */
  private endsInText(): boolean {
    return this.kind() === Kind.End && this.tokens.problems.at(-1)?.code === "unclosed-string"
  }

  /** Whether the next tokens are `key =` (or the foreign `key :`). */
  isEntry(): boolean {
    const kind = this.kind()
    if (kind !== Kind.Identifier && kind !== Kind.String) return false
    const next = this.kind(1)
    return next === Kind.Equals || next === Kind.Colon
  }

  /** Whether a node, a top-level block, an option, a line's first word or the end of this block stands here. */
  private isAnchor(): boolean {
    const kind = this.kind()
    if (kind === Kind.RightBrace || kind === Kind.End) return true
    if (this.isEntry()) return true
    return kind === Kind.Identifier && (startsMember(this.text()) || this.beginsLine())
  }

  private beginsLine(): boolean {
    const { text } = this.source
    for (let at = this.lastEnd; at < this.start(); at++) if (text.charCodeAt(at) === 0x0a) return true
    return false
  }

  /** Passes at least one token, then all until something begins that can be read; braces are passed in pairs. */
  recover(): void {
    do {
      if (this.kind() === Kind.LeftBrace || this.kind() === Kind.LeftBracket) this.skipGroup()
      else this.advance()
    } while (!this.isAnchor())
  }

  /** Passes a `{ }` or `[ ]` with all that is in it. */
  skipGroup(): void {
    let open = 0
    do {
      const kind = this.kind()
      if (kind === Kind.LeftBrace || kind === Kind.LeftBracket) open++
      else if (kind === Kind.RightBrace || kind === Kind.RightBracket) open--
      else if (kind === Kind.End) return
      this.advance()
    } while (open > 0)
  }

  /** Passes the tokens glued to the one before: the rest of a value that is none. Braces and commas end it. */
  skipGlued(): void {
    while (this.start() === this.lastEnd && gluing.has(this.kind())) this.advance()
  }

  /**
   * Runs `body` one level deeper. At the limit reports the group at the cursor, passes it and gives undefined.
   */
  nested<A>(body: () => A): A | undefined {
    if (this.depth >= maxNesting) {
      this.report({
        code: "nesting-too-deep",
        message: `nested deeper than ${maxNesting} levels`,
        start: this.start(),
        end: this.end(),
        hint: "move the inner part to a workflow of its own and call it"
      })
      this.skipGroup()
      return undefined
    }
    this.depth++
    const result = body()
    this.depth--
    return result
  }
}

const longestShown = 60

/** A piece of the file as messages cite it: between backticks, cut where it is long. */
export const shown = (text: string): string =>
  text.length > longestShown ? `\`${text.slice(0, longestShown)}…\`` : `\`${text}\``

const tooMany: Pick<Report, "code" | "message" | "hint"> = {
  code: "too-many-problems",
  message: `more than ${maxProblems} problems in this file; the others are not shown`,
  hint: "repair the first ones and try again"
}

const startsMember = (word: string): boolean => isNodeKeyword(word) || word === "meta" || word === "inputs"

const gluing: ReadonlySet<number> = new Set([
  Kind.Identifier,
  Kind.Integer,
  Kind.Duration,
  Kind.Dot,
  Kind.Unknown,
  Kind.Colon
])
