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
import type * as Scope from "effect/Scope"
import type { ProcessIdentity } from "../action/Action.ts"
import { killOrphans } from "../action/Process.ts"
import type { Change } from "../persistence/Journal.ts"
import type {
  AttemptRecord,
  StepKind,
  StepPath,
  StepRecord,
  StepResult,
  StepStatus,
  Totals
} from "../persistence/Records.ts"
import { isTerminal } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import type { EngineEvent } from "./Events.ts"
import { journaled, newRow, type RunContext } from "./RunContext.ts"
import { describe, type StopReason } from "./StopReason.ts"
import * as RunTotals from "./Totals.ts"

export interface AttemptSuccess {
  readonly result: StepResult
  /** The encoded success of a code step. */
  readonly value?: unknown
  /** What a child run adds to the totals, beside the numbers in `result.metadata`. */
  readonly totals?: Totals
}

/** Plain data: an attempt's end is not an error of the engine. */
export interface AttemptFailure {
  readonly message: string
  /** No further attempt is made. */
  readonly permanent?: boolean
  /** The encoded typed error of a code step. */
  readonly value?: unknown
  readonly totals?: Totals
  /** What the step hands on although it failed (a fan-out). */
  readonly result?: StepResult
}

export interface StepSpec {
  readonly branch: Branch
  readonly path: StepPath
  readonly kind: StepKind
  readonly name: string
  readonly role: string | null
  readonly canCommit?: boolean
  readonly condition?: string | null
  readonly retries: number
  /** ms before a retry; 1 is the first. */
  readonly delay: (retry: number) => Effect.Effect<number>
  /** Longest time of an attempt, ms. */
  readonly timeout: number | null
  /** Longest silence of an attempt, ms. */
  readonly heartbeat: number | null
  /** How long an interrupted attempt is awaited, ms; absent: the engine's `interruptGrace`. */
  readonly grace?: number
  /** The status of a step whose attempts have all failed. */
  readonly failedAs: "failed" | "skipped"
  /** What joins the commit that starts an attempt. */
  readonly dispatch?: (step: StepRecord, attempt: AttemptRecord) => Dispatch
  readonly attempt: (attempt: Attempt) => Effect.Effect<AttemptSuccess, AttemptFailure, Scope.Scope>
  /** Ends what an attempt that was stopped or timed out left going outside its fiber: child runs. */
  readonly stopped?: (step: StepRecord) => Effect.Effect<void>
}

export interface Dispatch {
  readonly attempt: Partial<AttemptRecord>
  readonly changes: ReadonlyArray<Change>
  /** Called when the commit is durable. */
  readonly started: Effect.Effect<void>
}

/** The row of a step that has begun, as a block writes it for its branches, and `step` for its own. */
export const startedRow = (spec: StepSpec, status: "pending" | "running"): StepRecord => {
  const run = spec.branch.run
  const row = newRow(run, {
    path: spec.path,
    kind: spec.kind,
    name: spec.name,
    role: spec.role,
    canCommit: spec.canCommit ?? false,
    condition: spec.condition ?? null,
    conditionMet: spec.condition === undefined || spec.condition === null ? null : true,
    iteration: spec.branch.iteration,
    group: spec.branch.group,
    status
  })
  return status === "pending" ? { ...row, startedAt: null } : { ...row, attempts: [newAttempt(run, 1)] }
}

const newAttempt = (run: RunContext, number: number): AttemptRecord => ({
  number,
  startedAt: run.now(),
  endedAt: null,
  outcome: "running",
  error: null,
  heartbeatAt: null,
  heartbeat: null,
  abandoned: false,
  process: null,
  childRun: null,
  childEpoch: 1
})

/** Runs a step to its end and gives its row. Interrupted, it has written what its reason asks for. */
export const step = (spec: StepSpec): Effect.Effect<StepRecord> =>
  Effect.flatMap(journaled(spec.branch.run, spec.path, spec.kind, spec.name), (row) => {
    if (row !== undefined && isTerminal(row.status)) return Effect.succeed(row)
    if (spec.branch.stopReason !== undefined) return stopBeforeStart(spec, row)
    return Effect.uninterruptibleMask((restore) => new StepRun(spec, row, restore).run)
  })

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

/** Records a step, with its running attempt, as cancelled. */
export const cancelRow = (run: RunContext, row: StepRecord, reason: StopReason | string): void => {
  const text = typeof reason === "string" ? reason : describe(reason)
  const attempts = row.attempts.map((attempt) =>
    attempt.outcome === "running" ? endAttempt(run, attempt, "cancelled", text) : attempt
  )
  const ended: StepRecord = { ...row, attempts, status: "cancelled", error: text, endedAt: run.now(), wakeAt: null }
  run.put(ended, [stepCompleted(run, ended)])
}

const endAttempt = (
  run: RunContext,
  attempt: AttemptRecord,
  outcome: AttemptRecord["outcome"],
  error: string | null
): AttemptRecord => ({ ...attempt, endedAt: run.now(), outcome, error })

export const stepCompleted = (run: RunContext, step: StepRecord): EngineEvent => ({
  _tag: "StepCompleted",
  ...run.about(step),
  kind: step.kind,
  succeeded: step.status === "completed" || step.status === "skipped",
  status: step.status,
  error: step.error
})

/** What an attempt knows and may report. After its end it reports nothing any more (S2). */
export class Attempt {
  closed = false
  abandoned = false
  #silence: (() => void) | undefined
  #recordedAt = Number.NEGATIVE_INFINITY

  constructor(
    readonly spec: StepSpec,
    private readonly owner: StepRun,
    readonly number: number
  ) {}

  get run(): RunContext {
    return this.spec.branch.run
  }

  get step(): StepRecord {
    return this.owner.row
  }

  get record(): AttemptRecord {
    return this.owner.attempt
  }

  get retriesLeft(): number {
    return Math.max(0, this.spec.retries + 1 - this.number)
  }

  /** Changes the step's row while it runs: the change that records it. */
  patchStep(patch: Partial<StepRecord>): Change {
    this.owner.row = { ...this.owner.row, ...patch }
    return { _tag: "Step", step: this.owner.row }
  }

  /** The last attempt before this one that ended. */
  get previous(): AttemptRecord | undefined {
    return this.owner.row.attempts.findLast((attempt) => attempt.number < this.number)
  }

  readonly heartbeat = (details?: unknown): Effect.Effect<void> =>
    Effect.sync(() => {
      if (this.closed) return
      this.watch()
      const now = this.run.now()
      // Also what is not written now reaches the next attempt: it is written with this one's end.
      this.owner.updateAttempt({ heartbeatAt: now, heartbeat: details ?? null })
      if (now - this.#recordedAt < this.run.settings.heartbeatInterval) return
      this.#recordedAt = now
      const event = { ...this.run.about(this.step), attempt: this.number, details: details ?? null }
      this.run.put(this.step, [{ _tag: "StepHeartbeat", ...event }])
    })

  /** (Re)starts the time of silence that is allowed. */
  watch(): void {
    this.#silence?.()
    const limit = this.spec.heartbeat
    if (limit !== null && !this.closed) {
      this.#silence = this.run.host.deadlines.arm(limit, () => this.owner.expire(`no heartbeat for ${limit} ms`))
    }
  }

  close(): void {
    this.closed = true
    this.#silence?.()
  }

  readonly processStarted = (process: ProcessIdentity): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.closed) return Effect.void
      this.owner.updateAttempt({ process })
      this.run.put(this.step)
      return this.run.flush
    })

  readonly warn = (message: string): Effect.Effect<void> =>
    Effect.zipRight(
      Effect.logWarning(message).pipe(Effect.annotateLogs({ run: this.run.id, step: this.step.path })),
      Effect.sync(() => this.run.append([], [{ _tag: "StepWarning", ...this.run.about(this.step), message }]))
    )

  /** For executors that cannot be interrupted: a losing branch does not wait for them. */
  readonly interruptGrace: Effect.Effect<number> = Effect.sync(() =>
    this.spec.branch.stopReason?._tag === "FailFast" ? 0 : this.run.settings.interruptGrace
  )

  readonly abandon: Effect.Effect<void> = Effect.sync(() => {
    this.abandoned = true
  })
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** How an attempt ended. */
type Outcome =
  | { readonly _tag: "Success"; readonly success: AttemptSuccess }
  | { readonly _tag: "Failure"; readonly failure: AttemptFailure; readonly timedOut: boolean }
  | { readonly _tag: "Stopped"; readonly reason: StopReason }

class StepRun {
  row: StepRecord
  #expired: string | undefined
  #onExpiry: (() => void) | undefined
  #dispatched: Dispatch | undefined
  readonly #isNew: boolean

  constructor(
    private readonly spec: StepSpec,
    found: StepRecord | undefined,
    private readonly restore: Restore
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
    return Effect.zipRight(
      this.#prepare(),
      Effect.suspend(() => this.#attemptOnce())
    )
  }

  updateAttempt(patch: Partial<AttemptRecord>): void {
    this.row = { ...this.row, attempts: [...this.row.attempts.slice(0, -1), { ...this.attempt, ...patch }] }
  }

  /** Ends the running attempt as timed out. */
  expire(why: string): void {
    this.#expired ??= why
    this.#onExpiry?.()
  }

  /** Brings the row to a running attempt whose commit is on its way: a new one, or the one that was lost. */
  #prepare(): Effect.Effect<void> {
    if (this.#isNew) return Effect.sync(() => this.#start())
    if (this.row.status === "pending") return Effect.sync(() => this.#begin(1))
    if (this.#run.announced.delete(this.row.path)) return Effect.sync(() => this.#start())
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

  /** Appends the row of the attempt that begins, with what is dispatched in the same commit. */
  #start(): void {
    const dispatch = this.spec.dispatch?.(this.row, this.attempt)
    if (dispatch !== undefined) {
      this.updateAttempt(dispatch.attempt)
      this.row = { ...this.row, childRun: this.attempt.childRun }
    }
    this.#dispatched = dispatch
    const event = { ...this.#run.about(this.row), kind: this.row.kind, attempt: this.attempt.number }
    this.#run.append(
      [{ _tag: "Step", step: this.row }, ...(dispatch?.changes ?? [])],
      [{ _tag: "StepStarted", ...event }]
    )
  }

  #attemptOnce(): Effect.Effect<StepRecord> {
    const attempt = new Attempt(this.spec, this, this.attempt.number)
    return this.#run.flush.pipe(
      Effect.zipRight(Effect.suspend(() => this.#dispatched?.started ?? Effect.void)),
      Effect.zipRight(Effect.suspend(() => this.#execute(attempt))),
      Effect.tap((outcome) => this.#release(outcome)),
      Effect.flatMap((outcome) => {
        attempt.close()
        return this.#ended(outcome, attempt.abandoned)
      })
    )
  }

  #release(outcome: Outcome): Effect.Effect<void> {
    const wasStopped = outcome._tag === "Stopped" || (outcome._tag === "Failure" && outcome.timedOut)
    return wasStopped && !isSilent(this.#run) ? (this.spec.stopped?.(this.row) ?? Effect.void) : Effect.void
  }

  #execute(attempt: Attempt): Effect.Effect<Outcome> {
    const stopped = this.spec.branch.stopReason
    if (stopped !== undefined) return Effect.succeed({ _tag: "Stopped", reason: stopped })
    this.#expired = undefined
    const work = Effect.interruptible(Effect.scoped(Effect.suspend(() => this.spec.attempt(attempt))))
    return Effect.flatMap(Effect.forkDaemon(work), (fiber) => {
      const { timeout } = this.spec
      const disarm =
        timeout === null
          ? undefined
          : this.#run.host.deadlines.arm(timeout, () => this.expire(`timed out after ${timeout} ms`))
      attempt.watch()
      return Effect.map(this.#await(fiber, attempt), (outcome) => {
        disarm?.()
        return outcome
      })
    })
  }

  /** Waits for the attempt's end, its expiry, or the interruption of this step; in the last two it is interrupted. */
  #await(fiber: AttemptFiber, attempt: Attempt): Effect.Effect<Outcome> {
    const wait = Effect.async<AttemptExit | undefined>((resume) => {
      const observer = (exit: AttemptExit) => resume(Effect.succeed(exit))
      fiber.addObserver(observer)
      this.#onExpiry = () => resume(Effect.succeed(undefined))
      return Effect.sync(() => fiber.removeObserver(observer))
    })
    return Effect.flatMap(Effect.exit(this.restore(wait)), (waited) => {
      this.#onExpiry = undefined
      if (Exit.isSuccess(waited) && waited.value !== undefined) return Effect.succeed(this.#outcomeOf(waited.value))
      fiber.unsafeInterruptAsFork(fiber.id())
      return Effect.map(this.#settle(fiber), (settled) => {
        if (!settled) attempt.abandoned = true
        const failure = { message: this.#expired ?? "was interrupted" }
        if (Exit.isSuccess(waited)) return { _tag: "Failure", failure, timedOut: true }
        const reason = this.spec.branch.stopReason
        return reason === undefined ? { _tag: "Failure", failure, timedOut: false } : { _tag: "Stopped", reason }
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

  #outcomeOf(exit: AttemptExit): Outcome {
    if (Exit.isSuccess(exit)) return { _tag: "Success", success: exit.value }
    const failure = Cause.failureOption(exit.cause)
    if (failure._tag === "Some") return { _tag: "Failure", failure: failure.value, timedOut: false }
    return { _tag: "Failure", failure: { message: thrown(this.spec.name, exit.cause) }, timedOut: false }
  }

  /** Records the attempt's end; then the step's, or the wait for the next attempt. */
  #ended(outcome: Outcome, abandoned: boolean): Effect.Effect<StepRecord> {
    this.updateAttempt({ abandoned })
    switch (outcome._tag) {
      case "Success":
        this.#complete(outcome.success)
        return Effect.succeed(this.row)
      case "Failure":
        return this.#failed(outcome.failure, outcome.timedOut)
      case "Stopped":
        if (!isSilent(this.#run)) cancelRow(this.#run, this.row, outcome.reason)
        return Effect.interrupt
    }
  }

  #complete(success: AttemptSuccess): void {
    this.updateAttempt({ outcome: "completed", endedAt: this.#run.now() })
    this.#end({ status: "completed", result: success.result, value: success.value ?? null }, success.totals)
  }

  #failed(failure: AttemptFailure, timedOut: boolean): Effect.Effect<StepRecord> {
    const outcome = timedOut ? "timed_out" : "failed"
    this.updateAttempt({ outcome, error: failure.message, endedAt: this.#run.now() })
    const number = this.attempt.number
    const isLast = number > this.spec.retries || failure.permanent === true
    if (isLast || number >= this.#run.settings.maxAttempts) {
      const status: StepStatus = this.spec.failedAs === "skipped" ? "skipped" : timedOut ? "timed_out" : "failed"
      const result = failure.result === undefined ? {} : { result: failure.result }
      this.#end({ status, error: failure.message, value: failure.value ?? null, ...result }, failure.totals)
      return Effect.succeed(this.row)
    }
    return Effect.flatMap(this.spec.delay(number), (delay) => {
      this.row = { ...this.row, wakeAt: delay > 0 ? this.#run.now() + delay : null }
      const event = { ...this.#run.about(this.row), attempt: number, error: failure.message }
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

  /** Waits out the delay after a failed attempt, then begins the next one. */
  #waitForRetry(failed: number): Effect.Effect<void> {
    const run = this.#run
    const { path, name, wakeAt } = this.row
    const begin = Effect.sync(() => this.#begin(failed + 1))
    if (wakeAt === null) return begin
    const on = {
      _tag: "sleep",
      run: run.id,
      path,
      name,
      kind: null,
      prompt: null,
      options: [],
      minApprovals: 0
    } as const
    const wait = run.park({ blockedOn: [{ ...on, until: wakeAt }], wakeAt }, [], () => run.now() >= wakeAt)
    return Effect.flatMap(Effect.exit(this.restore(wait)), (exit) => {
      if (Exit.isSuccess(exit)) return begin
      const reason = this.spec.branch.stopReason
      if (reason !== undefined && !isSilent(run)) cancelRow(run, this.row, reason)
      return Effect.interrupt
    })
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

/** The message of an attempt that did not fail in the typed way. */
const thrown = (name: string, cause: Cause.Cause<unknown>): string => {
  const defect = Cause.dieOption(cause)
  if (defect._tag === "None") return `'${name}' was interrupted`
  const message = messageOf(defect.value)
  return message === undefined ? `'${name}' threw` : `'${name}' threw: ${message}`
}

/** Of an Error or a text; any other thrown value says nothing that a person could use. */
export const messageOf = (thrownValue: unknown): string | undefined => {
  if (thrownValue instanceof Error) return thrownValue.message
  return typeof thrownValue === "string" ? thrownValue : undefined
}
