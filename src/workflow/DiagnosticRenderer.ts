/**
 * Diagnostics as a terminal shows them (spec/language.md, "Diagnostics"):
 *
 *     error[missing-option]: `while` needs `max_iterations`
 *       --> deploy.wf:4:3
 *        |
 *      4 |   while review.has_issues {
 *        |   ^^^^^^^^^^^^^^^^^^^^^^^
 *        |
 *     help: add `max_iterations = 10`
 */
import type { Diagnostic } from "./Diagnostic.ts"
import { lineStarts, positionAt, type Source, type Span } from "./Source.ts"
import { type Cell, escapeText, toCells, widthOf } from "./TerminalText.ts"

export interface RenderOptions {
  /** ANSI colours; default false. */
  readonly color?: boolean
}

/** One diagnostic, without a line's end behind it. Control characters of the file never reach the terminal. */
export const render = (diagnostic: Diagnostic, options: RenderOptions = {}): string => {
  const paint = options.color === true ? colored : plain
  const { severity, code, message, source, span, hint } = diagnostic
  const lines = [`${paint[severity](`${severity}[${code}]`)}${paint.strong(`: ${escapeText(message)}`)}`]
  if (source !== undefined) lines.push(...location(source, span, severity, paint))
  if (hint !== undefined) lines.push(`${paint.help("help:")} ${escapeText(hint)}`)
  return lines.join("\n")
}

/** All of them in the order given, an empty line between two. */
export const renderAll = (diagnostics: ReadonlyArray<Diagnostic>, options: RenderOptions = {}): string =>
  diagnostics.map((diagnostic) => render(diagnostic, options)).join("\n\n")

/** `2 errors, 1 warning`; empty if there are neither. */
export const summary = (diagnostics: ReadonlyArray<Diagnostic>): string =>
  (["error", "warning"] as const)
    .map((severity) => [severity, diagnostics.filter((diagnostic) => diagnostic.severity === severity).length] as const)
    .filter(([, count]) => count > 0)
    .map(([severity, count]) => `${count} ${severity}${count === 1 ? "" : "s"}`)
    .join(", ")

type Paint = Readonly<Record<"error" | "warning" | "strong" | "frame" | "help", (text: string) => string>>

const ansi = (code: string) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
const same = (text: string): string => text
const plain: Paint = { error: same, warning: same, strong: same, frame: same, help: same }
const colored: Paint = {
  error: ansi("1;31"),
  warning: ansi("1;33"),
  strong: ansi("1"),
  frame: ansi("34"),
  help: ansi("1;36")
}

/** Line starts of the sources seen, so that a thousand diagnostics of one file scan it once. */
const startsOf = new WeakMap<Source, ReadonlyArray<number>>()

const startsIn = (source: Source): ReadonlyArray<number> => {
  const known = startsOf.get(source) ?? lineStarts(source.text)
  startsOf.set(source, known)
  return known
}

const location = (
  source: Source,
  span: Span | undefined,
  severity: "error" | "warning",
  paint: Paint
): ReadonlyArray<string> => {
  const file = escapeText(source.file)
  if (span === undefined) return [`  ${paint.frame("-->")} ${file}`]
  const starts = startsIn(source)
  const first = positionAt(starts, span.start)
  const last = positionAt(starts, Math.max(span.start, span.end - 1))
  const margin = String(last.line).length + 1
  const frame = (label: string, text: string) =>
    `${paint.frame(`${label.padStart(margin)} |`)}${text === "" ? "" : ` ${text}`}`
  const lines = [`${" ".repeat(margin)}${paint.frame("-->")} ${file}:${first.line}:${first.column}`, frame("", "")]
  const shown = first.line === last.line ? [first.line] : [first.line, last.line]
  for (const line of shown) {
    if (line > first.line + 1) lines.push(frame("...", ""))
    const { text, marker } = excerpt(source.text, lineSpan(source.text, starts, line), span)
    lines.push(frame(String(line), text), frame("", paint[severity](marker)))
  }
  return [...lines, frame("", "")]
}

/** A line's text without its end. */
const lineSpan = (text: string, starts: ReadonlyArray<number>, line: number): Span => {
  const start = starts[line - 1] ?? 0
  const next = starts[line]
  let end = next === undefined ? text.length : next - 1
  if (end > start && text[end - 1] === "\r") end--
  return { start, end }
}

/** The most columns of a line that are shown. */
const maxWidth = 100
/** How many of them stand in front of the mark when the line is cut. */
const lead = 40
/** How much of a line is looked at on each side of the mark: more than a terminal shows. */
const reach = 400

interface Excerpt {
  readonly text: string
  readonly marker: string
}

/** The part of a line around the span, and the carets below it. */
const excerpt = (text: string, line: Span, span: Span): Excerpt => {
  const marked = { start: Math.min(Math.max(span.start, line.start), line.end), end: Math.min(span.end, line.end) }
  if (span.start < line.start) marked.start = firstWord(text, line)
  const from = Math.max(line.start, marked.start - reach)
  const to = Math.min(line.end, marked.start + reach)
  const cells = toCells(text.slice(from, to), from)
  const [before, after] = window(cells, marked.start)
  const shown = cells.slice(before, after)
  const left = from > line.start || before > 0 ? "…" : ""
  const right = to < line.end || after < cells.length ? "…" : ""
  const inFront = shown.filter((cell) => cell.offset < marked.start)
  const under = shown.filter((cell) => cell.offset >= marked.start && cell.offset < marked.end)
  return {
    text: `${left}${shown.map((cell) => cell.text).join("")}${right}`,
    marker: `${" ".repeat(left.length + widthOf(inFront))}${"^".repeat(Math.max(1, widthOf(under)))}`
  }
}

const firstWord = (text: string, line: Span): number => {
  let at = line.start
  while (at < line.end && (text[at] === " " || text[at] === "\t")) at++
  return at
}

/** Which cells to show: all if they fit, else those from a little in front of the mark on. */
const window = (cells: ReadonlyArray<Cell>, mark: number): readonly [number, number] => {
  if (widthOf(cells) <= maxWidth) return [0, cells.length]
  const marked = cells.findIndex((cell) => cell.offset >= mark)
  let before = marked === -1 ? cells.length : marked
  let space = lead
  while (before > 0 && space > 0) space -= cells[--before]?.width ?? 0
  let after = before
  space = maxWidth
  while (after < cells.length && space > 0) space -= cells[after++]?.width ?? 0
  return [before, after]
}
