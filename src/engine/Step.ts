/**
 * The step: the primitive that runs something outside the journal, in attempts (spec/engine.md, "call", "timeout").
 *
 * Owns: the life of a step's row. Neighbours: what an attempt does is its caller's (`Attempt`); `Branch` says why it
 * was interrupted.
 * - I2 an attempt starts after its `running` row is durable.
 * - S1 a row that has ended is returned as it is; one that was running when its engine died runs again under the same
 *   number, and the lost attempt is kept as `lost`.
 * - S2 an attempt that was interrupted is awaited for `interruptGrace`, then abandoned: it can write nothing any more.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { killOrphans } from "../action/Process.ts"
import type { Change } from "../persistence/Journal.ts"
import {
  type AttemptRecord,
  type BlockedOn,
  isTerminal,
  type StepRecord,
  type StepStatus,
  type Totals
} from "../persistence/Records.ts"
import { Attempt, type AttemptOwner } from "./Attempt.ts"
import { forkAttempt } from "./AttemptFiber.ts"
import type { EngineEvent } from "./Events.ts"
import type { Turn } from "./FlowControl.ts"
import { journaled, type RunContext } from "./RunContext.ts"
import { cancelRow, messageOf, stepCompleted, stopRow } from "./StepRows.ts"
import {
  type AttemptFailure,
  type AttemptSuccess,
  type Dispatch,
  newAttempt,
  startedRow,
  type StepSpec
} from "./StepSpec.ts"
import { andThen, made, settled } from "./Settled.ts"
import type { StopReason } from "./StopReason.ts"
import * as RunTotals from "./Totals.ts"

export { Attempt } from "./Attempt.ts"
export { cancelRow, messageOf, stepCompleted } from "./StepRows.ts"
export { type AttemptFailure, type AttemptSuccess, type Dispatch, startedRow, type StepSpec } from "./StepSpec.ts"

/** Runs a step to its end and gives its row. Interrupted, it has written what its reason asks for. */
export const step = (spec: StepSpec): Effect.Effect<StepRecord> =>
  andThen(journaled(spec.branch, spec.path, spec.kind, spec.name), (row) => {
    if (row !== undefined && isTerminal(row.status)) return Effect.succeed(row)
    const { branch } = spec
    const isStopped = branch.stopReason !== undefined && !hasExpired(spec, row)
    if (isStopped) return branch.run.inProcess(stopBeforeStart(spec, row))
    const run = branch.isHeld ? hold(spec, row) : Effect.suspend(() => new StepRun(spec, row).run)
    return branch.run.inProcess(Effect.uninterruptible(run))
  })

/**
 * The last attempt has timed out, and what it had started may not have ended yet: what stops the step now is too late,
 * whether the run stayed here or was let go meanwhile.
 */
const hasExpired = (spec: StepSpec, row: StepRecord | undefined): boolean =>
  row !== undefined &&
  spec.stopped !== undefined &&
  !isSilent(spec.branch.run) &&
  row.status === "running" &&
  row.wakeAt === null &&
  row.attempts.at(-1)?.outcome === "timed_out"

/** Z2, of a row that was announced or left running. */
const hold = (spec: StepSpec, row: StepRecord | undefined): Effect.Effect<StepRecord> =>
  Effect.flatMap(Effect.exit(Effect.interruptible(spec.branch.unpaused())), (exit) =>
    Exit.isSuccess(exit) ? step(spec) : stopBeforeStart(spec, row)
  )

/** A row that was announced or left running, whose branch is being stopped. */
const stopBeforeStart = (spec: StepSpec, row: StepRecord | undefined): Effect.Effect<never> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const { run } = spec.branch
      const reason = spec.branch.stopReason
      if (row === undefined || reason === undefined || isSilent(run)) return yield* Effect.interrupt
      const process = row.attempts.at(-1)?.process ?? null
      if (process !== null) yield* killOrphans(process)
      if (spec.stopped !== undefined) yield* spec.stopped(row)
      if (!isSilent(run)) cancelRow(run, run.row(row.path) ?? row, reason)
      return yield* Effect.interrupt
    })
  )

const isSilent = (run: RunContext): boolean => run.silent !== undefined

/** How an attempt ended. */
type Outcome =
  | { readonly _tag: "Success"; readonly success: AttemptSuccess }
  | { readonly _tag: "Failure"; readonly failure: AttemptFailure; readonly timedOut: boolean }
  | { readonly _tag: "Stopped"; readonly reason: StopReason }

class StepRun implements AttemptOwner {
  row: StepRecord
  #expired: string | undefined
  #onExpiry: (() => void) | undefined
  #dispatched: Dispatch | undefined
  readonly #isNew: boolean

  constructor(
    private readonly spec: StepSpec,
    found: StepRecord | undefined
  ) {
    this.#isNew = found === undefined
    this.row = found ?? startedRow(spec, "running")
  }

  get #run(): RunContext {
    return this.spec.branch.run
  }

  get attempt(): AttemptRecord {
    const attempt = this.row.attempts.at(-1)
    if (attempt === undefined) throw new Error(`step ${this.row.path} has no attempt`)
    return attempt
  }

  get run(): Effect.Effect<StepRecord> {
    this.#run.live()
    if (!this.#isNew && hasExpired(this.spec, this.row)) return this.#endExpired()
    const prepared = this.#prepare()
    if (prepared === undefined) return this.#attemptOnce()
    return Effect.flatMap(prepared, () => this.#attemptOnce())
  }

  updateAttempt(patch: Partial<AttemptRecord>): void {
    this.row = { ...this.row, attempts: this.#attemptsWith(patch) }
  }

  /** The attempts, the last of them changed. */
  #attemptsWith(patch: Partial<AttemptRecord>): ReadonlyArray<AttemptRecord> {
    const { attempts } = this.row
    const last = { ...this.attempt, ...patch }
    return attempts.length === 1 ? [last] : [...attempts.slice(0, -1), last]
  }

  /** Ends the running attempt as timed out. */
  expire(why: string): void {
    this.#expired ??= why
    this.#onExpiry?.()
  }

  /** Brings the row to a running attempt whose commit is on its way: a new one, or the one that was lost. */
  #prepare(): Effect.Effect<void> | undefined {
    const isAnnounced = this.#run.announced.delete(this.row.path)
    if (this.#isNew || isAnnounced) {
      if (this.row.status === "pending") this.#begin(1)
      else this.#start(isAnnounced)
      return undefined
    }
    if (this.row.status === "pending") return Effect.sync(() => this.#begin(1))
    if (this.attempt.outcome !== "running") return this.#waitForRetry(this.attempt.number)
    return Effect.zipRight(
      this.attempt.process === null ? Effect.void : killOrphans(this.attempt.process),
      Effect.sync(() => this.#startLost())
    )
  }

  #startLost(): void {
    const lost = this.attempt
    this.updateAttempt({ outcome: "lost", endedAt: null })
    const { childRun, childEpoch, heartbeat, heartbeatAt } = lost
    const again = { ...newAttempt(this.#run, lost.number), childRun, childEpoch, heartbeat, heartbeatAt }
    this.row = { ...this.row, attempts: [...this.row.attempts, again] }
    this.#start()
  }

  #begin(number: number): void {
    const attempts = [...this.row.attempts, newAttempt(this.#run, number)]
    const startedAt = this.row.startedAt ?? this.#run.now()
    this.row = { ...this.row, status: "running", startedAt, attempts, wakeAt: null }
    this.#start()
  }

  /** Appends the row of the attempt that begins, unless a block has, with what is dispatched in the same commit. */
  #start(isAnnounced = false): void {
    const dispatch = this.spec.dispatch?.(this.row, this.attempt)
    if (dispatch !== undefined) {
      this.updateAttempt(dispatch.attempt)
      this.row = { ...this.row, childRun: this.attempt.childRun }
    }
    this.#dispatched = dispatch
    const event = { ...this.#run.about(this.row), kind: this.row.kind, attempt: this.attempt.number }
    const row: ReadonlyArray<Change> = isAnnounced && dispatch === undefined ? [] : [{ _tag: "Step", step: this.row }]
    this.#run.append(dispatch === undefined ? row : [...row, ...dispatch.changes], [{ _tag: "StepStarted", ...event }])
  }

  #attemptOnce(): Effect.Effect<StepRecord> {
    const attempt = new Attempt(this.spec, this, this.attempt.number)
    return Effect.flatMap(this.#run.flushNow, () => {
      const started = this.#dispatched?.started ?? Effect.void
      const executed = andThen(started, () => this.#execute(attempt))
      return andThen(executed, (outcome) =>
        andThen(this.#release(outcome), () => {
          attempt.close()
          return this.#ended(outcome, attempt.abandoned)
        })
      )
    })
  }

  /** Ends what a stopped attempt had started. That it timed out is a row before that takes its time (I3). */
  #release(outcome: Outcome): Effect.Effect<void> {
    const timedOut = outcome._tag === "Failure" && outcome.timedOut
    const { stopped } = this.spec
    if (stopped === undefined || isSilent(this.#run) || !(timedOut || outcome._tag === "Stopped")) return Effect.void
    if (timedOut) {
      const error = this.#run.shown(outcome.failure.message)
      this.updateAttempt({ outcome: "timed_out", error, endedAt: this.#run.now() })
      this.#run.put(this.row)
    }
    return stopped(this.row)
  }

  #endExpired(): Effect.Effect<StepRecord> {
    const failure = { message: this.attempt.error ?? "timed out" }
    const released = this.spec.stopped?.(this.row) ?? Effect.void
    return Effect.flatMap(released, () => this.#failed(failure, true))
  }

  #execute(attempt: Attempt): Effect.Effect<Outcome> {
    const { turn } = this.spec
    if (turn === undefined) return this.#perform(attempt)
    return Effect.flatMap(Effect.exit(this.#entered(turn)), (entered) =>
      Exit.isSuccess(entered)
        ? Effect.ensuring(this.#perform(attempt), Effect.sync(entered.value))
        : Effect.succeed(Cause.isInterruptedOnly(entered.cause) ? this.#interrupted() : this.#failureOf(entered.cause))
    )
  }

  /** Its turn, for as long as that takes; a run that is paused lets others go first. */
  #entered(turn: Turn): Effect.Effect<() => void, AttemptFailure> {
    const { branch } = this.spec
    return Effect.flatMap(this.#run.host.flow.enter(turn), (leave) => {
      if (!branch.isHeld) return Effect.succeed(leave)
      leave()
      return Effect.zipRight(
        Effect.interruptible(branch.unpaused()),
        Effect.suspend(() => this.#entered(turn))
      )
    })
  }

  #perform(attempt: Attempt): Effect.Effect<Outcome> {
    const stopped = this.spec.branch.stopReason
    if (stopped !== undefined) return Effect.succeed({ _tag: "Stopped", reason: stopped })
    this.#expired = undefined
    const work = made(() => this.spec.attempt(attempt))
    const exit = settled(work)
    if (exit !== undefined) return Effect.succeed(this.#outcomeOf(exit))
    return Effect.flatMap(forkAttempt(work), (fiber) => {
      const ended = fiber.unsafePoll()
      return ended === null ? this.#watch(fiber, attempt) : Effect.succeed(this.#outcomeAtOnce(ended))
    })
  }

  /** Of an attempt that has ended in this turn: it may itself have stopped its run, by not fitting it. */
  #outcomeAtOnce(exit: AttemptExit): Outcome {
    const reason = this.spec.branch.stopReason
    const isStopped = Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
    return reason !== undefined && isStopped ? { _tag: "Stopped", reason } : this.#outcomeOf(exit)
  }

  /** Sees to the limits of an attempt that takes its time. */
  #watch(fiber: AttemptFiber, attempt: Attempt): Effect.Effect<Outcome> {
    const { timeout } = this.spec
    const disarm = timeout === null ? undefined : this.#armTimeout(timeout)
    attempt.watch()
    return Effect.map(this.#await(fiber, attempt), (outcome) => {
      disarm?.()
      return outcome
    })
  }

  /**
   * Time that is spent waiting for a child run goes on while the run is let go: it counts from when the attempt first
   * began, and brings the run back.
   */
  #armTimeout(timeout: number): () => void {
    const run = this.#run
    const expire = () => this.expire(`timed out after ${timeout} ms`)
    if (this.spec.dispatch === undefined) return run.host.deadlines.arm(timeout, expire)
    const { number } = this.attempt
    const began = this.row.attempts.find((attempt) => attempt.number === number)?.startedAt ?? run.now()
    const unlimit = run.limit(began + timeout)
    const disarm = run.host.deadlines.arm(began + timeout - run.now(), expire)
    return () => {
      unlimit()
      disarm()
    }
  }

  /** Waits for the attempt's end, its expiry, or the interruption of this step; in the last two it is interrupted. */
  #await(fiber: AttemptFiber, attempt: Attempt): Effect.Effect<Outcome> {
    const wait = Effect.async<AttemptExit | undefined>((resume) => {
      const observer = (exit: AttemptExit) => resume(Effect.succeed(exit))
      fiber.addObserver(observer)
      this.#onExpiry = () => resume(Effect.succeed(undefined))
      // Its time may have run out before anybody waited for it.
      if (this.#expired !== undefined) this.#onExpiry()
      return Effect.sync(() => fiber.removeObserver(observer))
    })
    return Effect.flatMap(Effect.exit(Effect.interruptible(wait)), (waited) => {
      this.#onExpiry = undefined
      if (Exit.isSuccess(waited) && waited.value !== undefined) return Effect.succeed(this.#outcomeOf(waited.value))
      fiber.unsafeInterruptAsFork(fiber.id())
      return Effect.map(this.#settle(fiber), (settled) => {
        if (!settled) attempt.abandoned = true
        if (Exit.isFailure(waited)) return this.#interrupted()
        return { _tag: "Failure", failure: { message: this.#expired ?? wasInterrupted }, timedOut: true }
      })
    })
  }

  /** Waits for a fiber that was interrupted, for as long as the grace allows; whether it ended. */
  #settle(fiber: AttemptFiber): Effect.Effect<boolean> {
    return Effect.async<boolean>((resume) => {
      const observer = () => {
        disarm()
        resume(Effect.succeed(true))
      }
      const disarm = this.#run.host.deadlines.arm(this.spec.grace ?? this.#run.settings.interruptGrace, () => {
        fiber.removeObserver(observer)
        resume(Effect.succeed(false))
      })
      fiber.addObserver(observer)
    })
  }

  /** Of an attempt that waited while this step was interrupted. */
  #interrupted(): Outcome {
    const reason = this.spec.branch.stopReason
    if (reason !== undefined) return { _tag: "Stopped", reason }
    return { _tag: "Failure", failure: { message: this.#expired ?? wasInterrupted }, timedOut: false }
  }

  #outcomeOf(exit: AttemptExit): Outcome {
    return Exit.isSuccess(exit) ? { _tag: "Success", success: exit.value } : this.#failureOf(exit.cause)
  }

  #failureOf(cause: Cause.Cause<AttemptFailure>): Outcome {
    const failure = Cause.failureOption(cause)
    if (failure._tag === "Some") return { _tag: "Failure", failure: failure.value, timedOut: false }
    return { _tag: "Failure", failure: { message: thrown(this.spec.name, cause) }, timedOut: false }
  }

  /** Records the attempt's end; then the step's, or the wait for the next attempt. */
  #ended(outcome: Outcome, abandoned: boolean): Effect.Effect<StepRecord> {
    if (abandoned) this.updateAttempt({ abandoned })
    switch (outcome._tag) {
      case "Success":
        this.#complete(outcome.success)
        return Effect.succeed(this.row)
      case "Failure":
        // A silent stop came while a child was being ended: whoever goes on with the run ends it.
        if (outcome.timedOut && this.spec.stopped !== undefined && isSilent(this.#run)) return Effect.interrupt
        return this.#failed(outcome.failure, outcome.timedOut)
      case "Stopped":
        if (!isSilent(this.#run)) cancelRow(this.#run, this.row, outcome.reason)
        return Effect.interrupt
    }
  }

  #complete(success: AttemptSuccess): void {
    const attempts = this.#attemptsWith({ outcome: "completed", endedAt: this.#run.now() })
    const { result, value = null, totals } = success
    this.#end({ attempts, status: "completed", result, value }, totals)
  }

  #failed(failure: AttemptFailure, timedOut: boolean): Effect.Effect<StepRecord> {
    const outcome = timedOut ? "timed_out" : "failed"
    const message = this.#run.shown(failure.message)
    this.updateAttempt({ outcome, error: message, endedAt: this.attempt.endedAt ?? this.#run.now() })
    const number = this.attempt.number
    const isLast = number > this.spec.retries || failure.permanent === true
    if (isLast || number >= this.#run.settings.maxAttempts) {
      const status: StepStatus = this.spec.failedAs === "skipped" ? "skipped" : timedOut ? "timed_out" : "failed"
      const result = failure.result === undefined ? {} : { result: failure.result }
      this.#end({ status, error: message, value: failure.value ?? null, ...result }, failure.totals)
      return Effect.succeed(this.row)
    }
    return Effect.flatMap(this.spec.delay(number), (delay) => {
      this.row = { ...this.row, wakeAt: delay > 0 ? this.#run.now() + delay : null }
      const event = { ...this.#run.about(this.row), attempt: number, error: message }
      const changes: Array<Change> = [{ _tag: "Step", step: this.row }]
      const { totals } = failure
      if (totals !== undefined) {
        changes.push({ _tag: "Run", patch: { totals: RunTotals.add(this.#run.record.totals, totals) } })
      }
      this.#run.append(changes, [{ _tag: "StepRetrying", ...event }])
      return Effect.zipRight(
        this.#waitForRetry(number),
        Effect.suspend(() => this.#attemptOnce())
      )
    })
  }

  /**
   * Waits out the delay after a failed attempt, then begins the next one, unless the step was stopped meanwhile: also
   * while the failed attempt's child run came to its end.
   */
  #waitForRetry(failed: number): Effect.Effect<void> {
    const { branch } = this.spec
    const begin = Effect.suspend(() =>
      branch.stopReason === undefined ? Effect.sync(() => this.#begin(failed + 1)) : stopRow(branch, this.row)
    )
    if (this.row.wakeAt === null && !branch.isHeld) return begin
    return Effect.flatMap(Effect.exit(Effect.interruptible(this.#untilRetry())), (exit) =>
      Exit.isSuccess(exit) ? begin : stopRow(branch, this.row)
    )
  }

  /** The delay goes on while the run is paused. */
  #untilRetry(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const run = this.#run
      const wakeAt = this.row.wakeAt ?? 0
      const isOver = () => run.now() >= wakeAt
      const on = isOver() ? [] : [this.#delayOn]
      const again = Effect.suspend(() => this.#untilRetry())
      if (this.spec.branch.isHeld) return Effect.zipRight(this.spec.branch.unpaused(on), again)
      return isOver() ? Effect.void : Effect.zipRight(run.park({ blockedOn: on, wakeAt }, [], isOver), again)
    })
  }

  get #delayOn(): BlockedOn {
    const { path, name, wakeAt } = this.row
    const gate = { kind: null, prompt: null, options: [], minApprovals: 0 }
    return { _tag: "sleep", run: this.#run.id, path, name, ...gate, until: wakeAt }
  }

  /** The step's end: its row, and the run's totals. */
  #end(patch: Partial<StepRecord> & Pick<StepRecord, "status">, childTotals: Totals | undefined): void {
    const run = this.#run
    this.row = { ...this.row, endedAt: run.now(), wakeAt: null, ...patch }
    const changes: Array<Change> = [{ _tag: "Step", step: this.row }]
    const { totals, warnings } = RunTotals.ofMetadata(this.row.result.metadata)
    if (childTotals !== undefined || Object.keys(totals).length > 0) {
      const own = RunTotals.addPartial(run.record.totals, totals)
      const sum = childTotals === undefined ? own : RunTotals.add(own, childTotals)
      changes.push({ _tag: "Run", patch: { totals: sum } })
    }
    const events: Array<EngineEvent> = [stepCompleted(run, this.row)]
    for (const message of warnings) events.push({ _tag: "StepWarning", ...run.about(this.row), message })
    run.append(changes, events)
  }
}

type AttemptFiber = Fiber.RuntimeFiber<AttemptSuccess, AttemptFailure>
type AttemptExit = Exit.Exit<AttemptSuccess, AttemptFailure>

const wasInterrupted = "was interrupted"

/** The message of an attempt that did not fail in the typed way. */
const thrown = (name: string, cause: Cause.Cause<unknown>): string => {
  const defect = Cause.dieOption(cause)
  if (defect._tag === "None") return `'${name}' was interrupted`
  const message = messageOf(defect.value)
  return message === undefined ? `'${name}' threw` : `'${name}' threw: ${message}`
}
