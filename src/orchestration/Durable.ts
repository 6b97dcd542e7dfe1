/**
 * The combinators inside a durable workflow: their steps are actions of the run (spec/orchestration.md, "The same shapes
 * are available inside durable workflows").
 *
 * - M1 Each step, and each chain of a pipeline, is a branch of its own, named by its task id or number: a replay finds
 *   what it journaled.
 * - M2 What a budget refuses is a row, and so is what it admits: a replay, where all that was spent is known at once,
 *   decides nothing anew.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { thrownText } from "../action/UserFunction.ts"
import { decide } from "../engine/Decision.ts"
import * as Branches from "../program/Branches.ts"
import { currentBranch, WorkflowRun } from "../program/WorkflowRun.ts"
import { currentBudgets, type Spend } from "./Budget.ts"
import type { StepOutcome, StepSpec } from "./Step.ts"
import { type RunningStep, StepExecutor } from "./StepExecutor.ts"
import { BudgetExceeded } from "./StepFailure.ts"
import { StepHost, type StepHostService } from "./StepHost.ts"

/** Runs steps by the means of a workflow's body. */
export interface DurableSteps<E, R> {
  /** Steps at once; 0 means 1. */
  readonly concurrency: number
  /**
   * Runs one step: by calling an action, waiting at a gate, starting a child. What it does besides is done again in a
   * replay; that goes for `step.spent` too, which must report what journaled results say. A failure becomes the failed
   * outcome of the step.
   */
  readonly run: (spec: StepSpec, step: RunningStep) => Effect.Effect<StepOutcome, E, R>
}

/**
 * Runs a program of combinators as part of a workflow's body.
 *
 * ```ts
 * const outcomes = yield* parallel(specs).pipe(
 *   budget({ cost_usd: 5 }),
 *   durable({ concurrency: 4, run: (spec) => Action.call(Ask, spec) })
 * )
 * ```
 *
 * A crash goes on with the steps that have not ended, so that `parallel` needs no journal of its own here
 * (`resumableParallel`). Task ids name the steps' branches.
 */
export const durable: {
  <ES, RS>(steps: DurableSteps<ES, RS>): <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Needs<R, RS>>
  <A, E, R, ES, RS>(program: Effect.Effect<A, E, R>, steps: DurableSteps<ES, RS>): Effect.Effect<A, E, Needs<R, RS>>
} = dual(
  2,
  <A, E, R, ES, RS>(program: Effect.Effect<A, E, R>, steps: DurableSteps<ES, RS>): Effect.Effect<A, E, Needs<R, RS>> =>
    Effect.gen(function* () {
      const context = yield* Effect.context<Exclude<RS, Scope.Scope> | WorkflowRun>()
      const executor = StepExecutor.of({
        concurrency: steps.concurrency,
        run: (spec, step) =>
          // SAFETY: what the context lacks of RS is the Scope, which the step has.
          Effect.mapInputContext(
            outcomeOf(spec, steps.run(spec, step)),
            (own) => Context.merge(context, own) as Context.Context<RS | Scope.Scope>
          )
      })
      return yield* program.pipe(
        Effect.provideService(StepExecutor, executor),
        Effect.provideService(StepHost, hostOf(Context.pick(WorkflowRun)(context)))
      )
    })
)

type Needs<R, RS> = Exclude<R, StepExecutor> | Exclude<RS, Scope.Scope> | WorkflowRun

const outcomeOf = <E, R>(
  spec: StepSpec,
  run: Effect.Effect<StepOutcome, E, R>
): Effect.Effect<Option.Option<StepOutcome>, never, R> =>
  Effect.map(
    Effect.catchAll(run, (error) => Effect.succeed(failedWith(spec, error))),
    Option.some
  )

const failedWith = ({ taskId, agent }: StepSpec, error: unknown): StepOutcome => ({
  taskId,
  sessionId: "",
  agent,
  output: thrownText(error) ?? "failed",
  success: false
})

const hostOf = (run: Context.Context<WorkflowRun>): StepHostService => {
  const inRun = <A, E, R>(effect: Effect.Effect<A, E, R | WorkflowRun>) => Effect.provide(effect, run)
  return {
    forEach: (items, work, { concurrency, key }) => {
      const keyed = items.map((item, index) => ({ item, index }))
      const options = { concurrency, key: ({ item, index }: (typeof keyed)[number]) => key(item, index) }
      return inRun(Branches.forEach(keyed, ({ item, index }) => work(item, index), options))
    },
    within: (effect, time, late) =>
      inRun(Effect.catchTag(Branches.timeout(effect, Duration.millis(time)), "WorkTimedOut", () => Effect.sync(late))),
    admit: inRun(admit),
    isStopping: Effect.map(inRun(currentBranch("step")), ({ stopReason }) => stopReason !== undefined)
  }
}

/** M2. Without a budget nothing is decided. */
const admit: Effect.Effect<Spend, BudgetExceeded, WorkflowRun> = Effect.gen(function* () {
  const budgets = yield* currentBudgets
  if (budgets.isEmpty) return budgets.start()
  const branch = yield* currentBranch("budget")
  const refused = yield* decide({
    branch,
    path: branch.next("budget"),
    kind: "value",
    name: "budget",
    decide: () => refusalOf(budgets.exceeded(branch.run.now()))
  })
  return refused === null ? budgets.start() : yield* new BudgetExceeded(refused)
})

/** As a row keeps it. */
const refusalOf = (exceeded: BudgetExceeded | undefined) => {
  if (exceeded === undefined) return null
  const { limit, ceiling, spent } = exceeded
  return { limit, ceiling, spent }
}
