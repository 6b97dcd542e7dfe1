/**
 * How runs of typed workflows end, as their records keep it.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { messageOf } from "../engine/Step.ts"
import { RunId, type RunRecord } from "../persistence/Records.ts"
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

/** What a record's `definition` holds for a code workflow. */
export const definitionKey = (workflow: { readonly name: string; readonly version: string }): string =>
  `code:${workflow.name}@${workflow.version}`

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

/** The typed end of a run that has ended. */
export const endOf = <S extends AnySchema, E extends AnySchema>(
  shape: Typed<S, E>,
  record: RunRecord
): Effect.Effect<S["Type"], E["Type"] | WorkflowFailed> => {
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
  return untyped(record.error ?? record.cancelReason ?? status)
}
