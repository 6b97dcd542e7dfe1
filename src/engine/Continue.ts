/**
 * Continuing as new: a run ends, and another one of its workflow goes on, in one commit.
 *
 * - Z1 The decision is a row (I3) before anything is stopped: a crash behind it ends the run in the same way.
 * - Z2 The idempotency key and the messages to the run as a whole go along (`Change`, "Continue").
 * - Z3 A parent that waits for the run, and whoever holds its id, follows the chain to the run that really ended.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { Change } from "../persistence/Journal.ts"
import type { RunRecord, StepPath } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import { newRun } from "./NewRun.ts"
import { passedOver } from "./RecordedRows.ts"
import { newRow, type RunContext } from "./RunContext.ts"
import type { Outcome } from "./RunEnd.ts"

// SAFETY: `@` is encoded in keys, so no step has this path.
export const continuePath = "/@continue" as StepPath

/** Ends the body here, and lets a new run begin with this payload. Interrupts; does nothing if the run is stopped. */
export const continueAsNew = (branch: Branch, payload: unknown): Effect.Effect<never> =>
  Effect.zipRight(
    branch.unpaused(),
    Effect.suspend(() => {
      const { missed, run } = branch
      if (missed !== undefined) return run.misfit(passedOver(missed, "continues as new"))
      run.host.given(run, continuePath, payload)
      if (run.row(continuePath) === undefined && branch.stopReason === undefined) {
        const name = run.record.workflow
        run.put(newRow(run, { path: continuePath, kind: "value", name, status: "completed", value: payload }))
        run.host.stopBody(run, { _tag: "Continued" })
      }
      return Effect.interrupt
    })
  )

/** Whether the body has decided to continue as new. */
export const isContinuing = (run: RunContext): boolean => run.row(continuePath) !== undefined

/** How a body that continues as new ended. */
export const continued: Outcome = { status: "completed", error: null, result: { _tag: "Continued" } }

/** The run that goes on, owned by this one's engine; what joins the commit that ends this one creates it. */
export const following = (run: RunContext): RunRecord | undefined => {
  const row = run.row(continuePath)
  if (row === undefined) return undefined
  const { record } = run
  const { id: previous, continues, parent, workflow, title, definition, depth, dryRun } = record
  const id = run.host.newRunId()
  return newRun({
    id,
    workflow,
    title,
    definition,
    parent,
    root: parent === null ? id : record.root,
    depth,
    dryRun,
    trigger: record.trigger,
    inputs: record.inputs,
    payload: row.value,
    settings: record.settings,
    createdAt: run.now(),
    target: record.target,
    idempotencyKey: record.idempotencyKey,
    owner: record.owner,
    generation: 1,
    continues: {
      first: continues?.first ?? previous,
      previous,
      payload: continues?.payload ?? digestOf(record.payload)
    }
  })
}

export const continueChange = (run: RunRecord): Change => ({ _tag: "Continue", run })

/** Of an encoded payload: tells whether two starts under one idempotency key mean the same. */
export const digestOf = (payload: unknown): string =>
  createHash("sha256")
    .update(JSON.stringify(payload) ?? "")
    .digest("hex")

/** The digest that a run's idempotency key stands for. */
export const keyDigest = (run: RunRecord): string => run.continues?.payload ?? digestOf(run.payload)
