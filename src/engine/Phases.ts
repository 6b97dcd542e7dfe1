/**
 * The phases of a run (design.md, "The phases of a run"): body → compensation → always → end, each a row (I4).
 */
import type { StepPath } from "../persistence/Records.ts"

// SAFETY: `@` is encoded in keys, so no step has these paths.
export const bodyPath = "/@body" as StepPath
export const compensationPath = "/@compensation" as StepPath
export const alwaysPath = "/@always" as StepPath

const isBelow = (phase: StepPath) => (path: StepPath) => path.startsWith(`${phase}/`)

export const isOfCompensation = isBelow(compensationPath)
export const isOfAlways = isBelow(alwaysPath)
export const isOfBody = (path: StepPath): boolean => !isOfAlways(path) && !isOfCompensation(path)

/** The name of the rows of what is to be taken back (in the body), and of the blocks that do it. */
export const undo = "undo"
