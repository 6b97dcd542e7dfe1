/**
 * Why a step has no outcome of its executor's own: its outcome is then a failed one, with the message as its output.
 */
import * as Schema from "effect/Schema"

/** The executor died: it threw, or a finalizer of its scope did. */
export class StepDied extends Schema.TaggedError<StepDied>()("StepDied", {
  agent: Schema.String,
  /** What was thrown says; none if it is neither an Error nor text. */
  detail: Schema.optionalWith(Schema.String, { exact: true })
}) {
  override get message() {
    return `agent '${this.agent}' died${this.detail === undefined ? "" : `: ${this.detail}`}`
  }
}

/** The executor ended without an outcome of this step: with none, with another task's, or by interrupting itself. */
export class NoOutcome extends Schema.TaggedError<NoOutcome>()("NoOutcome", {}) {
  override get message() {
    return "step produced no outcome"
  }
}

export class StepTimedOut extends Schema.TaggedError<StepTimedOut>()("StepTimedOut", {
  /** ms */
  timeout: Schema.Number
}) {
  override get message() {
    return `timed out after ${this.timeout} ms`
  }
}

/** A budget was used up, so the step was not started. */
export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>()("BudgetExceeded", {
  limit: Schema.Literal("steps", "tokens", "cost_usd", "wallTime"),
  /** Steps, tokens, dollars, or ms. */
  ceiling: Schema.Number,
  /** In the same unit, when the step asked. */
  spent: Schema.Number
}) {
  override get message() {
    const { digits, unit } = units[this.limit]
    const shown = (amount: number) => Number(amount.toFixed(digits))
    return `budget exceeded: ${shown(this.spent)} of ${shown(this.ceiling)} ${unit}`
  }
}

/** Sums of dollars, and times, have digits that mean nothing. */
const units = {
  steps: { unit: "steps", digits: 0 },
  tokens: { unit: "tokens", digits: 0 },
  cost_usd: { unit: "USD", digits: 6 },
  wallTime: { unit: "ms", digits: 0 }
}

export const StepFailure = Schema.Union(StepDied, NoOutcome, StepTimedOut, BudgetExceeded)
export type StepFailure = typeof StepFailure.Type
