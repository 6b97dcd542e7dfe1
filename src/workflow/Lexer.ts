/**
 * Text to tokens (spec/language.md, "Lexical rules"): linear, total, without copies of the text. Tokens are three
 * parallel arrays; what a token says is read from the text when it is needed. Comments are kept aside for the
 * formatter. What is no token becomes a problem and an `Unknown` token, which the parser passes over in silence.
 */
import type { SyntaxCode } from "./SyntaxCodes.ts"

export const Kind = {
  End: 0,
  Identifier: 1,
  Integer: 2,
  Duration: 3,
  String: 4,
  LeftBrace: 5,
  RightBrace: 6,
  LeftBracket: 7,
  RightBracket: 8,
  Comma: 9,
  Semicolon: 10,
  Equals: 11,
  Dot: 12,
  /** Means nothing in the language, but is what people write for `=`. */
  Colon: 13,
  Unknown: 14
} as const
export type Kind = (typeof Kind)[keyof typeof Kind]

export interface LexicalProblem {
  readonly code: SyntaxCode
  readonly message: string
  readonly hint: string
  readonly start: number
  readonly end: number
}

/** Token `i` is `text.slice(starts[i], ends[i])`; the last of the `count` tokens is `End`, and all kinds behind it. */
export interface Tokens {
  readonly text: string
  readonly count: number
  readonly kinds: Uint8Array
  readonly starts: Int32Array
  readonly ends: Int32Array
  /** Start and end of every comment, in turn, without the line's end. */
  readonly comments: ReadonlyArray<number>
  readonly problems: ReadonlyArray<LexicalProblem>
}

/** Never fails, whatever the text. */
export const tokenize = (text: string): Tokens => new Scanner(text).run()

/** Whether a text can stand as a name without quotes. */
export const isIdentifier = (text: string): boolean => {
  if (text.length === 0 || classOf(text.charCodeAt(0)) !== letter) return false
  return identifierEnd(text, 1) === text.length
}

/** What a string token between `start` and `end` means. */
export const stringValue = (text: string, start: number, end: number): string => {
  const closed = end - start > 1 && text.charCodeAt(end - 1) === text.charCodeAt(start)
  const inner = text.slice(start + 1, closed ? end - 1 : end)
  return inner.includes("\\") ? unescape(inner) : inner
}

const unescape = (inner: string): string => {
  let value = ""
  let from = 0
  for (let at = inner.indexOf("\\"); at !== -1 && at + 1 < inner.length; at = inner.indexOf("\\", at + 2)) {
    const escaped = inner[at + 1] ?? ""
    value += inner.slice(from, at) + (escaped === "n" ? "\n" : escaped === "t" ? "\t" : escaped)
    from = at + 2
  }
  return value + inner.slice(from)
}

/**
 * Where the code unit `index` of a string's value stands in the file, given the start of its token: for positions
 * inside of texts, such as a template's in `run`.
 */
export const offsetInString = (text: string, start: number, index: number): number => {
  let at = start + 1
  for (let seen = 0; seen < index && at < text.length; seen++) at += text[at] === "\\" ? 2 : 1
  return at
}

const other = 0
const space = 1
const letter = 2
const digit = 3
const quote = 4
const punctuation = 5

const classes = new Uint8Array(128)
const punctuationKinds = new Uint8Array(128)
const identifierParts = new Uint8Array(128)

for (const char of " \t\n\r\v\f") classes[char.charCodeAt(0)] = space
for (const char of "0123456789") classes[char.charCodeAt(0)] = digit
for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") classes[char.charCodeAt(0)] = letter
for (const char of `"'\``) classes[char.charCodeAt(0)] = quote
for (const [char, kind] of [
  ["{", Kind.LeftBrace],
  ["}", Kind.RightBrace],
  ["[", Kind.LeftBracket],
  ["]", Kind.RightBracket],
  [",", Kind.Comma],
  [";", Kind.Semicolon],
  ["=", Kind.Equals],
  [".", Kind.Dot],
  [":", Kind.Colon]
] as const) {
  classes[char.charCodeAt(0)] = punctuation
  punctuationKinds[char.charCodeAt(0)] = kind
}
for (let code = 0; code < 128; code++) {
  if (classes[code] === letter || classes[code] === digit || code === 0x2d) identifierParts[code] = 1
}

const wideSpace = /^\s$/

const classOf = (code: number): number => {
  if (code < 128) return classes[code] ?? other
  return wideSpace.test(String.fromCharCode(code)) ? space : other
}

const identifierEnd = (text: string, from: number): number => {
  let at = from
  while (at < text.length && identifierParts[text.charCodeAt(at)] === 1) at++
  return at
}

const digitsEnd = (text: string, from: number): number => {
  let at = from
  while (at < text.length && classOf(text.charCodeAt(at)) === digit) at++
  return at
}

const isUnit = (text: string): boolean => text === "s" || text === "m" || text === "h" || text === "ms"

class Scanner {
  private count = 0
  private kinds: Uint8Array
  private starts: Int32Array
  private ends: Int32Array
  private readonly comments: Array<number> = []
  private readonly problems: Array<LexicalProblem> = []

  constructor(private readonly text: string) {
    const capacity = (text.length >> 2) + 16
    this.kinds = new Uint8Array(capacity)
    this.starts = new Int32Array(capacity)
    this.ends = new Int32Array(capacity)
  }

  run(): Tokens {
    const { text, comments, problems } = this
    let at = 0
    while (at < text.length) at = this.step(at)
    this.push(Kind.End, text.length, text.length)
    return { text, count: this.count, kinds: this.kinds, starts: this.starts, ends: this.ends, comments, problems }
  }

  /** Reads what begins at `at` and gives the offset behind it. */
  private step(at: number): number {
    const code = this.text.charCodeAt(at)
    switch (classOf(code)) {
      case space:
        return at + 1
      case letter:
        return this.push(Kind.Identifier, at, identifierEnd(this.text, at + 1))
      case punctuation:
        return this.push(punctuationKinds[code] ?? Kind.Unknown, at, at + 1)
      case quote:
        return code === 0x22 ? this.string(at) : this.foreignString(at)
      case digit:
        return this.number(at)
      default:
        return this.rest(at, code)
    }
  }

  private push(kind: number, start: number, end: number): number {
    if (this.count === this.kinds.length) this.grow()
    this.kinds[this.count] = kind
    this.starts[this.count] = start
    this.ends[this.count] = end
    this.count++
    return end
  }

  private grow(): void {
    const capacity = this.kinds.length * 2
    const { kinds, starts, ends } = this
    this.kinds = new Uint8Array(capacity)
    this.kinds.set(kinds)
    this.starts = new Int32Array(capacity)
    this.starts.set(starts)
    this.ends = new Int32Array(capacity)
    this.ends.set(ends)
  }

  private problem(code: SyntaxCode, start: number, end: number, message: string, hint: string): void {
    this.problems.push({ code, message, hint, start, end })
  }

  private string(start: number): number {
    const { text } = this
    let at = start + 1
    while (at < text.length) {
      const code = text.charCodeAt(at)
      if (code === 0x22) return this.push(Kind.String, start, at + 1)
      at += code === 0x5c ? 2 : 1
    }
    this.problem("unclosed-string", start, start + 1, "this text is never closed", 'close it with `"`')
    return this.push(Kind.String, start, text.length)
  }

  /** Text in single quotes or backticks, which ends with its line at the latest. */
  private foreignString(start: number): number {
    const { text } = this
    const closing = text.charCodeAt(start)
    let at = start + 1
    while (at < text.length && text.charCodeAt(at) !== closing && text.charCodeAt(at) !== 0x0a) at++
    const end = text.charCodeAt(at) === closing ? at + 1 : at
    this.problem("foreign-quotes", start, end, "a text stands in double quotes", 'write `"…"`')
    return this.push(Kind.String, start, end)
  }

  private number(start: number): number {
    const { text } = this
    const end = digitsEnd(text, start)
    if (text[end] === "." && classOf(text.charCodeAt(end + 1)) === digit) {
      const all = identifierEnd(text, digitsEnd(text, end + 1))
      const message = `\`${text.slice(start, all)}\` is not a whole number`
      this.problem("invalid-number", start, all, message, "write a whole number, or a text in quotes")
      return this.push(Kind.Unknown, start, all)
    }
    const unitEnd = identifierEnd(text, end)
    if (unitEnd > end && unitEnd - end < 3 && isUnit(text.slice(end, unitEnd))) {
      return this.push(Kind.Duration, start, unitEnd)
    }
    return this.push(Kind.Integer, start, end)
  }

  /** Comments, and everything that is no token. */
  private rest(at: number, code: number): number {
    const { text } = this
    const next = text.charCodeAt(at + 1)
    if (code === 0x23 || (code === 0x2f && next === 0x2f)) return this.comment(at)
    if (code === 0xfeff && at === 0) return at + 1
    if (code === 0x2d && next === 0x2d) {
      const end = this.comment(at)
      this.problem("foreign-comment", at, at + 2, "`--` does not begin a comment", "write `// …` or `# …`")
      return end
    }
    if (code === 0x2f && next === 0x2a) return this.blockComment(at)
    if (code === 0x2d && classOf(next) === digit) {
      const end = identifierEnd(text, at + 1)
      const message = `\`${text.slice(at, end)}\` is negative`
      this.problem("invalid-number", at, end, message, "numbers are whole and not negative")
      return this.push(Kind.Unknown, at, end)
    }
    return this.unknown(at, code)
  }

  private comment(start: number): number {
    const line = this.text.indexOf("\n", start)
    const end = line === -1 ? this.text.length : line
    this.comments.push(start, this.text.charCodeAt(end - 1) === 0x0d ? end - 1 : end)
    return end
  }

  private blockComment(start: number): number {
    const close = this.text.indexOf("*/", start + 2)
    const end = close === -1 ? this.text.length : close + 2
    this.comments.push(start, end)
    this.problem(
      "foreign-comment",
      start,
      start + 2,
      "`/*` does not begin a comment",
      "begin each line with `//` or `#`"
    )
    return end
  }

  /** One problem for a whole run of text that means nothing, up to a space or a mark that does. */
  private unknown(start: number, code: number): number {
    const { text } = this
    let end = start + 1
    while (end < text.length) {
      const next = text.charCodeAt(end)
      const kind = classOf(next)
      if (kind === space || next === 0x22 || (kind === punctuation && next !== 0x2e)) break
      end++
    }
    const char = String.fromCodePoint(text.codePointAt(start) ?? code)
    const message = `unexpected character ${describeCharacter(char)}`
    this.problem("unexpected-character", start, end, message, unknownHint(char))
    return this.push(Kind.Unknown, start, end)
  }
}

const unprintable = /^[\p{C}\p{Z}]$/u

const describeCharacter = (char: string): string => {
  const number = `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`
  return unprintable.test(char) ? number : char < "\u0080" ? `\`${char}\`` : `\`${char}\` (${number})`
}

const unknownHint = (char: string): string => {
  if (char === "/" || char === "\\") return 'put a path in quotes: `"…"`'
  if ("“”„«»‘’".includes(char)) return 'a text stands in straight double quotes: `"…"`'
  if (char === "(" || char === ")") return "blocks and maps stand in `{ }`, lists in `[ ]`"
  return 'put a text that holds other characters than letters, digits, `_` and `-` in quotes: `"…"`'
}
