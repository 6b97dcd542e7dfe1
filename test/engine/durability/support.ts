import * as Effect from "effect/Effect"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import { isUserStep, type RunId, type RunStatus, type StepStatus } from "../../../src/persistence/Records.ts"
import { readTree, type RunTree } from "../../../src/testing/RecordComparison.ts"

/** Waits until `count` steps at a path, of a run or those below it, have a status. */
export const untilStep = (root: RunId, path: string, status: StepStatus, count = 1) =>
  Effect.gen(function* () {
    for (;;) {
      const { runs } = yield* readTree(root)
      const found = runs.flatMap(({ steps }) => steps.filter((step) => step.path === path && step.status === status))
      if (found.length >= count) return
      yield* Effect.sleep(1)
    }
  })

/** Waits until a run has a status. */
export const untilStatus = (run: RunId, status: RunStatus) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    for (;;) {
      if ((yield* persistence.get(run)).status === status) return
      yield* Effect.sleep(1)
    }
  })

/** Each run with its end, then its steps. */
export const outline = (tree: RunTree): ReadonlyArray<string> =>
  [...tree.runs]
    .sort((a, b) => a.run.depth - b.run.depth)
    .flatMap(({ run, steps }) => {
      const reason = run.cancelReason ?? run.error
      const head = `${run.workflow} ${run.status}${reason === null ? "" : `: ${reason}`}`
      const live = steps.filter((step) => isUserStep(step.kind) && !step.superseded)
      return [head, ...live.map((step) => `${run.workflow} ${step.path} ${step.status}`)]
    })
