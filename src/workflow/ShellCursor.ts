/**
 * A place in a shell command that is being read, and what was found about its references so far.
 */
import type { ShellTemplateError } from "./ShellTemplate.ts"
import type { Reference } from "./Template.ts"

/**
 * How a reference is written: outside quotes, within double quotes (or a here-document), within single quotes; one in
 * a comment stays as it is.
 */
export type Fit = "bare" | "double" | "single" | "comment"

/** Text in which quotes mean something; double-quoted text; a here-document; `$(( … ))`. */
export type Context = "bare" | "double" | "here" | "arithmetic"

/** Expansions within expansions; deeper ones would exhaust the stack. */
export const maxDepth = 64

/** Text with references as NULs, and where each of its characters stands in the command. */
export interface Cells {
  readonly text: string
  readonly origin: ReadonlyArray<number>
}

/** All by the offset in the command at which the reference, or the mistake, starts. */
export interface Findings {
  readonly fits: Map<number, Fit>
  readonly problems: Map<number, ShellTemplateError>
  /** Where a reference ends. */
  readonly ends: ReadonlyMap<number, number>
  /** How many expansions the place being read stands in. */
  depth: number
}

/** What a reference is in the scanned text: a character that no command can hold. */
export const hole = "\0"

/** The command with each reference as one `hole`. */
export const cellsOf = (run: string, references: ReadonlyArray<Reference>): Cells => {
  const origin: Array<number> = []
  let text = ""
  let from = 0
  const copy = (end: number) => {
    text += run.slice(from, end)
    for (let at = from; at < end; at++) origin.push(at)
  }
  for (const { end, start } of references) {
    copy(start)
    text += hole
    origin.push(start)
    from = end
  }
  copy(run.length)
  return { text, origin }
}

export class ShellCursor {
  protected at = 0
  /** Why a reference cannot stand here; the last one counts, undefined lifts the others. */
  protected refusals: Array<string | undefined> = []

  constructor(
    protected readonly cells: Cells,
    protected readonly findings: Findings
  ) {}

  protected get here(): string | undefined {
    return this.cells.text[this.at]
  }

  protected isContinuation(at: number): boolean {
    return this.cells.text[at] === "\\" && this.cells.text[at + 1] === "\n"
  }

  protected behindContinuations(at: number): number {
    let behind = at
    while (this.isContinuation(behind)) behind += 2
    return behind
  }

  protected origin(at: number): number {
    const { origin } = this.cells
    return origin[at] ?? (origin.at(-1) ?? -1) + 1
  }

  /** The reference here takes this form, if none is refused. */
  protected fits(fit: Fit): void {
    const refusal = this.refusals.at(-1)
    if (refusal === undefined) this.findings.fits.set(this.origin(this.at), fit)
    else this.problem(this.at, refusal)
  }

  protected fit(fit: Fit): void {
    this.fits(fit)
    this.at++
  }

  /** The reference at an index cannot be replaced. */
  protected problem(at: number, where: string): void {
    const start = this.origin(at)
    const end = this.findings.ends.get(start) ?? start + 1
    this.report({ start, end, message: `no value can be put here: ${where}` })
  }

  protected note(from: number, to: number, message: string): void {
    const start = this.origin(from)
    this.report({ start, end: Math.max(start + 1, this.origin(to)), message })
  }

  protected unclosed(opening: number, what: string): void {
    const start = this.origin(opening)
    this.report({ start, end: start + what.length, message: `this ${what} is never closed` })
  }

  /** The first problem of a place says why. */
  private report(problem: ShellTemplateError): void {
    if (!this.findings.problems.has(problem.start)) this.findings.problems.set(problem.start, problem)
  }
}
