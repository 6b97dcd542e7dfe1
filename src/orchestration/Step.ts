/**
 * What a step is told and what it gives (spec/orchestration.md): plain data, so that a step may run anywhere.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Json } from "../workflow/Json.ts"
import { StepFailure } from "./StepFailure.ts"

const isJson = (value: unknown): value is Json => {
  if (typeof value === "number") return Number.isFinite(value)
  if (value === null || typeof value === "string" || typeof value === "boolean") return true
  if (Array.isArray(value)) return value.every(isJson)
  return isPlain(value) && Object.values(value).every(isJson)
}

const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

const JsonValue = Schema.declare(isJson, { identifier: "Json" })

export const StepSpec = Schema.Struct({
  /** Names the step within one call of `parallel` or `resumableParallel`. */
  taskId: Schema.String,
  agent: Schema.String,
  description: Schema.String,
  prompt: Schema.String,
  model: Schema.optional(Schema.String),
  /** What `structured` is to be, in the words of the executor: a JSON Schema, for one. */
  schema: Schema.optional(JsonValue),
  /** ms; when it has passed the executor is interrupted and the step fails. */
  timeout: Schema.optional(Schema.Number)
})
export type StepSpec = typeof StepSpec.Type

export const StepOutcome = Schema.Struct({
  taskId: Schema.String,
  /** The executor's own name for the execution; empty where there was none. */
  sessionId: Schema.String,
  agent: Schema.String,
  output: Schema.String,
  success: Schema.Boolean,
  structured: Schema.optional(JsonValue),
  /** Set when the outcome stands for one that the executor did not give. */
  failure: Schema.optional(StepFailure)
})
export type StepOutcome = typeof StepOutcome.Type

export const failedOutcome = (spec: StepSpec, failure: StepFailure): StepOutcome => ({
  taskId: spec.taskId,
  sessionId: "",
  agent: spec.agent,
  output: failure.message,
  success: false,
  failure
})

/** Two steps of one call have the same task id; none was started. */
export class DuplicateTaskId extends Schema.TaggedError<DuplicateTaskId>()("DuplicateTaskId", {
  taskId: Schema.String
}) {
  override get message() {
    return `two steps have the task id '${this.taskId}'`
  }
}

export const requireDistinct = (specs: ReadonlyArray<StepSpec>): Effect.Effect<void, DuplicateTaskId> => {
  const seen = new Set<string>()
  for (const { taskId } of specs) {
    if (seen.has(taskId)) return Effect.fail(new DuplicateTaskId({ taskId }))
    seen.add(taskId)
  }
  return Effect.void
}
