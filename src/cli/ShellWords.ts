/**
 * A command line as bash hands it to a completion, and words as bash takes them back. Bash splits words at `=`, `:` and
 * `@` too, and replaces only what stands behind the last of these: so the line is read here, and the part of a word that
 * stays is cut off what is offered.
 */

export interface ShellLine {
  /** The words in front of the cursor's, the program's name included, without their quotes. */
  readonly words: ReadonlyArray<string>
  /** The cursor's word up to the cursor, without its quotes. */
  readonly current: string
  /** How much of `current` bash keeps. */
  readonly kept: number
  /** The quote that the cursor stands in. */
  readonly quote: "'" | '"' | undefined
}

/** `breaks`: bash's COMP_WORDBREAKS. */
export const readLine = (line: string, breaks: string): ShellLine => {
  const words: Array<string> = []
  let current: string | undefined
  let kept = 0
  let quote: ShellLine["quote"]
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? ""
    if (char === "\\" && quote !== "'" && at + 1 < line.length) {
      current = (current ?? "") + (line[++at] ?? "")
    } else if (quote === undefined && (char === "'" || char === '"')) {
      quote = char
      current ??= ""
      kept = current.length
    } else if (char === quote) {
      quote = undefined
      if (breaks.includes(char)) kept = current?.length ?? 0
    } else if (quote === undefined && /\s/.test(char)) {
      if (current !== undefined) words.push(current)
      current = undefined
      kept = 0
    } else {
      current = (current ?? "") + char
      if (quote === undefined && breaks.includes(char)) kept = current.length
    }
  }
  return { words, current: current ?? "", kept, quote }
}

/** A text as a part of a word that bash reads as it is, within the quote that is open. */
export const escaped = (text: string, quote: ShellLine["quote"]): string => {
  if (quote === "'") return text.replaceAll("'", "'\\''")
  if (quote === '"') return text.replace(/["$`\\]/g, "\\$&")
  return text.replace(/[^\w@%+=:,./~\u0080-\uffff-]/g, "\\$&")
}
