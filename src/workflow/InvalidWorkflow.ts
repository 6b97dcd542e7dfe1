/** The error of whoever needs a sound workflow and was given another. */
import * as Schema from "effect/Schema"
import type { Diagnostic } from "./Diagnostic.ts"
import { renderAll } from "./DiagnosticRenderer.ts"
import { lineStarts, positionAt, type Source } from "./Source.ts"

/** A diagnostic without its source: what a record or another process can keep. Lines and columns count from 1. */
export const Problem = Schema.Struct({
  severity: Schema.Literal("error", "warning"),
  code: Schema.String,
  message: Schema.String,
  file: Schema.optionalWith(Schema.String, { exact: true }),
  line: Schema.optionalWith(Schema.Int, { exact: true }),
  column: Schema.optionalWith(Schema.Int, { exact: true }),
  hint: Schema.optionalWith(Schema.String, { exact: true })
})
export type Problem = typeof Problem.Type

/** A workflow that has errors: those of its file, its meaning or its references, and the warnings beside them. */
export class InvalidWorkflow extends Schema.TaggedError<InvalidWorkflow>()("InvalidWorkflow", {
  /** As the user named it. */
  file: Schema.String,
  problems: Schema.Array(Problem),
  /** All problems with their lines of source, as a terminal shows them, without colours. */
  rendered: Schema.String
}) {
  static fromDiagnostics(file: string, diagnostics: ReadonlyArray<Diagnostic>): InvalidWorkflow {
    return new InvalidWorkflow({ file, problems: toProblems(diagnostics), rendered: renderAll(diagnostics) })
  }

  override get message(): string {
    return `${this.file} is no valid workflow\n\n${this.rendered}`
  }
}

/** Diagnostics as data, with lines and columns. */
export const toProblems = (diagnostics: ReadonlyArray<Diagnostic>): ReadonlyArray<Problem> => {
  const startsOf = new Map<Source, ReadonlyArray<number>>()
  return diagnostics.map(({ severity, code, message, source, span, hint }) => {
    const problem: Problem = { severity, code, message, ...(hint === undefined ? {} : { hint }) }
    if (source === undefined) return problem
    if (span === undefined) return { ...problem, file: source.file }
    const starts = startsOf.get(source) ?? lineStarts(source.text)
    startsOf.set(source, starts)
    return { ...problem, file: source.file, ...positionAt(starts, span.start) }
  })
}
