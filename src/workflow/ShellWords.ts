/**
 * Where words and commands start in a shell command, as far as finding the `)` of a `$( … )` needs it: parentheses
 * and the patterns of `case`, whose `)` closes nothing.
 */

/** Reserved words behind which a command may start. */
const leading = new Set(["if", "then", "else", "elif", "while", "until", "do", "{", "!", "fi", "done", "}"])

type Open = "(" | "((" | "case-word" | "case-in" | "case-pattern" | "case-body"

export class ShellWords {
  private open: Array<Open> = []
  private word = ""
  private started = false
  private plain = true
  private commandStart = true
  private patternStart = true
  private target = false

  /** Whether the next character would start a word (a `#` then starts a comment). */
  get atWordStart(): boolean {
    return !this.started
  }

  /** An unquoted, plain character of a word. */
  literal(character: string): void {
    this.started = true
    this.word += character
  }

  /** A quoted or expanded part of a word: what holds one is no reserved word. */
  opaque(): void {
    this.started = true
    this.plain = false
  }

  /** The end of a word, if there is one. */
  end(): void {
    if (!this.started) return
    const word = this.plain ? this.word : undefined
    this.word = ""
    this.started = false
    this.plain = true
    if (this.target) this.target = false
    else this.finish(word)
  }

  /** `<`, `>` and their kin: the next word is a file's name. */
  redirection(): void {
    this.end()
    this.target = true
  }

  /** A newline, `;`, `&` or `|`. */
  separator(): void {
    this.end()
    this.target = false
    this.commandStart = true
  }

  /** `;;` and `;&`. */
  caseEnd(): void {
    this.separator()
    if (this.top === "case-body") this.replace("case-pattern")
  }

  /** A `(`, or the first of two. */
  parenthesis(doubled: boolean): void {
    this.end()
    if (this.top === "case-pattern") return
    this.open.push(doubled && this.commandStart ? "((" : "(")
    this.commandStart = true
  }

  /** A `)`: whether it closes what this command stands in. */
  close(): "outer" | "doubled" | "inner" {
    this.end()
    this.target = false
    this.commandStart = true
    if (this.top === "case-pattern") {
      this.replace("case-body")
      return "inner"
    }
    const last = this.open.findLastIndex((open) => open === "(" || open === "((")
    if (last === -1) return "outer"
    const closed = this.open[last]
    this.open.length = last
    return closed === "((" ? "doubled" : "inner"
  }

  /** Whether the `(` just opened is the first of `((` at the start of a command. */
  get inDoubled(): boolean {
    return this.top === "(("
  }

  private get top(): Open | undefined {
    return this.open.at(-1)
  }

  private replace(open: Open): void {
    this.open[this.open.length - 1] = open
    this.patternStart = true
  }

  private finish(word: string | undefined): void {
    switch (this.top) {
      case "case-word":
        return this.replace("case-in")
      case "case-in":
        return this.replace("case-pattern")
      case "case-pattern":
        if (word === "esac" && this.patternStart) this.leaveCase()
        this.patternStart = false
        return
      default:
        this.finishCommandWord(word)
    }
  }

  private finishCommandWord(word: string | undefined): void {
    if (!this.commandStart) return
    if (word === "esac" && this.top === "case-body") return this.leaveCase()
    this.commandStart = word !== undefined && leading.has(word)
    if (word === "case") this.open.push("case-word")
  }

  private leaveCase(): void {
    this.open.pop()
    this.commandStart = true
  }
}
