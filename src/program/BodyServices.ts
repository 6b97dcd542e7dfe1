/**
 * Clock and Random inside a body: the workflow's own, so that a replay finds the same time and the same numbers
 * (design.md, "Concurrency in code workflows").
 *
 * - B2 The time is that of the rows which the branch has passed: it stands still between primitives, and needs no row.
 * - B3 To sleep is to sleep durably: `Effect.sleep`, and the delays of `Effect.retry`, are `Workflow.sleep`.
 * - B4 Numbers are drawn from a generator of the branch, seeded with the run, in a fork with the other run, and the branch's path.
 * What an action does has the process's own (`RunContext.inProcess`).
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type { Branch } from "../engine/Branch.ts"
import { passedOver } from "../engine/RecordedRows.ts"
import { durableSleep } from "./DurableSleep.ts"
import { describeCause } from "./WorkflowEnd.ts"
import { standingBranch, standingOn } from "./WorkflowRun.ts"

/**
 * Runs all that a branch does: it has to come to everything that earlier executions recorded there, however it ends.
 * One that does not is a replay that does not fit, before it begins anything else.
 */
export const asBranch = <A, E, R>(effect: Effect.Effect<A, E, R>, branch: Branch): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const onIt = onBranch(effect, branch)
    return branch.expectRecorded() ? Effect.onExit(onIt, (exit) => passedBy(branch, exit)) : onIt
  })

const passedBy = (branch: Branch, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  const { left, run } = branch
  if (left === undefined) return Effect.void
  const how = Exit.isSuccess(exit) ? "ends" : `ends (${run.shown(describeCause(exit.cause))})`
  return run.misfit(passedOver(left, how))
}

/** Runs an effect on a branch: its primitives journal there, and time and chance are the branch's. */
export const onBranch = <A, E, R>(effect: Effect.Effect<A, E, R>, branch: Branch): Effect.Effect<A, E, R> => {
  branch.run.hasOwnServices = true
  const random = Random.make(`${branch.run.body.seed}${branch.scope}`)
  return standingOn(Effect.withRandom(Effect.withClock(effect, new BranchClock(branch)), random), branch)
}

/** The branch whose clock it is: what has such a clock is a body, not what an action does. */
export const branchOfClock = (clock: Clock.Clock): Branch | undefined =>
  clock instanceof BranchClock ? clock.branch : undefined

class BranchClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())

  constructor(readonly branch: Branch) {}

  unsafeCurrentTimeMillis(): number {
    return this.branch.time
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(this.branch.time) * 1_000_000n
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.flatMap(standingBranch("sleep"), (branch) =>
      durableSleep(branch, (now) => now + Duration.toMillis(duration))
    )
  }
}
