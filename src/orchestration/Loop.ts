/** Rounds of steps (spec/orchestration.md, "loop"). */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { round } from "./Parallel.ts"
import { within } from "./Program.ts"
import type { DuplicateTaskId, StepOutcome, StepSpec } from "./Step.ts"
import { atLeastOne, type StepExecutor } from "./StepExecutor.ts"

/**
 * Runs rounds of `parallel` until `next`, given a round's outcomes, says stop (none) or gives no specs, or `max` rounds
 * (at least 1) have run; gives the last round's outcomes. Task ids may repeat from round to round.
 */
export const loop = (
  initial: ReadonlyArray<StepSpec>,
  max: number,
  next: (outcomes: ReadonlyArray<StepOutcome>) => Option.Option<ReadonlyArray<StepSpec>>
): Effect.Effect<ReadonlyArray<StepOutcome>, DuplicateTaskId, StepExecutor> => {
  const rounds = Effect.gen(function* () {
    let specs = initial
    let last: ReadonlyArray<StepOutcome> = []
    for (let i = 1; specs.length > 0; i++) {
      last = yield* within(`@${i}`, round(specs))
      if (i >= atLeastOne(max)) return last
      specs = Option.getOrElse(next(last), () => [])
    }
    return last
  })
  return within("loop", rounds).pipe(Effect.withSpan("orchestration.loop", { attributes: { max } }))
}
