/**
 * The seam that the combinators stand on: "run this step, give me its outcome" (spec/orchestration.md). They never
 * see where a step runs.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Totals } from "../persistence/Records.ts"
import type { StepChannel } from "./Program.ts"
import type { StepOutcome, StepSpec } from "./Step.ts"

/** What the executor is given beside the spec: its step's identity, the event channel, and where it reports costs. */
export interface RunningStep extends StepChannel {
  /** Adds to the program's totals and to every budget it is under; what a step spent before it failed counts too. */
  readonly spent: (usage: Partial<Totals>) => Effect.Effect<void>
}

export class StepExecutor extends Context.Tag("millrace/StepExecutor")<
  StepExecutor,
  {
    /** Steps it wants at once; 0 means 1. */
    readonly concurrency: number
    /**
     * Runs one step; the scope is the step's own. A step that fails says so in its outcome; one that dies, or gives
     * none, gets a failed outcome.
     */
    readonly run: (spec: StepSpec, step: RunningStep) => Effect.Effect<Option.Option<StepOutcome>, never, Scope.Scope>
  }
>() {}

/** How many steps one call may have in flight, from the executor's hint. */
export const stepLimit: Effect.Effect<number, never, StepExecutor> = Effect.map(StepExecutor, ({ concurrency }) =>
  atLeastOne(concurrency)
)

/** A whole number from 1 on; what is no number counts as 1. */
export const atLeastOne = (count: number): number => Math.max(1, Math.floor(count) || 1)
