/**
 * A ceiling on what a whole program may spend (spec/orchestration.md, "budget").
 *
 * A step that asks when a ceiling has been reached is not started: its outcome is a failed one with `BudgetExceeded`.
 * What is in flight goes on: tokens and costs are known once they are spent, and may go beyond the ceiling by what the
 * steps in flight take; `Effect.timeout` around the program ends it hard.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type { Totals } from "../persistence/Records.ts"
import { millisOf } from "../workflow/Duration.ts"
import { BudgetExceeded } from "./StepFailure.ts"

export interface BudgetLimits {
  /** Steps started. */
  readonly steps?: number
  /** Input, output and cache tokens together, as the executor reports them. */
  readonly tokens?: number
  /** Dollars, as the executor reports them (`step.spent`). */
  readonly cost_usd?: number
  /** Counts from the start of the program. */
  readonly wallTime?: Duration.DurationInput
}

/** What was spent under one budget. */
class Ledger {
  #steps = 0
  #tokens = 0
  #costUsd = 0

  constructor(
    private readonly limits: BudgetLimits,
    /** ms */
    private readonly startedAt: number
  ) {}

  exceeded(now: number): BudgetExceeded | undefined {
    const { cost_usd, steps, tokens, wallTime } = this.limits
    const elapsed = now - this.startedAt
    return (
      reached("steps", steps, this.#steps, 1) ??
      reached("tokens", tokens, this.#tokens) ??
      reached("cost_usd", cost_usd, this.#costUsd) ??
      reached("wallTime", wallTime === undefined ? undefined : Duration.toMillis(wallTime), elapsed)
    )
  }

  start(): void {
    this.#steps += 1
  }

  spend(usage: Partial<Totals>): void {
    for (const name of tokenCounts) this.#tokens += usage[name] ?? 0
    this.#costUsd += usage.cost_usd ?? 0
  }
}

const tokenCounts = [
  "input_tokens",
  "output_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens"
] as const satisfies ReadonlyArray<keyof Totals>

/** `needed`: what one step surely takes. */
const reached = (
  limit: BudgetExceeded["limit"],
  ceiling: number | undefined,
  spent: number,
  needed = 0
): BudgetExceeded | undefined => {
  if (ceiling === undefined) return undefined
  const fits = needed > 0 ? spent + needed <= ceiling : spent < ceiling
  return fits ? undefined : new BudgetExceeded({ limit, ceiling, spent })
}

/** The budgets that the fiber is under, the outermost first. */
class Ledgers extends Context.Reference<Ledgers>()("millrace/orchestration/Ledgers", {
  defaultValue: (): ReadonlyArray<Ledger> => []
}) {}

/**
 * Puts all steps that an effect runs, in whichever combinators and fibers, under one budget, which starts afresh with
 * each execution of the effect. Budgets nest: a step needs room in all of them. Throws a `RangeError` where a ceiling is
 * no number of at least 0.
 */
export const budget: {
  (limits: BudgetLimits): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, limits: BudgetLimits): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, limits: BudgetLimits): Effect.Effect<A, E, R> => {
  checkCeilings(limits)
  return Effect.gen(function* () {
    const outer = yield* Ledgers
    const ledger = new Ledger(limits, yield* currentMillis)
    return yield* Effect.provideService(self, Ledgers, [...outer, ledger])
  })
})

/** One that is no number would let nothing start, or everything, in silence. */
const checkCeilings = ({ cost_usd, steps, tokens, wallTime }: BudgetLimits): void => {
  for (const [name, ceiling] of Object.entries({ steps, tokens, cost_usd })) {
    if (ceiling === undefined || ceiling >= 0) continue
    throw new RangeError(`budget: \`${name}\` has to be a number of at least 0, not ${ceiling}`)
  }
  if (wallTime !== undefined && millisOf(wallTime) === undefined) {
    throw new RangeError('budget: `wallTime` has to be a time of at least 0, such as "10 minutes"')
  }
}

/** ms on the clock that does not jump; in a body, the workflow's time. */
const currentMillis = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

/** Adds to what was spent. */
export type Spend = (usage: Partial<Totals>) => void

/** All budgets that a step is under. */
class Budgets {
  constructor(private readonly ledgers: ReadonlyArray<Ledger>) {}

  get isEmpty(): boolean {
    return this.ledgers.length === 0
  }

  /** The first that has no room for a step; `now` in ms. */
  exceeded(now: number): BudgetExceeded | undefined {
    for (const ledger of this.ledgers) {
      const exceeded = ledger.exceeded(now)
      if (exceeded !== undefined) return exceeded
    }
    return undefined
  }

  /** Counts a step; gives what counts its spending. */
  start(): Spend {
    for (const ledger of this.ledgers) ledger.start()
    return (usage) => this.ledgers.forEach((ledger) => ledger.spend(usage))
  }
}

export const currentBudgets: Effect.Effect<Budgets> = Effect.map(Ledgers, (ledgers) => new Budgets(ledgers))

/** Counts a step under all budgets, and gives what counts its spending there; fails when one has no room for it. */
export const admitStep: Effect.Effect<Spend, BudgetExceeded> = Effect.gen(function* () {
  const budgets = yield* currentBudgets
  const exceeded = budgets.exceeded(yield* currentMillis)
  return exceeded === undefined ? budgets.start() : yield* exceeded
})
