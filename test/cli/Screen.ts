/**
 * What stands on a terminal after a program has written to it: enough of a VT100 for what the command line writes.
 * Lines that reach the last column go on in the next row, wide characters take two cells.
 */
import { width } from "../../src/cli/Output.ts"

export interface Screen {
  /** All rows, from the first that was written; those that scrolled away included. */
  readonly rows: ReadonlyArray<string>
  readonly isCursorShown: boolean
}

const sequence = new RegExp(`${String.fromCharCode(27)}\\[([0-9;?]*)([A-Za-z])`, "y")

export const screenOf = (written: string, columns: number): Screen => {
  const cells: Array<Array<string>> = [[]]
  let [row, column] = [0, 0]
  let isCursorShown = true
  const rowAt = (index: number): Array<string> => {
    while (cells.length <= index) cells.push([])
    return cells[index] ?? []
  }
  const control = (parameters: string, letter: string): void => {
    const count = Number(parameters) || 1
    if (letter === "A") row = Math.max(0, row - count)
    else if (letter === "J") {
      rowAt(row).length = Math.min(rowAt(row).length, column)
      cells.length = row + 1
    } else if (letter === "K") rowAt(row).length = Math.min(rowAt(row).length, column)
    else if (letter === "G") column = count - 1
    else if (parameters === "?25") isCursorShown = letter === "h"
    else if (letter !== "m" && parameters !== "?2004") throw new Error(`an unknown sequence: ${parameters}${letter}`)
  }
  const put = (char: string): void => {
    const wide = width(char)
    if (column + wide > columns) [row, column] = [row + 1, 0]
    const cell = rowAt(row)
    if (wide === 0) cell[column - 1] = (cell[column - 1] ?? "") + char
    else cell.splice(column, wide, char, ...Array.from({ length: wide - 1 }, () => ""))
    column += wide
  }
  for (let at = 0; at < written.length; ) {
    sequence.lastIndex = at
    const found = sequence.exec(written)
    const char = String.fromCodePoint(written.codePointAt(at) ?? 0)
    if (found !== null) control(found[1] ?? "", found[2] ?? "")
    else if (char === "\r") column = 0
    else if (char === "\n") rowAt(++row)
    else put(char)
    at += found === null ? char.length : found[0].length
  }
  // Cells that were skipped are blanks.
  const rows = cells.map((cell) =>
    Array.from(cell, (char) => char ?? " ")
      .join("")
      .trimEnd()
  )
  return { rows, isCursorShown }
}
