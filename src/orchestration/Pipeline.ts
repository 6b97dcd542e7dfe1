/** Items through stages, each as a chain of its own (spec/orchestration.md, "pipeline"). */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { within } from "./Program.ts"
import { runStep } from "./RunStep.ts"
import type { StepOutcome, StepSpec } from "./Step.ts"
import { type StepExecutor, stepLimit } from "./StepExecutor.ts"
import { StepHost } from "./StepHost.ts"

/** The next step of an item, from the outcome before it (none before the first), or none: the chain stops there. */
export type Stage<I> = (previous: Option.Option<StepOutcome>, item: I) => Option.Option<StepSpec>

/**
 * Gives each item's last outcome, in item order, with no barrier between stages: the wall time is that of the slowest
 * chain. A chain stops when a stage gives no step, or after a step that failed. An item has none when its first stage
 * gave no step, or when its chain died: a stage threw, or an executor did; the other chains go on. At most the
 * executor's hint of chains is under way, in item order. Task ids may repeat.
 */
export const pipeline = <I>(
  items: ReadonlyArray<I>,
  stages: ReadonlyArray<Stage<I>>
): Effect.Effect<ReadonlyArray<Option.Option<StepOutcome>>, never, StepExecutor> => {
  const one = (item: I, index: number) => within(String(index + 1), chain(item, index, stages))
  const all = Effect.gen(function* () {
    const host = yield* StepHost
    const concurrency = yield* stepLimit
    return yield* host.forEach(items, one, { concurrency, key: (_, index) => String(index + 1) })
  })
  return within("pipeline", all).pipe(
    Effect.withSpan("orchestration.pipeline", { attributes: { items: items.length, stages: stages.length } })
  )
}

const chain = <I>(item: I, index: number, stages: ReadonlyArray<Stage<I>>) =>
  Effect.gen(function* () {
    let last = Option.none<StepOutcome>()
    for (const stage of stages) {
      const spec = stage(last, item)
      if (Option.isNone(spec)) return last
      const outcome = yield* runStep(spec.value)
      if (outcome.failure?._tag === "StepDied") return yield* died(index, outcome.failure)
      last = Option.some(outcome)
      if (!outcome.success) return last
    }
    return last
  }).pipe(Effect.catchAllDefect((defect) => died(index, defect)))

/** Nothing else tells why the item has no outcome. */
const died = (index: number, defect: unknown): Effect.Effect<Option.Option<StepOutcome>> =>
  Effect.as(Effect.logWarning(`the chain of item ${index + 1} of a pipeline died`, defect), Option.none())
