/**
 * What a stopped body leaves open: blocks that were interrupted, and steps that it did not come to again after a crash.
 * No row of a run that ended says that it is at work (spec/engine.md, "Cancellation").
 */
import * as Effect from "effect/Effect"
import { killOrphans } from "../action/Process.ts"
import type { StepPath, StepRecord } from "../persistence/Records.ts"
import { isTerminal, isUserStep } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import { endChild } from "./Child.ts"
import { stopItems } from "./FanOut.ts"
import type { RunContext } from "./RunContext.ts"
import { cancelRow } from "./Step.ts"

/**
 * Ends what the rows that are open now stand for: processes and child runs. Their records are then closed by
 * `closeRows`, in the commit that ends the phase.
 */
export const endLeftovers = (branch: Branch, isInside: (path: StepPath) => boolean): Effect.Effect<void> => {
  const open = openRows(branch.run, isInside)
  if (open.length === 0) return Effect.void
  return Effect.forEach(open, (row) => endWork(branch, row), { concurrency: "unbounded", discard: true })
}

/** Records all open rows as cancelled. */
export const closeRows = (run: RunContext, isInside: (path: StepPath) => boolean, why: string): void => {
  for (const row of openRows(run, isInside)) {
    if (isUserStep(row.kind)) cancelRow(run, row, why)
    else run.put({ ...row, status: "cancelled", error: why, endedAt: run.now(), wakeAt: null })
  }
}

const openRows = (run: RunContext, isInside: (path: StepPath) => boolean): ReadonlyArray<StepRecord> =>
  [...run.writer.live.values()].filter((row) => !isTerminal(row.status) && isInside(row.path))

const endWork = (branch: Branch, row: StepRecord): Effect.Effect<void> =>
  Effect.gen(function* () {
    const attempt = row.attempts.at(-1)
    if (attempt === undefined || attempt.outcome !== "running") return
    if (attempt.process !== null) yield* killOrphans(attempt.process)
    const { childRun: child, childEpoch: epoch } = attempt
    if (child !== null) yield* endChild({ branch, path: row.path, child, epoch })
    if (row.kind === "foreach" || row.kind === "pipeline") yield* stopItems(branch, row)
  })
