/** Text made safe for a terminal, and the columns that it takes there. */

export interface Cell {
  /** What is printed for one character. */
  readonly text: string
  readonly width: number
  /** Where the character stands in its source. */
  readonly offset: number
}

const tab = "    "

/** Control, format (as those that turn the writing direction) and surrogate characters, and line separators. */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u
const everyUnsafe = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu
const combining = /\p{M}/u
/** East Asian wide and fullwidth characters, and emoji that are shown as pictures; a flag's letters are one column each. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|(?![\u{1f1e6}-\u{1f1ff}])\p{Emoji_Presentation}/u

const escape = (char: string): string => {
  const code = char.codePointAt(0) ?? 0
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`
}

/** Text with its control characters written out (`\x1b`), but for line ends and tabs. */
export const escapeText = (text: string): string =>
  text.replace(everyUnsafe, (char) => (char === "\n" || char === "\t" ? char : escape(char)))

/** The characters of a part of a line that begins at `offset`, as they are shown. */
export const toCells = (text: string, offset: number): ReadonlyArray<Cell> => {
  const cells: Array<Cell> = []
  let at = offset
  for (const char of text) {
    cells.push({ ...shape(char), offset: at })
    at += char.length
  }
  return cells
}

const shape = (char: string): Omit<Cell, "offset"> => {
  if (char >= " " && char < "\u007f") return { text: char, width: 1 }
  if (char === "\t") return { text: tab, width: tab.length }
  if (unsafe.test(char)) return { text: escape(char), width: escape(char).length }
  return { text: char, width: combining.test(char) ? 0 : wide.test(char) ? 2 : 1 }
}

export const widthOf = (cells: ReadonlyArray<Cell>): number => cells.reduce((sum, cell) => sum + cell.width, 0)
