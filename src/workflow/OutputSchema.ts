/**
 * Output schemas: what a step's structured output must look like, and which markers and context follow from it
 * (spec/language.md, "Output schemas").
 *
 * Owns: the schema as a value. Its YAML form is `OutputSchemaYaml`, what agents are told `OutputSchemaPrompt`.
 */
import * as Either from "effect/Either"
import { field, isObject, type JsonObject } from "./Json.ts"
import { evaluate, type MarkerExpression } from "./MarkerExpression.ts"
import { type Field, type Mismatch, mismatches } from "./OutputFields.ts"

export type { Field, FieldType, Mismatch } from "./OutputFields.ts"

export interface MarkerRule {
  readonly marker: string
  readonly expression: MarkerExpression
}

export interface OutputSchema {
  readonly name: string
  readonly fields: ReadonlyArray<Field>
  /** Absent: the default markers (`approved`, `findings`). */
  readonly markers?: ReadonlyArray<MarkerRule>
}

/** What a step records of an output that fits. */
export interface SchemaOutput {
  readonly structured: JsonObject
  /** Sorted, without repeats. */
  readonly markers: ReadonlyArray<string>
  readonly context: string
}

/** Every place of a value that does not fit the schema. */
export const validate = (schema: OutputSchema, value: unknown): ReadonlyArray<Mismatch> =>
  mismatches(schema.fields, value)

/** The output with its markers and context, or a text that names every mismatch (it becomes the retry error). */
export const applySchema = (schema: OutputSchema, value: unknown): Either.Either<SchemaOutput, string> => {
  const found = validate(schema, value)
  if (found.length > 0 || !isJsonObject(value)) return Either.left(mismatchText(schema, found))
  return Either.right({ structured: value, markers: markersOf(schema, value), context: contextOf(schema, value) })
}

// SAFETY of the guard: outputs are parsed from JSON, so an object among them is a JSON object.
const isJsonObject = (value: unknown): value is JsonObject => isObject(value)

/** Mismatches that a message spells out; a list of thousands helps neither a person nor an agent. */
const maxListed = 100

const mismatchText = (schema: OutputSchema, found: ReadonlyArray<Mismatch>): string => {
  const lines = found
    .slice(0, maxListed)
    .map(({ message, path }) => (path === "" ? `- ${message}` : `- ${path}: ${message}`))
  if (found.length > maxListed) lines.push(`- and ${found.length - maxListed} more`)
  return `the output does not fit the schema '${schema.name}':\n${lines.join("\n")}`
}

/** The markers that follow from a value, sorted. */
export const markersOf = (schema: OutputSchema, value: unknown): ReadonlyArray<string> => {
  const markers =
    schema.markers === undefined
      ? defaultMarkers(value)
      : schema.markers.filter(({ expression }) => evaluate(expression, value)).map(({ marker }) => marker)
  return [...new Set(markers)].sort()
}

/** `not_approved`, `has_findings` and `has_<severity>_findings`. */
const defaultMarkers = (value: unknown): ReadonlyArray<string> => {
  if (!isObject(value)) return []
  const markers = field(value, "approved") === false ? ["not_approved"] : []
  const findings = field(value, "findings")
  if (!Array.isArray(findings) || findings.length === 0) return markers
  markers.push("has_findings")
  for (const finding of findings) {
    const severity = isObject(finding) ? field(finding, "severity") : undefined
    if (typeof severity === "string" && isIdentifierPart(severity)) markers.push(`has_${severity}_findings`)
  }
  return markers
}

/** Conditions can only name identifiers, so other severities make no marker. */
const isIdentifierPart = (text: string): boolean => /^[A-Za-z0-9_-]+$/.test(text)

/** The text field `context`, else `summary`, else the first field that the schema declares as a text, else empty. */
export const contextOf = (schema: OutputSchema, value: unknown): string => {
  if (!isObject(value)) return ""
  const texts = schema.fields.filter(({ type }) => type._tag === "String").map(({ name }) => name)
  for (const name of ["context", "summary", ...texts]) {
    const text = field(value, name)
    if (typeof text === "string") return text
  }
  return ""
}
