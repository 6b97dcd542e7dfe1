/**
 * What is wrong with a workflow, as data: one shape for syntax, meaning and references
 * (spec/language.md, "Diagnostics"). `DiagnosticRenderer` turns it into text.
 */
import type { Source, Span } from "./Source.ts"

export type Severity = "error" | "warning"

export interface Diagnostic {
  readonly severity: Severity
  /** Stable and kebab-case, such as `unknown-option`; listed in docs/language.md. */
  readonly code: string
  /** One sentence, no full stop: what is wrong, naming the thing. */
  readonly message: string
  /** Absent where there is no file (a definition made in code). */
  readonly source?: Source
  readonly span?: Span
  /** What was expected or what to write instead. */
  readonly hint?: string
}

/** By file, then position, then severity; stable. */
export const sort = (diagnostics: ReadonlyArray<Diagnostic>): ReadonlyArray<Diagnostic> =>
  [...diagnostics].sort(
    (a, b) =>
      compareText(a.source?.file ?? "", b.source?.file ?? "") ||
      (a.span?.start ?? 0) - (b.span?.start ?? 0) ||
      compareText(a.severity, b.severity)
  )

export const hasErrors = (diagnostics: ReadonlyArray<Diagnostic>): boolean =>
  diagnostics.some((diagnostic) => diagnostic.severity === "error")

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
