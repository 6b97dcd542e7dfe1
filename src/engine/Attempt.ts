/**
 * An attempt of a step, as what it runs sees it.
 *
 * - S2 An attempt that was interrupted and left behind, or has ended, can report nothing any more.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ProcessIdentity } from "../action/Action.ts"
import type { Change } from "../persistence/Journal.ts"
import type { AttemptRecord, StepRecord } from "../persistence/Records.ts"
import * as Json from "../workflow/Json.ts"
import type { RunContext } from "./RunContext.ts"
import type { StepSpec } from "./StepSpec.ts"

/** The step that makes the attempt: its row is one for all of them. */
export interface AttemptOwner {
  row: StepRecord
  readonly attempt: AttemptRecord
  readonly updateAttempt: (patch: Partial<AttemptRecord>) => void
  /** Ends the running attempt as timed out. */
  readonly expire: (why: string) => void
}

/** What an attempt knows and may report. After its end it reports nothing any more (S2). */
export class Attempt {
  closed = false
  abandoned = false
  #isTold = false
  #silence: (() => void) | undefined
  #recordedAt = Number.NEGATIVE_INFINITY

  constructor(
    readonly spec: StepSpec,
    private readonly owner: AttemptOwner,
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

  /**
   * When the wait for a child run times out, ms since the epoch: from its first beginning, since its run may be let go
   * meanwhile. Null: never, or, of what begins anew with its run, its timeout after that.
   */
  get deadline(): number | null {
    const { dispatch, timeout } = this.spec
    if (timeout === null || dispatch === undefined) return null
    const first = this.owner.row.attempts.find((attempt) => attempt.number === this.number) ?? this.record
    return first.startedAt + timeout
  }

  /** ms until its deadline, if it has one. */
  get timeLeft(): number | undefined {
    const { deadline } = this
    return deadline === null ? undefined : deadline - this.run.now()
  }

  /** Details that JSON cannot keep are left out, with a warning: they are no reason to fail. */
  heartbeat(details?: unknown): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.void
      const kept = Json.kept(details ?? null)
      this.#report(Either.getOrElse(kept, () => null))
      if (Either.isRight(kept) || this.#isTold) return Effect.void
      this.#isTold = true
      return this.warn(`the details of its heartbeat are left out, since JSON cannot keep them: ${kept.left}`)
    })
  }

  #report(heartbeat: unknown): void {
    this.watch()
    const now = this.run.now()
    // Also what is not written now reaches the next attempt: it is written with this one's end.
    this.owner.updateAttempt({ heartbeatAt: now, heartbeat })
    if (now - this.#recordedAt < this.run.settings.heartbeatInterval) return
    this.#recordedAt = now
    const event = { ...this.run.about(this.step), attempt: this.number, details: heartbeat }
    this.run.put(this.step, [{ _tag: "StepHeartbeat", ...event }])
  }

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

  processStarted(process: ProcessIdentity): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.void
      this.owner.updateAttempt({ process })
      this.run.put(this.step)
      return this.run.flush
    })
  }

  warn(text: string): Effect.Effect<void> {
    const message = this.run.shown(text)
    return Effect.zipRight(
      Effect.logWarning(message).pipe(Effect.annotateLogs({ run: this.run.id, step: this.step.path })),
      Effect.sync(() => this.run.append([], [{ _tag: "StepWarning", ...this.run.about(this.step), message }]))
    )
  }

  /** For executors that cannot be interrupted: a losing branch does not wait for them. */
  get interruptGrace(): Effect.Effect<number> {
    return Effect.sync(() => (this.spec.branch.stopReason?._tag === "FailFast" ? 0 : this.run.settings.interruptGrace))
  }

  get abandon(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.abandoned = true
    })
  }
}
