/** What the parser and the validator find wrong with a document, as the editor shows it. */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { type Diagnostic, sort } from "../workflow/Diagnostic.ts"
import { maxProblems } from "../workflow/Parser.ts"
import type { Span } from "../workflow/Source.ts"
import { validate } from "../workflow/Validator.ts"
import { type ReferenceNode, referenceNodes } from "../workflow/ValidatorReferences.ts"
import { Lines } from "./Lines.ts"
import { DiagnosticSeverity, type LspDiagnostic, type Position } from "./Protocol.ts"
import { allNodes } from "./Steps.ts"
import type { Subject } from "./Workspace.ts"

/**
 * The findings about a document, those in the workflows that it calls included, by their place in the document; at most
 * `maxProblems` of them.
 */
export const diagnosticsOf = (subject: Subject): ReadonlyArray<LspDiagnostic> => {
  const { around, document } = subject
  const { file } = document
  const meaning = around === undefined ? [] : validate(file, around.host)
  const own = sort([...file.diagnostics, ...meaning])
    .map((diagnostic) => toLsp(subject, diagnostic))
    .toSorted((a, b) => compare(a.range.start, b.range.start))
    .slice(0, maxProblems)
  return subject.problem === undefined ? own : [unchecked(subject.problem), ...own]
}

const compare = (a: Position, b: Position): number => a.line - b.line || a.character - b.character

/** What keeps the names in a document from being checked stands at its beginning. */
const unchecked = (problem: string): LspDiagnostic => {
  const start = { line: 0, character: 0 }
  const severity = DiagnosticSeverity.error
  return { range: { start, end: start }, severity, code: "project-unusable", source: "millrace", message: problem }
}

const toLsp = (subject: Subject, diagnostic: Diagnostic): LspDiagnostic => {
  const { file, lines } = subject.document
  const { code, severity, source, span } = diagnostic
  const isOwn = source === undefined || source === file.source
  return {
    range: lines.rangeOf(isOwn ? (span ?? { start: 0, end: 0 }) : anchorOf(subject, diagnostic)),
    severity: DiagnosticSeverity[severity],
    code,
    source: "millrace",
    message: textOf(diagnostic),
    ...(isOwn ? {} : { relatedInformation: [elsewhere(diagnostic)] })
  }
}

const textOf = ({ hint, message }: Diagnostic): string => (hint === undefined ? message : `${message}\n${hint}`)

const elsewhere = ({ message, source, span }: Diagnostic) => {
  const lines = new Lines(source?.text ?? "")
  const uri = pathToFileURL(resolve(source?.file ?? "")).href
  return { location: { uri, range: lines.rangeOf(span ?? { start: 0, end: 0 }) }, message }
}

/** Where the document leads to a finding in another file: the reference to the workflow or schema that it is in. */
const anchorOf = (subject: Subject, { source }: Diagnostic): Span => {
  const { definition, spans } = subject.document.file
  if (definition === undefined) return { start: 0, end: 0 }
  const reference = referenceNodes(definition).find((node) => leadsTo(subject, node, source?.file))
  const place = reference ?? definition
  const option = reference?._tag === "Foreach" ? spans.option(reference, "workflow") : undefined
  return option ?? schemaAnchor(subject, source?.file) ?? spans.name(place) ?? { start: 0, end: 0 }
}

/** Whether a called workflow, or one that it calls, stands in the file, or names a schema that does. */
const leadsTo = ({ around, workflow }: Subject, node: ReferenceNode, file: string | undefined): boolean => {
  const seen = new Set([workflow])
  const rest = [node.workflow]
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    const lookup = around?.host.workflow(name)
    if (lookup?._tag !== "Found") continue
    const { definition, source } = lookup.file
    if (source?.file === file) return true
    if (definition === undefined) continue
    rest.push(...referenceNodes(definition).map((inner) => inner.workflow))
  }
  return false
}

/** The `output` that names a schema of this file. */
const schemaAnchor = ({ around, document, workflow }: Subject, file: string | undefined): Span | undefined => {
  const { definition, spans } = document.file
  if (definition === undefined || around === undefined) return undefined
  for (const { node } of allNodes(definition)) {
    if (!("output" in node) || node.output === undefined) continue
    const lookup = around.host.schema(node.output, workflow)
    const isIt = lookup._tag === "Invalid" && lookup.diagnostics.some(({ source }) => source?.file === file)
    if (isIt) return spans.option(node, "output")
  }
  return undefined
}
