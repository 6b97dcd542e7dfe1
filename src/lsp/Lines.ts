/**
 * Positions of the protocol and offsets in a text. A line ends with `\n`, `\r\n` or `\r`; both sides count UTF-16 code
 * units. Positions behind the end of a line or the text mean that end.
 */
import type { Span } from "../workflow/Source.ts"
import type { Position, Range } from "./Protocol.ts"

export class Lines {
  private readonly starts: ReadonlyArray<number>

  constructor(private readonly text: string) {
    const starts = [0]
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === 0x0d && text.charCodeAt(at + 1) === 0x0a) at++
      if (code === 0x0d || code === 0x0a) starts.push(at + 1)
    }
    this.starts = starts
  }

  positionOf(offset: number): Position {
    const line = this.lineOf(Math.min(Math.max(0, offset), this.text.length))
    const start = this.starts[line] ?? 0
    return { line, character: Math.min(offset, this.endOf(line)) - start }
  }

  offsetOf({ character, line }: Position): number {
    const start = this.starts[line]
    return start === undefined ? this.text.length : Math.min(start + character, this.endOf(line))
  }

  rangeOf({ end, start }: Span): Range {
    return { start: this.positionOf(start), end: this.positionOf(end) }
  }

  spanOf({ end, start }: Range): Span {
    const from = this.offsetOf(start)
    return { start: from, end: Math.max(from, this.offsetOf(end)) }
  }

  /** The last line that starts at or before the offset. */
  private lineOf(offset: number): number {
    let low = 0
    let high = this.starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Where a line ends, less its line end. */
  private endOf(line: number): number {
    const next = this.starts[line + 1]
    if (next === undefined) return this.text.length
    const isPair = this.text[next - 1] === "\n" && this.text[next - 2] === "\r" && next - 2 >= (this.starts[line] ?? 0)
    return isPair ? next - 2 : next - 1
  }
}
