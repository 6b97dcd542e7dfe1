/** Steps side by side, awaited together (spec/orchestration.md, "parallel"). */
import * as Effect from "effect/Effect"
import { within } from "./Program.ts"
import { runStep } from "./RunStep.ts"
import { type DuplicateTaskId, requireDistinct, type StepOutcome, type StepSpec } from "./Step.ts"
import { type StepExecutor, stepLimit } from "./StepExecutor.ts"
import { StepHost } from "./StepHost.ts"

type Outcomes = Effect.Effect<ReadonlyArray<StepOutcome>, DuplicateTaskId, StepExecutor>

/**
 * A barrier: runs all steps, at most the executor's hint at once, and gives their outcomes in the order of the specs.
 * A step that fails, dies or gives no outcome has a failed one; the others go on.
 */
export const parallel = (specs: ReadonlyArray<StepSpec>): Outcomes =>
  within("parallel", round(specs)).pipe(
    Effect.withSpan("orchestration.parallel", { attributes: { steps: specs.length } })
  )

/** The steps of a barrier, in the surrounding place. */
export const round = (specs: ReadonlyArray<StepSpec>): Outcomes =>
  Effect.zipRight(requireDistinct(specs), forEachStep(specs, runStep))

/** Does the work of each step, at most the hint at once, and gives the outcomes in the order of the specs. */
export const forEachStep = <E, R>(
  specs: ReadonlyArray<StepSpec>,
  work: (spec: StepSpec) => Effect.Effect<StepOutcome, E, R>
): Effect.Effect<ReadonlyArray<StepOutcome>, E, R | StepExecutor> =>
  Effect.gen(function* () {
    const host = yield* StepHost
    const concurrency = yield* stepLimit
    return yield* host.forEach(specs, (spec) => work(spec), { concurrency, key: ({ taskId }) => taskId })
  })
