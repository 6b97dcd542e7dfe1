/**
 * How runs of typed workflows end, as their records keep it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { messageOf } from "../engine/Step.ts"
import { codeKey, RunId, type RunRecord } from "../persistence/Records.ts"
import { type AnySchema, decode } from "./Codec.ts"

/** A run of this workflow ended in a way that its types do not name: a defect, a cancellation, a timeout. */
export class WorkflowFailed extends Schema.TaggedError<WorkflowFailed>()("WorkflowFailed", {
  workflow: Schema.String,
  run: RunId,
  status: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `run ${this.run} of workflow '${this.workflow}' is ${this.status}: ${this.reason}`
  }
}

const failures = {
  /** In the order in which they were tried. */
  failures: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String })),
  /** Why the run had to take back what it did. */
  reason: Schema.String
}

const decodeFailures = Schema.decodeUnknown(Schema.Struct(failures))

/** What was done could not be taken back for good; the undos that are not named here were done. */
export class CompensationFailed extends Schema.TaggedError<CompensationFailed>()("CompensationFailed", {
  workflow: Schema.String,
  run: RunId,
  ...failures
}) {
  override get message() {
    const all = this.failures.map(({ message, path }) => `${path}: ${message}`).join("; ")
    return `run ${this.run} of workflow '${this.workflow}' (${this.reason}) could not be compensated: ${all}`
  }
}

/** The ends of a run that its types do not name. */
export type RunFailed = WorkflowFailed | CompensationFailed

/** What a record's `definition` holds for a code workflow. */
export const definitionKey = (workflow: { readonly name: string; readonly version: string }): string =>
  codeKey(workflow.name, workflow.version)

/** What a workflow's end is read by. */
export interface Typed<S extends AnySchema, E extends AnySchema> {
  readonly name: string
  readonly success: S
  readonly error: E
}

/** The tag and message of a typed error, for people. */
export const describeFailure = (error: unknown): string => {
  const tag = Predicate.hasProperty(error, "_tag") && typeof error._tag === "string" ? error._tag : undefined
  const parts = [tag, messageOf(error)].filter((part) => part !== undefined && part !== "")
  return parts.length === 0 ? "failed" : parts.join(": ")
}

/** Why an effect of a workflow did not succeed, for people. */
export const describeCause = (cause: Cause.Cause<unknown>): string => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) return describeFailure(failure.value)
  if (Cause.isInterruptedOnly(cause)) return "was interrupted"
  return `defect: ${messageOf(Cause.squash(cause)) ?? "unknown"}`
}

/** The typed end of a run that has ended. */
export const endOf = <S extends AnySchema, E extends AnySchema>(
  shape: Typed<S, E>,
  record: RunRecord
): Effect.Effect<S["Type"], E["Type"] | RunFailed> => {
  const { result, id: run, status } = record
  const untyped = (reason: string) => Effect.fail(new WorkflowFailed({ workflow: shape.name, run, status, reason }))
  const unreadable = (error: { readonly message: string }) => untyped(`its end cannot be read: ${error.message}`)
  if (Predicate.isTagged(result, "Success") && Predicate.hasProperty(result, "value")) {
    return Effect.catchAll(decode(shape.success, result.value), unreadable)
  }
  if (Predicate.isTagged(result, "Failure") && Predicate.hasProperty(result, "error")) {
    return Effect.matchEffect(decode(shape.error, result.error), {
      onSuccess: (error) => Effect.fail(error),
      onFailure: unreadable
    })
  }
  if (Predicate.isTagged(result, "CompensationFailed")) {
    return Effect.matchEffect(decodeFailures(result), {
      onSuccess: (ends) => Effect.fail(new CompensationFailed({ workflow: shape.name, run, ...ends })),
      onFailure: unreadable
    })
  }
  return untyped(record.error ?? record.cancelReason ?? status)
}
