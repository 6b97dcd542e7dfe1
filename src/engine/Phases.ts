/**
 * The phases of a run (design.md, "The phases of a run"): body → compensation → always → end, each a row (I4).
 */
import type { StepPath } from "../persistence/Records.ts"
import type { RunContext } from "./RunContext.ts"

// SAFETY: `@` is encoded in keys, so no step has these paths.
export const bodyPath = "/@body" as StepPath
export const compensationPath = "/@compensation" as StepPath
export const alwaysPath = "/@always" as StepPath
/** The deadline of a run that was opened again; of one that was not, it follows from its start. */
export const deadlinePath = "/@deadline" as StepPath
/** Where a run comes from that is a fork. */
export const forkPath = "/@fork" as StepPath
/** Below it are the answers to `program/Patches`. */
export const patchedPath = "/@patched" as StepPath

const isBelow = (phase: StepPath) => (path: StepPath) => path.startsWith(`${phase}/`)

export const isOfCompensation = isBelow(compensationPath)
export const isOfAlways = isBelow(alwaysPath)
export const isOfBody = (path: StepPath): boolean => !isOfAlways(path) && !isOfCompensation(path)
/** Of what follows the body, the rows of its phases included. */
export const isOfEnding = (path: StepPath): boolean =>
  path === alwaysPath || path === compensationPath || isOfAlways(path) || isOfCompensation(path)

/** The name of the rows of what is to be taken back (in the body), and of the blocks that do it. */
export const undo = "undo"

/** When the body's time is over, ms since the epoch; null where it has no limit, has not begun or has ended. */
export const deadlineOf = (run: RunContext): number | null => {
  const { settings, startedAt } = run.record
  if (settings.runTimeout === null || startedAt === null || run.row(bodyPath) !== undefined) return null
  const reopened = run.row(deadlinePath)?.value
  return typeof reopened === "number" ? reopened : startedAt + settings.runTimeout
}
