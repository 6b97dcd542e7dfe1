/**
 * What the writes of one transaction know of the runs they touch: read when first asked for, and kept up to date, or
 * forgotten, by each write, so that two writes to one run see each other. A commit asks for none of it: its own
 * statement is conditional, and only where that changed nothing is it read why.
 */
import type { RunId } from "../Records.ts"
import type { Fence } from "../Rules.ts"
import type { Operation } from "./Operation.ts"
import { first } from "./Operation.ts"
import { decodeFence } from "./Rows.ts"
import { selectFence } from "./Statements.ts"

/** undefined: the run does not exist; absent: not read yet. */
export type Fences = Map<RunId, Fence | undefined>

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
