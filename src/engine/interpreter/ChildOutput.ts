/**
 * What a child run gives its parent: kept in the child's record when it ends, copied to the parent's step
 * (spec/engine.md, "call workflow").
 */
import * as Schema from "effect/Schema"
import { noResult, type StepResult } from "../../persistence/Records.ts"
import { isObject } from "../../workflow/Json.ts"
import { successInCode } from "../Child.ts"
import type { Entry, Visible } from "./Visible.ts"

const EntrySchema = Schema.Struct({
  step: Schema.String,
  iteration: Schema.Number,
  markers: Schema.Array(Schema.String),
  context: Schema.NullOr(Schema.String),
  structured: Schema.Unknown,
  outputFile: Schema.NullOr(Schema.String)
})

export const ChildOutput = Schema.Struct({
  /** Of the last completed step of the body. */
  markers: Schema.Array(Schema.String),
  context: Schema.NullOr(Schema.String),
  /** The last structured output of the body. */
  structured: Schema.Unknown,
  /** The completed steps of the body, those of its own children included, in order. */
  entries: Schema.Array(EntrySchema)
})
export type ChildOutput = typeof ChildOutput.Type

export const outputOf = (visible: Visible): ChildOutput => ({
  markers: visible.last?.markers ?? [],
  context: visible.last?.context ?? null,
  structured: visible.lastStructured,
  entries: [...visible.log]
})

const decode = Schema.decodeUnknownOption(ChildOutput)

/** What a child's record holds. One in code has no steps to show: its success is its output, a `summary` in it the context. */
export const readOutput = (result: unknown): ChildOutput => {
  const decoded = decode(result)
  if (decoded._tag === "Some") return decoded.value
  const success = successInCode(result)
  const structured = success === undefined ? (result ?? null) : success.value
  return { markers: [], context: summaryOf(structured), structured, entries: [] }
}

/** The text that a success in code has as `summary`. */
const summaryOf = (value: unknown): string | null => {
  const summary = isObject(value) ? value["summary"] : undefined
  return typeof summary === "string" ? summary : null
}

/** The step's own result: without structured output where the child's own steps show theirs. */
export const resultOf = (result: unknown): StepResult => {
  const { context, markers, structured } = readOutput(result)
  return { ...noResult, markers, context, structured: successInCode(result) === undefined ? null : structured }
}

export const entriesOf = (value: unknown): ReadonlyArray<Entry> => readOutput(value).entries
