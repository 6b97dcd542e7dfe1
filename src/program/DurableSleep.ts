/**
 * The sleep of code workflows: a row with an absolute end.
 */
import * as Effect from "effect/Effect"
import type { Branch } from "../engine/Branch.ts"
import { durableWait } from "../engine/DurableWait.ts"
import type { StepRecord } from "../persistence/Records.ts"

/** Sleeps until a time, which is asked for once, and given the time then; ms. For ever, if that is infinite. */
export const durableSleep = (branch: Branch, until: (now: number) => number): Effect.Effect<void> => {
  const waited = durableWait({
    branch,
    path: branch.next("sleep"),
    kind: "sleep",
    name: "sleep",
    until: () => {
      const end = until(branch.run.now())
      return Number.isFinite(end) ? end : null
    },
    topics: [],
    find: () => undefined
  })
  return Effect.flatMap(waited, unlessCancelled)
}

/** A wait that was recorded as cancelled: a replay stops there too. */
export const unlessCancelled = (row: StepRecord): Effect.Effect<void> =>
  row.status === "cancelled" ? Effect.interrupt : Effect.void
