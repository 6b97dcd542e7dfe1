/**
 * Recorded decisions (I3): a value that the program computed once, whatever a replay would compute.
 */
import * as Effect from "effect/Effect"
import type { StepKind, StepPath, StepRecord } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import { journaled, newRow } from "./RunContext.ts"

export interface DecisionSpec<A> {
  readonly branch: Branch
  readonly path: StepPath
  readonly kind: Extract<StepKind, "condition" | "loop" | "value">
  readonly name: string
  readonly decide: () => A
  readonly row?: Partial<StepRecord>
}

/**
 * The recorded value of a decision, or a new one, whose row travels in the same commit as whatever follows from it.
 * Interrupts if the branch is being stopped and nothing is recorded.
 */
export const decide = <A>(spec: DecisionSpec<A>): Effect.Effect<A> =>
  Effect.flatMap(journaled(spec.branch, spec.path, spec.kind, spec.name), (row) => {
    // SAFETY: the journal gives back what the same decision wrote, as JSON.
    if (row !== undefined) return Effect.succeed(row.value as A)
    if (spec.branch.stopReason !== undefined) return Effect.interrupt
    return Effect.sync(() => {
      const value = spec.decide()
      const { run, iteration } = spec.branch
      const { path, kind, name } = spec
      run.put(newRow(run, { path, kind, name, status: "completed", iteration, value, ...spec.row }))
      return value
    })
  })
