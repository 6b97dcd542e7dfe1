/**
 * The step boundary: whatever an executor does, a step ends with one outcome, or is interrupted.
 *
 * - S1 A step that was started ends exactly once: one `StepStarted`, one `StepCompleted`.
 * - S2 An outcome that is to be recorded is recorded before its `StepCompleted`, and whatever interrupts meanwhile.
 * - S3 A step that is interrupted ends when its executor's finalizers have run.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { thrownText } from "../action/UserFunction.ts"
import type { StepStatus, Totals } from "../persistence/Records.ts"
import { currentPlace, type Place, stepChannel } from "./Program.ts"
import { failedOutcome, type StepOutcome, type StepSpec } from "./Step.ts"
import { type RunningStep, StepExecutor } from "./StepExecutor.ts"
import { StepHost } from "./StepHost.ts"
import { NoOutcome, StepDied, StepTimedOut } from "./StepFailure.ts"

/** Makes an outcome durable. */
export type OnOutcome = (outcome: StepOutcome) => Effect.Effect<void>

/** Runs one step: within its timeout, the budgets around it, and a scope of its own. */
export const runStep = (
  spec: StepSpec,
  record: OnOutcome = () => Effect.void
): Effect.Effect<StepOutcome, never, StepExecutor> =>
  Effect.matchEffect(
    Effect.flatMap(StepHost, (host) => host.admit),
    {
      onFailure: (exceeded) => Effect.succeed(failedOutcome(spec, exceeded)),
      onSuccess: (spend) => Effect.flatMap(currentPlace, (place) => startedStep(spec, place, spend, record))
    }
  ).pipe(Effect.withSpan("orchestration.step", { attributes: { taskId: spec.taskId, agent: spec.agent } }))

const startedStep = (spec: StepSpec, place: Place, spend: (usage: Partial<Totals>) => void, record: OnOutcome) => {
  const channel = stepChannel(place, spec.taskId)
  const { program } = place
  const count = (usage: Partial<Totals>): void => {
    program.spend(usage)
    spend(usage)
  }
  const step: RunningStep = { ...channel, spent: (usage) => Effect.sync(() => count(usage)) }
  const started = Effect.flatMap(channel.about, (base) =>
    program.publish({ ...base, _tag: "StepStarted", kind: "call", attempt: 1 })
  )
  const ended = (exit: Exit.Exit<StepOutcome>) =>
    Effect.flatMap(channel.about, (base) =>
      program.publish({ ...base, _tag: "StepCompleted", kind: "call", ...endOf(exit) })
    )
  return Effect.uninterruptibleMask((restore) => {
    const work = Effect.tap(restore(attempt(spec, step)), record)
    return Effect.zipRight(started, Effect.onExit(work, ended))
  })
}

/** Deaths and self-interruption become outcomes; an interruption from outside passes. */
const attempt = (spec: StepSpec, step: RunningStep): Effect.Effect<StepOutcome, never, StepExecutor> =>
  Effect.gen(function* () {
    const host = yield* StepHost
    const run = Effect.scoped(Effect.flatMap(StepExecutor, (executor) => executor.run(spec, step)))
    const { timeout } = spec
    const late = (after: number) => Option.some(failedOutcome(spec, new StepTimedOut({ timeout: after })))
    const exit = yield* Effect.exit(timeout === undefined ? run : host.within(run, timeout, () => late(timeout)))
    if (Exit.isInterrupted(exit) && (yield* host.isStopping)) return yield* Effect.interrupt
    // The outcome has the message alone: where it was thrown is nowhere else.
    if (Exit.isFailure(exit) && Cause.isDie(exit.cause)) {
      yield* Effect.logWarning(`step '${spec.taskId}' died`, exit.cause)
    }
    return outcomeOf(spec, exit)
  })

const outcomeOf = (spec: StepSpec, exit: Exit.Exit<Option.Option<StepOutcome>>): StepOutcome => {
  if (Exit.isSuccess(exit)) {
    const own = Option.filter(exit.value, ({ taskId }) => taskId === spec.taskId)
    return Option.getOrElse(own, () => failedOutcome(spec, new NoOutcome()))
  }
  if (Cause.isInterruptedOnly(exit.cause)) return failedOutcome(spec, new NoOutcome())
  const detail = thrownText(Cause.squash(exit.cause))
  return failedOutcome(spec, new StepDied({ agent: spec.agent, ...(detail === undefined ? {} : { detail }) }))
}

const endOf = (exit: Exit.Exit<StepOutcome>): { succeeded: boolean; status: StepStatus; error: string | null } => {
  if (Exit.isFailure(exit)) return { succeeded: false, status: "cancelled", error: null }
  const { success, failure, output } = exit.value
  if (success) return { succeeded: true, status: "completed", error: null }
  return { succeeded: false, status: failure?._tag === "StepTimedOut" ? "timed_out" : "failed", error: output }
}
