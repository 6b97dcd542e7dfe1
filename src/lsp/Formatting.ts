/** Laying a document out as `millrace fmt` does. */
import * as Either from "effect/Either"
import { formatSource } from "../workflow/Formatter.ts"
import type { OpenDocument } from "./Document.ts"
import type { TextEdit } from "./Protocol.ts"

/** The one edit that lays the document out, of those lines only that change; none if it has errors. */
export const formattingOf = ({ file, lines, text }: OpenDocument): ReadonlyArray<TextEdit> => {
  if (file.definition === undefined) return []
  const formatted = formatSource(file.source)
  if (Either.isLeft(formatted) || formatted.right === text) return []
  const wanted = formatted.right
  const start = lineStart(text, sameAtStart(text, wanted))
  const same = sameAtEnd(text, wanted, start)
  const span = { start, end: text.length - same }
  return [{ range: lines.rangeOf(span), newText: wanted.slice(start, wanted.length - same) }]
}

const sameAtStart = (a: string, b: string): number => {
  let count = 0
  while (count < a.length && count < b.length && a[count] === b[count]) count++
  return count
}

const lineStart = (text: string, at: number): number => (at === 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1)

/** How much is alike at the end, whole lines only, and not what is alike at the start. */
const sameAtEnd = (a: string, b: string, start: number): number => {
  const most = Math.min(a.length, b.length) - start
  let count = 0
  let whole = 0
  while (count < most && a[a.length - 1 - count] === b[b.length - 1 - count]) {
    count++
    if (a[a.length - 1 - count] === "\n" && b[b.length - 1 - count] === "\n") whole = count
  }
  return whole
}
