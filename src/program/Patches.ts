/**
 * Changes to a body that has runs under way: each run keeps to one side of a change.
 *
 * - J1 One answer for each run and id, a row from the first call on (I3).
 * - J2 False where an earlier execution has gone past the first call (`Branch.isOvertaken`): it knew no patch.
 */
import * as Effect from "effect/Effect"
import type { Branch } from "../engine/Branch.ts"
import { patchedPath } from "../engine/Phases.ts"
import { newRow } from "../engine/RunContext.ts"
import type { StepPath } from "../persistence/Records.ts"
import { encodeKey } from "../workflow/StepNames.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

/**
 * Whether a run takes a change to the body that this id names: true for new runs, and for those that had not come to
 * this place when they first met the patch; false for those that had gone past it under the code before.
 *
 * ```ts
 * if (yield* Workflow.patched("fraud-check")) yield* Action.call(CheckFraud, order)
 * ```
 *
 * "Past it" means that the journal holds something that comes later in the branch that calls, or the end of a block or
 * of the body around it. The first call decides for the whole run, so that several places can ask for one id; where
 * branches run side by side, call it before they part. When no run is left that answered false, `deprecatePatch` takes
 * its place, and later nothing at all.
 */
export const patched = (id: string): Effect.Effect<boolean, never, WorkflowRun> =>
  Effect.flatMap(currentBranch(`patch ${id}`), (branch) => {
    const known = answerOf(branch, id)
    if (known !== undefined) return Effect.succeed(known)
    const isOld = branch.isOvertaken
    // Stopped: the old side of a replay goes on to where it was, nothing new begins.
    if (branch.stopReason !== undefined) return isOld ? Effect.succeed(false) : Effect.interrupt
    return Effect.sync(() => {
      record(branch, id, !isOld)
      return !isOld
    })
  })

/**
 * Says that the code before a patch is gone. A run that is on the other side of it is parked with a message that names
 * the patch, instead of taking a way that it was not on. New runs still record the patch, so that they are told apart.
 */
export const deprecatePatch = (id: string): Effect.Effect<void, never, WorkflowRun> =>
  Effect.flatMap(patched(id), (isPatched) =>
    isPatched
      ? Effect.void
      : Effect.flatMap(currentBranch(`patch ${id}`), ({ run }) =>
          run.misfit(`the run went past patch '${id}' before it was made, and the code of that time is gone`)
        )
  )

// SAFETY: `@` is encoded in keys, so no step has such a path.
const pathOf = (id: string): StepPath => `${patchedPath}/${encodeKey(id)}` as StepPath

const answerOf = (branch: Branch, id: string): boolean | undefined => {
  const row = branch.run.row(pathOf(id))
  return row === undefined ? undefined : row.value === true
}

const record = (branch: Branch, id: string, value: boolean): void => {
  const { run } = branch
  const path = pathOf(id)
  // The old side goes on with its replay; on the new one there is nothing left to replay here.
  const position = value ? run.positionOf(path) : run.placeInReplay(path)
  run.put(newRow(run, { path, position, kind: "value", name: "patched", status: "completed", value }))
}
