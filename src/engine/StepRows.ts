/**
 * How steps end in records and events.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { AttemptRecord, StepRecord } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import type { EngineEvent } from "./Events.ts"
import type { RunContext } from "./RunContext.ts"
import { describe, type StopReason } from "./StopReason.ts"

/** Records a step, with its running attempt, as cancelled. */
export const cancelRow = (run: RunContext, row: StepRecord, reason: StopReason | string): void => {
  const text = run.shown(typeof reason === "string" ? reason : describe(reason))
  const attempts = row.attempts.map((attempt) =>
    attempt.outcome === "running" ? endAttempt(run, attempt, "cancelled", text) : attempt
  )
  const ended: StepRecord = { ...row, attempts, status: "cancelled", error: text, endedAt: run.now(), wakeAt: null }
  run.put(ended, [stepCompleted(run, ended)])
}

/**
 * Ends a primitive that was interrupted: its row, if it has one, is cancelled with its branch's reason, or left as it is
 * where the reason is silent. A `cause` without any reason is a defect, and stays one.
 */
export const stopRow = (
  branch: Branch,
  row: StepRecord | undefined,
  cause?: Cause.Cause<never>
): Effect.Effect<never> =>
  Effect.suspend(() => {
    const { run, stopReason } = branch
    if (cause !== undefined && stopReason === undefined) return Effect.failCause(cause)
    if (row !== undefined && stopReason !== undefined && run.silent === undefined) cancelRow(run, row, stopReason)
    return Effect.interrupt
  })

const endAttempt = (
  run: RunContext,
  attempt: AttemptRecord,
  outcome: AttemptRecord["outcome"],
  error: string | null
): AttemptRecord => ({ ...attempt, endedAt: run.now(), outcome, error })

export const stepCompleted = (run: RunContext, step: StepRecord): EngineEvent => ({
  _tag: "StepCompleted",
  ...run.about(step),
  kind: step.kind,
  succeeded: step.status === "completed" || step.status === "skipped",
  status: step.status,
  error: step.error
})

/** Of an Error or a text; any other thrown value says nothing that a person could use. */
export const messageOf = (thrownValue: unknown): string | undefined => {
  if (thrownValue instanceof Error) return thrownValue.message
  return typeof thrownValue === "string" ? thrownValue : undefined
}
