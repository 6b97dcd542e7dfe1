import { existsSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import { isUserStep, type RunId, type RunStatus, type StepStatus } from "../../../src/persistence/Records.ts"
import { noOutputs } from "../../../src/testing/ProgramRunner.ts"
import { readTree, type RunTree } from "../../../src/testing/RecordComparison.ts"
import { engineLayer, type World } from "../TestEngine.ts"

/** An engine on a store in memory, without a disk: for the virtual clock. */
export const virtualLayer = (world: World, store?: PersistenceService) => {
  const persistence = store === undefined ? MemoryPersistence.layer : Layer.succeed(Persistence, store)
  return engineLayer(world).pipe(Layer.provideMerge(Layer.merge(persistence, noOutputs)))
}

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

/** Waits until a file holds something. */
export const untilFile = (file: string): Effect.Effect<string> =>
  Effect.suspend(() => {
    const text = existsSync(file) ? readFileSync(file, "utf8") : ""
    return text === "" ? Effect.zipRight(Effect.sleep(5), untilFile(file)) : Effect.succeed(text)
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

/** Whether a process runs: one that is dead and that nobody has reaped does not. */
export const isAlive = (pid: number): boolean => {
  try {
    const state = readFileSync(`/proc/${pid}/stat`, "utf8")
    return !/^\d+ \(.*\) Z/.test(state)
  } catch {
    return false
  }
}
