/**
 * Where the combinators run: how they do things side by side, bound a step in time, and admit it under budgets. In a
 * plain program these are Effect's own means; a durable workflow journals them (`Durable`).
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { admitStep, type Spend } from "./Budget.ts"
import type { BudgetExceeded } from "./StepFailure.ts"

export interface StepHostService {
  /** Does the work of each item, at most so many at once, and gives the results in the order of the items. */
  readonly forEach: <A, B, E, R>(
    items: ReadonlyArray<A>,
    work: (item: A, index: number) => Effect.Effect<B, E, R>,
    options: { readonly concurrency: number; readonly key: (item: A, index: number) => string }
  ) => Effect.Effect<ReadonlyArray<B>, E, R>
  /** Interrupts an effect that has not ended in time, ms. */
  readonly within: <A, R>(effect: Effect.Effect<A, never, R>, time: number, late: () => A) => Effect.Effect<A, never, R>
  /** Counts a step under all budgets, and gives what counts its spending; fails when one has no room for it. */
  readonly admit: Effect.Effect<Spend, BudgetExceeded>
  /** Whether an interruption that a step met is the end of more than the step. */
  readonly isStopping: Effect.Effect<boolean>
}

const plain: StepHostService = {
  forEach: (items, work, { concurrency }) => Effect.forEach(items, work, { concurrency }),
  within: (effect, time, late) =>
    Effect.timeoutTo(effect, { duration: Duration.millis(time), onSuccess: (value) => value, onTimeout: late }),
  admit: admitStep,
  isStopping: Effect.succeed(false)
}

export class StepHost extends Context.Reference<StepHost>()("millrace/orchestration/StepHost", {
  defaultValue: (): StepHostService => plain
}) {}
