/**
 * What a child run gives its parent: kept in the child's record when it ends, copied to the parent's step
 * (spec/engine.md, "call workflow").
 */
import * as Schema from "effect/Schema"
import { noResult, type StepResult } from "../../persistence/Records.ts"
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

/** What a child's record holds; nothing for one that is no `.wf` run. */
export const readOutput = (result: unknown): ChildOutput => {
  const decoded = decode(result)
  return decoded._tag === "Some"
    ? decoded.value
    : { markers: [], context: null, structured: result ?? null, entries: [] }
}

/** The step's own result: without structured output. */
export const resultOf = (output: ChildOutput): StepResult => ({
  ...noResult,
  markers: output.markers,
  context: output.context
})

export const entriesOf = (value: unknown): ReadonlyArray<Entry> => readOutput(value).entries
