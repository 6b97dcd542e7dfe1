/**
 * The outlines of a shell's here-documents: the word behind `<<`, and where the text ends (POSIX, 2.7.4).
 */

export interface HereDocument {
  readonly delimiter: string
  /** Any part of the delimiter was quoted: nothing is expanded in the text. */
  readonly quoted: boolean
  /** `<<-`: leading tabs do not count. */
  readonly strip: boolean
  /** Where the redirection stands. */
  readonly start: number
}

/** Where a document's text ends, and where the line behind its delimiter starts; without delimiter, the end. */
export const documentEnd = (
  text: string,
  from: number,
  document: HereDocument
): { readonly end: number; readonly next: number } => {
  let joined = false
  for (let line = from; line < text.length; ) {
    const newline = text.indexOf("\n", line)
    const end = newline === -1 ? text.length : newline
    const next = newline === -1 ? end : end + 1
    const content = text.slice(line, end)
    if (!joined && (document.strip ? content.replace(/^\t+/, "") : content) === document.delimiter) {
      return { end: line, next }
    }
    joined = !document.quoted && trailingBackslashes(content) % 2 === 1
    line = next
  }
  return { end: text.length, next: text.length }
}

const trailingBackslashes = (line: string): number => {
  let count = 0
  while (line[line.length - 1 - count] === "\\") count++
  return count
}

/** The delimiter that starts at an offset, its quotes removed, and where it ends. */
export const readDelimiter = (
  text: string,
  from: number
): { readonly delimiter: string; readonly quoted: boolean; readonly end: number } => {
  let delimiter = ""
  let quoted = false
  let quote: string | undefined
  let at = from
  for (; at < text.length; at++) {
    const character = text[at] ?? ""
    if (quote === undefined && /[\s;&|<>()]/.test(character)) break
    if (character === quote) {
      quote = undefined
    } else if (quote === undefined && (character === "'" || character === '"')) {
      quote = character
      quoted = true
    } else if (character === "\\" && quote !== "'") {
      quoted = true
      delimiter += text[++at] ?? ""
    } else {
      delimiter += character
    }
  }
  return { delimiter, quoted, end: Math.min(at, text.length) }
}
