/**
 * What the writes of one transaction know of the runs they touch: read once for the whole batch, then kept up to date
 * by each write, so that two commits of one run see each other.
 */
import type { RunId } from "../Records.ts"
import type { Fence } from "../Rules.ts"
import type { Dialect } from "./Dialect.ts"
import type { Operation } from "./Operation.ts"
import { first, query } from "./Operation.ts"
import { decodeFence } from "./Rows.ts"
import { selectFence, selectFences } from "./Statements.ts"

/** undefined: the run does not exist; absent: not read yet. */
export type Fences = Map<RunId, Fence | undefined>

export function* readFences(dialect: Dialect, runs: ReadonlySet<RunId>): Operation<Fences> {
  const fences: Fences = new Map()
  const [only] = runs
  if (only === undefined) return fences
  if (runs.size === 1) {
    yield* readFence(fences, only)
    return fences
  }
  for (const run of runs) fences.set(run, undefined)
  for (const row of yield* query(selectFences(dialect), JSON.stringify([...runs]))) {
    const fence = decodeFence(row)
    fences.set(fence.id, fence)
  }
  return fences
}

export function* readFence(fences: Fences, run: RunId): Operation<Fence | undefined> {
  if (fences.has(run)) return fences.get(run)
  const row = yield* first(selectFence, run)
  const fence = row === undefined ? undefined : decodeFence(row)
  fences.set(run, fence)
  return fence
}

export const writeFence = (fences: Fences, fence: Fence): void => {
  fences.set(fence.id, fence)
}
