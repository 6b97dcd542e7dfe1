/**
 * Reads a shell command as POSIX `sh` does, to tell the quoting state of each `{{name}}` in it
 * (spec/language.md, "Variables and templates").
 *
 * Where shells differ about the state (dash, bash, ksh), and where no expansion is safe, the answer is a problem, not
 * a guess. A reference counts as one opaque character: in the scanned text a NUL, which no command can hold.
 */
import { documentEnd, type HereDocument, readDelimiter } from "./HereDocument.ts"
import { cellsOf, type Context, type Findings, type Fit, hole, maxDepth, ShellCursor } from "./ShellCursor.ts"
import { ShellWords } from "./ShellWords.ts"
import type { ShellTemplateError } from "./ShellTemplate.ts"
import type { Reference } from "./Template.ts"

export interface Scan {
  /** By the offset at which the reference starts; one for each reference if there is no problem. */
  readonly fits: ReadonlyMap<number, Fit>
  readonly problems: ReadonlyArray<ShellTemplateError>
}

export const scan = (run: string, references: ReadonlyArray<Reference>): Scan => {
  const ends = new Map(references.map(({ end, start }) => [start, end]))
  const findings: Findings = { fits: new Map(), problems: new Map(), ends, depth: 0 }
  const nul = run.indexOf(hole)
  if (nul === -1) new Scanner(cellsOf(run, references), findings).command(undefined)
  else findings.problems.set(nul, { start: nul, end: nul + 1, message: "a shell command cannot hold a NUL character" })
  return { fits: findings.fits, problems: [...findings.problems.values()].sort((a, b) => a.start - b.start) }
}

class Scanner extends ShellCursor {
  private pending: Array<HereDocument> = []

  /** Commands up to the end, or up to the `)` of the `$(` at `opening`. */
  command(opening: number | undefined): void {
    const words = new ShellWords()
    const outer = this.pending
    this.pending = []
    this.refusals.push(undefined)
    const refusals = this.refusals.length
    let closed = false
    while (!closed && this.at < this.cells.text.length) closed = this.commandPart(words) && opening !== undefined
    if (opening !== undefined && !closed) this.unclosed(opening, "$(")
    for (const document of this.pending) this.unclosed(document.start, "<<")
    this.refusals.length = refusals - 1
    this.pending = outer
  }

  /** One character or construct of a command; true behind the `)` that closes it. */
  private commandPart(words: ShellWords): boolean {
    const character = this.here
    switch (character) {
      case " ":
      case "\t":
        words.end()
        this.at++
        return false
      case "\n":
        words.separator()
        this.at++
        this.hereDocuments()
        return false
      case ";":
      case "&":
      case "|":
        this.operator(words)
        return false
      case "<":
      case ">":
        this.redirection(words)
        return false
      case "(":
        this.parenthesis(words)
        return false
      case ")":
        return this.closing(words)
      case "#":
        if (words.atWordStart) {
          this.comment()
          return false
        }
    }
    if (this.isContinuation(this.at)) this.at += 2
    else if (this.quoting("bare")) words.opaque()
    else {
      words.literal(character ?? "")
      this.at++
    }
    return false
  }

  private operator(words: ShellWords): void {
    const next = this.cells.text[this.at + 1]
    if (this.here === ";" && (next === ";" || next === "&")) {
      words.caseEnd()
      this.at += 2
    } else {
      words.separator()
      this.at++
    }
  }

  private parenthesis(words: ShellWords): void {
    words.parenthesis(this.cells.text[this.at + 1] === "(")
    if (words.inDoubled) this.refusals.push("inside ((, which is arithmetic in some shells; write ( ( with a blank")
    this.at++
  }

  private closing(words: ShellWords): boolean {
    const closes = words.close()
    if (closes === "doubled") this.refusals.pop()
    this.at++
    return closes === "outer"
  }

  private comment(): void {
    const { text } = this.cells
    for (; this.at < text.length && text[this.at] !== "\n"; this.at++) {
      if (text[this.at] === hole) this.findings.fits.set(this.origin(this.at), "comment")
    }
  }

  /** What has a meaning of its own in bare text and in the word of a bare `${ … }`; false if nothing stands here. */
  private quoting(context: Context): boolean {
    switch (this.here) {
      case hole:
        this.fit("bare")
        return true
      case "'":
        this.singleQuoted()
        return true
      case '"':
        this.doubleQuoted()
        return true
      default:
        return this.expansion(context)
    }
  }

  /** Backslash, `$` and backtick, which mean something everywhere but in single quotes. */
  private expansion(context: Context): boolean {
    switch (this.here) {
      case "\\":
        this.backslash()
        return true
      case "$":
        this.nested(() => this.dollar(context))
        return true
      case "`":
        this.nested(() => this.backticks(context))
        return true
      default:
        return false
    }
  }

  private nested(read: () => void): void {
    if (this.findings.depth === maxDepth) {
      this.note(this.at, this.at + 1, `expansions are nested more than ${maxDepth} deep`)
      this.at = this.cells.text.length
    } else {
      this.findings.depth++
      read()
      this.findings.depth--
    }
  }

  private backslash(): void {
    if (this.cells.text[this.at + 1] === hole) {
      this.problem(this.at + 1, "behind a backslash, which would escape it; double the backslash or leave it out")
    }
    this.at += 2
  }

  private singleQuoted(): void {
    const { text } = this.cells
    const opening = this.at++
    for (; this.at < text.length; this.at++) {
      if (text[this.at] === "'") {
        this.at++
        return
      }
      if (text[this.at] === hole) this.fits("single")
    }
    this.unclosed(opening, "'")
  }

  private doubleQuoted(): void {
    const { text } = this.cells
    const opening = this.at++
    while (this.at < text.length) {
      if (text[this.at] === '"') {
        this.at++
        return
      }
      this.quotedPart("double")
    }
    this.unclosed(opening, '"')
  }

  private quotedPart(context: "double" | "here"): void {
    if (this.here === hole) this.fit("double")
    else if (!this.expansion(context)) this.at++
  }

  /**
   * `$'…'`: ANSI-C quotes in some shells, a dollar and single quotes in others. Behind a reference the text goes on in
   * plain single quotes, so it must hold no escape there.
   */
  private dollarQuoted(): void {
    const { text } = this.cells
    const opening = this.at - 1
    let filled = false
    for (this.at++; this.at < text.length; this.at++) {
      const character = text[this.at]
      if (character === "'") {
        this.at++
        return
      }
      if (character === hole) {
        filled = true
        this.fits("single")
      } else if (character === "\\") {
        this.dollarQuotedEscape(filled)
      }
    }
    this.unclosed(opening, "$'")
  }

  private dollarQuotedEscape(filled: boolean): void {
    const { text } = this.cells
    const next = text[++this.at]
    const control = next === "c" && text[this.at + 1] === hole
    if (filled || next === "'" || next === hole || control) {
      this.note(this.at - 1, this.at, "shells read this escape in $'…' differently; use '…' or \"…\" with {{ }}")
    }
  }

  private dollar(context: Context): void {
    const { text } = this.cells
    const next = this.behindContinuations(this.at + 1)
    const start = this.at
    this.at = next
    switch (text[next]) {
      case "(":
        return this.parenthesized(start, this.behindContinuations(next + 1))
      case "{":
        return this.parameter(start, context)
      case "[":
        return this.note(start, next + 1, "$[ is arithmetic in some shells; write \\$[ for the text")
      case "'":
        if (context === "bare") this.dollarQuoted()
        return
      case hole:
        this.problem(next, "behind a $, which would make it another expansion; write \\$ for a dollar sign")
        this.at++
        return
      default:
        if (/[A-Za-z0-9_@*#?$!-]/.test(text[next] ?? "")) this.at++
    }
  }

  private parenthesized(start: number, next: number): void {
    if (this.cells.text[next] === "(") {
      this.at = next + 1
      this.arithmetic(start)
    } else {
      this.at++
      this.command(start)
    }
  }

  private arithmetic(opening: number): void {
    const { text } = this.cells
    this.refusals.push("inside $(( )), where a value would be evaluated")
    let depth = 0
    for (;;) {
      if (this.at >= text.length) {
        this.unclosed(opening, "$((")
        break
      }
      if (this.here === ")" && depth === 0) break
      if (this.here === "(") depth++
      if (this.here === ")") depth--
      if (this.here === hole) this.fit("double")
      else if (!this.expansion("arithmetic")) this.at++
    }
    this.refusals.pop()
    if (this.at < text.length && text[this.at + 1] !== ")") {
      this.note(opening, this.at, "shells read this $(( differently; write $( ( with a blank")
    }
    this.at += 2
  }

  /** `${ … }`, from the `{` on. */
  private parameter(opening: number, context: Context): void {
    const { text } = this.cells
    const name = /#?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])/y
    name.lastIndex = this.at + 1
    if (!name.test(text)) name.lastIndex = this.at + 1
    const operator = /:?[-=?+]|%%?|##?|(?=\})/y
    operator.lastIndex = name.lastIndex
    const found = operator.exec(text)
    this.at = found === null ? name.lastIndex : operator.lastIndex
    this.refusals.push(found === null ? "inside ${ }, where it is no part of a word" : this.refusals.at(-1))
    const pattern = found !== null && /^[%#]/.test(found[0])
    while (this.at < text.length && this.here !== "}") this.parameterPart(context, pattern)
    if (this.at >= text.length) this.unclosed(opening, "${")
    this.at++
    this.refusals.pop()
  }

  /** One character or construct of the word in `${name:-word}` or of the pattern in `${name#pattern}`. */
  private parameterPart(context: Context, pattern: boolean): void {
    if (context === "bare") {
      if (!this.quoting(context)) this.at++
      return
    }
    if (this.here === hole) this.fit(pattern ? "bare" : "double")
    else if (this.here === '"' && context !== "arithmetic") this.doubleQuoted()
    else if (this.here === "'" && pattern) {
      this.note(this.at, this.at + 1, "shells read ' in a pattern inside double quotes differently; use \"")
      this.at++
    } else if (!this.expansion(context)) this.at++
  }

  /** Takes the escapes of one level off the text between backticks and reads it as a command of its own. */
  private backticks(context: Context): void {
    const { text } = this.cells
    const opening = this.at++
    const escapable = context === "double" ? '$`\\"' : "$`\\"
    const origin: Array<number> = []
    let inner = ""
    let doubtful = false
    for (; this.at < text.length && this.here !== "`"; this.at++) {
      if (this.here === "\\") {
        const next = text[this.at + 1] ?? ""
        if (next === hole) this.problem(this.at + 1, "behind a backslash, which would escape it")
        if (next === '"' && (context === "here" || context === "arithmetic")) doubtful = true
        if (next !== "" && escapable.includes(next)) this.at++
      }
      inner += this.here
      origin.push(this.origin(this.at))
    }
    if (this.at >= text.length) this.unclosed(opening, "`")
    if (doubtful && inner.includes(hole))
      this.note(opening, this.at, 'shells read \\" in these backticks differently; write $( ) instead')
    this.at++
    new Scanner({ text: inner, origin }, this.findings).command(undefined)
  }

  private redirection(words: ShellWords): void {
    const { text } = this.cells
    const second = this.behindContinuations(this.at + 1)
    if (this.here !== "<" || text[second] !== "<") {
      words.redirection()
      this.at++
      if (/[>&|]/.test(this.here ?? "")) this.at++
    } else if (text[this.behindContinuations(second + 1)] === "<") {
      words.redirection()
      this.at = second + 2
    } else {
      words.end()
      this.delimiter(second + 1)
    }
  }

  /** `<<WORD` from behind the `<<`. */
  private delimiter(behind: number): void {
    const { text } = this.cells
    const start = this.at
    const strip = text[behind] === "-"
    let from = this.behindContinuations(behind + (strip ? 1 : 0))
    while (text[from] === " " || text[from] === "\t") from = this.behindContinuations(from + 1)
    const { delimiter, end, quoted } = readDelimiter(text, from)
    for (this.at = from; this.at < end; this.at++) {
      if (this.here === hole) this.problem(this.at, "it would be the delimiter of a here-document")
    }
    this.pending.push({ delimiter, quoted, strip, start })
  }

  private hereDocuments(): void {
    const documents = this.pending
    this.pending = []
    for (const document of documents) {
      const { end, next } = documentEnd(this.cells.text, this.at, document)
      const text = this.cells.text.slice(this.at, end)
      const body = new Scanner({ text, origin: this.cells.origin.slice(this.at, end) }, this.findings)
      body.refusals.push(
        document.quoted ? "in a here-document whose delimiter is quoted, where nothing is expanded" : undefined
      )
      if (document.quoted) body.holes()
      else while (body.at < text.length) body.quotedPart("here")
      this.at = next
    }
  }

  private holes(): void {
    for (; this.at < this.cells.text.length; this.at++) if (this.here === hole) this.fits("double")
  }
}
