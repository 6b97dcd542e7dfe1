/**
 * A run from its start to its end: body, compensation, always, end (design.md, "The phases of a run").
 *
 * Owns: the phases, each ended by a row (I4), and what the messages to a run as a whole do.
 * Neighbours: a `Program` is what the body and the always block do; `Residents` owns residency; `RunEnd` writes ends.
 * - P1 The body's outcome is decided once; what comes later (a cancellation during always) does not change it.
 * - P2 A silent stop (shutdown, lease lost, let go, misfit) ends the fibers and records nothing of it.
 * - P3 A run that has not started and is cancelled ends at once, without always.
 * - P4 When a phase has ended no row of it is open, and no process or child run that it started is at work.
 * - P5 Compensation runs once for a body that failed or was cancelled, whatever is asked of the run meanwhile; a body that
 *   continues as new, or that a silent stop met, has none.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { RunSecrets } from "../action/RunSecrets.ts"
import type { Change } from "../persistence/Journal.ts"
import type { InboxMessage, RunRecord } from "../persistence/Records.ts"
import { forkNow } from "./AttemptFiber.ts"
import { Branch } from "./Branch.ts"
import { continueChange, continued, following, isContinuing } from "./Continue.ts"
import { closeRows, endLeftovers } from "./Leftovers.ts"
import { mayPause, PauseRequests } from "./Pause.ts"
import { alwaysPath, bodyPath, compensationPath, deadlineOf, isOfAlways, isOfBody, isOfCompensation } from "./Phases.ts"
import type { BodyEnd, Program } from "./Program.ts"
import { newRow, type RunContext } from "./RunContext.ts"
import { type Outcome, parkRun, recordEnd } from "./RunEnd.ts"
import { andThen } from "./Settled.ts"
import { messageOf } from "./Step.ts"
import { describe, parseReason, type StopReason } from "./StopReason.ts"

export type { BodyEnd, Program } from "./Program.ts"

/** How long code between primitives may go on after a stop while a journal is replayed, ms. */
const replayGrace = 1_000

export class RunMain {
  readonly #body: Branch
  readonly #compensation: Branch
  readonly #always: Branch
  readonly #requests: PauseRequests
  #fiber: Fiber.RuntimeFiber<unknown> | undefined
  #phase: "body" | "compensation" | "always" | "end" = "body"
  /** `always` after a cancellation: it has a limit, and is not let go. */
  #isLimited = false
  /** The run that goes on from this one's end. */
  #next: RunRecord | undefined
  #disarmHold: () => void = () => undefined

  constructor(
    readonly run: RunContext,
    private readonly program: Program
  ) {
    this.#body = Branch.root(run, "")
    this.#compensation = Branch.root(run, compensationPath)
    this.#always = Branch.root(run, alwaysPath)
    this.#requests = new PauseRequests(run)
  }

  /** Ends when the run has ended or was stopped silently. */
  readonly main: Effect.Effect<void> = Effect.uninterruptible(
    Effect.gen(this, function* () {
      if (this.run.silent !== undefined) return
      if (this.#cancelledBeforeStart()) return yield* this.run.flushNow
      this.#begin()
      const unlisten = this.run.listen("run", () => this.#takeMessages(true))
      const disarm = this.#armDeadline()
      this.#takeMessages(false)
      const ended = yield* this.#runBody()
      disarm()
      const outcome = ended === undefined ? undefined : yield* this.#compensate(ended)
      if (outcome !== undefined && (yield* this.#runAlways(outcome))) this.#end(outcome)
      unlisten()
      this.#park()
      yield* this.run.flushNow
      if (this.#next !== undefined) this.run.host.follow(this.#next)
    })
  ).pipe(Effect.catchAllCause((cause) => this.#crashed(cause)))

  /**
   * Interrupts what runs now; the reason is set. Where the program is still in what the journal holds it goes on to the
   * first primitive without a row, which sees the reason: what it left behind is then known to what follows. A wait whose
   * row is there, and that was about to begin, does not see it: it is interrupted.
   */
  interrupt(): void {
    if (this.run.silent === undefined && this.run.isReplaying) return this.#hold()
    this.#disarmHold()
    const fiber = this.#fiber
    if (fiber !== undefined) fiber.unsafeInterruptAsFork(fiber.id())
  }

  /** Whether the run may be recorded as waiting and be let go. */
  get mayWait(): boolean {
    if (this.#phase === "end" || this.#isLimited || this.run.silent !== undefined) return false
    return this.#branch.stopReason === undefined
  }

  /** When the run's own timeout is over, wall clock; null where it has none (any longer). */
  get deadline(): number | null {
    return this.#phase === "body" ? deadlineOf(this.run) : null
  }

  /** Z2. */
  get #mayPause(): boolean {
    if (this.#phase === "end" || this.#isLimited || !mayPause(this.run)) return false
    return this.run.row(bodyPath) !== undefined || this.#body.stopReason === undefined
  }

  get #branch(): Branch {
    if (this.#phase === "compensation") return this.#compensation
    return this.#phase === "always" ? this.#always : this.#body
  }

  #hold(): void {
    this.#disarmHold()
    const stop = () => {
      this.run.live()
      this.interrupt()
    }
    const disarm = this.run.host.deadlines.arm(replayGrace, stop)
    const unlisten = this.run.onPark(stop)
    this.#disarmHold = () => {
      disarm()
      unlisten()
    }
  }

  // ---- start

  #cancelledBeforeStart(): boolean {
    const { run } = this
    const cancel = run.find("Cancel")
    if (run.record.startedAt !== null || cancel === undefined) return false
    const reason = reasonOf(cancel.message)
    run.append([run.consume([cancel.id])])
    this.#phase = "end"
    recordEnd(run, { status: "cancelled", error: null, result: null }, describe(reason))
    return true
  }

  #begin(): void {
    const { run } = this
    const { record } = run
    const base = { timestamp: run.now(), run: run.id }
    if (record.startedAt === null) {
      const patch = { status: "running", startedAt: run.now(), error: null, blockedOn: [], recoveries: 0 } as const
      const started = { workflow: record.workflow, parent: record.parent?.run ?? null, dryRun: record.dryRun }
      run.append([{ _tag: "Run", patch }], [{ _tag: "RunStarted", ...base, ...started }])
      return
    }
    if (isContinuing(run)) this.#body.stop({ _tag: "Continued" })
    else if (record.cancelReason !== null) this.#body.stop(parseReason(record.cancelReason))
    const changes: Array<Change> = []
    if (record.status === "pending" || record.status === "needs_resume") {
      const status = record.cancelReason === null ? "running" : "cancelling"
      changes.push({ _tag: "Run", patch: { status, error: null, blockedOn: [], recoveries: 0 } })
      changes.push(...run.tellParent((path) => ({ _tag: "ChildRunning", child: run.id, path })))
    }
    run.append(changes, [{ _tag: "RunResumed", ...base, epoch: record.epoch }])
  }

  #armDeadline(): () => void {
    const { deadline } = this
    if (deadline === null) return () => undefined
    const left = deadline - this.run.now()
    const stop = () => this.stopBody({ _tag: "RunTimeout" })
    if (left > 0) return this.run.host.deadlines.arm(left, stop)
    stop()
    return () => undefined
  }

  // ---- messages to the run as a whole

  /** `isLive`: they came while the run was going on, so nobody has heard yet that it does. */
  #takeMessages(isLive: boolean): void {
    const { run } = this
    // Whoever goes on with the run finds them, be it as the next run: that is cancelled or paused before it has begun.
    if (run.silent !== undefined || isContinuing(run)) return
    let isCancelled = false
    for (let found = run.find("Cancel"); found !== undefined; found = run.find("Cancel")) {
      isCancelled = true
      this.#takeCancel(found)
    }
    if (isCancelled || !this.#mayPause) this.#requests.drop()
    else this.#requests.take(isLive)
  }

  #takeCancel({ id, message }: Found<"Cancel">): void {
    const { run } = this
    const consumed = run.consume([id])
    const reason = reasonOf(message)
    const isStopping = this.#phase !== "body" || this.#body.stopReason !== undefined
    if (isStopping || run.row(bodyPath) !== undefined) return run.append([consumed])
    const patch = { status: "cancelling", cancelReason: describe(reason), blockedOn: [], recoveries: 0 } as const
    run.append([consumed, { _tag: "Run", patch }])
    this.stopBody(reason)
  }

  stopBody(reason: StopReason): void {
    if (this.#phase !== "body" || this.#body.stopReason !== undefined) return
    this.#body.stop(reason)
    if (reason._tag !== "Continued") this.#requests.drop()
    this.interrupt()
  }

  // ---- body

  /** The body's outcome; undefined if the run was stopped silently. */
  #runBody(): Effect.Effect<Outcome | undefined> {
    const known = this.run.row(bodyPath)
    if (known === undefined)
      return Effect.flatMap(this.#fork(this.program.body(this.#body)), (exit) => this.#endBody(exit))
    // SAFETY: written by `#endBody`.
    const outcome = known.value as Outcome
    if (this.program.always === undefined || this.run.row(alwaysPath) !== undefined) return Effect.succeed(outcome)
    // Replayed for what always sees of it; nothing new starts.
    this.#body.stop({ _tag: "Parent" })
    this.#hold()
    return Effect.map(this.#fork(this.program.body(this.#body)), () =>
      this.run.silent === undefined ? outcome : undefined
    )
  }

  /** Decides and records the outcome, in one commit with the end of what the body left open. */
  #endBody(exit: Exit.Exit<BodyEnd>): Effect.Effect<Outcome | undefined> {
    const { run } = this
    if (run.silent !== undefined) return Effect.succeed(undefined)
    const reason = this.#body.stopReason
    const outcome = this.#outcomeOf(exit, reason)
    return andThen(endLeftovers(this.#body, isOfBody), () => {
      if (run.silent !== undefined) return Effect.succeed(undefined)
      closeRows(run, isOfBody, reason === undefined ? "the run ended" : describe(reason))
      const { status } = outcome
      run.put(newRow(run, { path: bodyPath, kind: "phase", name: "body", status, value: outcome }))
      this.#phase = "always"
      return Effect.succeed(outcome)
    })
  }

  #outcomeOf(exit: Exit.Exit<BodyEnd>, reason: StopReason | undefined): Outcome {
    if (reason?._tag === "RunTimeout") {
      const error = `the run timed out after ${this.run.record.settings.runTimeout} ms`
      return { status: "failed", error, result: null }
    }
    if (reason?._tag === "Continued") return continued
    if (reason !== undefined) return { status: "cancelled", error: null, result: null }
    if (Exit.isSuccess(exit)) return this.#shown(exit.value)
    if (Cause.isInterruptedOnly(exit.cause)) return { status: "failed", error: "the run was interrupted", result: null }
    return { status: "failed", error: this.#panicked(exit.cause), result: null }
  }

  #shown(outcome: Outcome): Outcome {
    return outcome.error === null ? outcome : { ...outcome, error: this.run.shown(outcome.error) }
  }

  /**
   * Runs an effect in a fiber of its own, which only this module interrupts: from its first step on, so that a stop
   * before it leaves the replay to the primitives.
   */
  #fork<A>(effect: Effect.Effect<A>): Effect.Effect<Exit.Exit<A>> {
    const run = Effect.suspend(() => (this.#mayBegin ? effect : Effect.interrupt))
    const begun = Effect.withFiberRuntime<A>((fiber) => {
      this.#fiber = fiber
      return Effect.interruptible(run)
    })
    return Effect.flatMap(forkNow(begun, this.#within), (fiber) =>
      Effect.async<Exit.Exit<A>>((resume) =>
        fiber.addObserver((exit) => {
          this.#fiber = undefined
          this.#disarmHold()
          resume(Effect.succeed(exit))
        })
      )
    )
  }

  readonly #within = (own: Context.Context<never>): Context.Context<never> => {
    const { context } = this.program
    return Context.add(context === undefined ? own : Context.merge(own, context), RunSecrets, this.run)
  }

  /** A stopped run is replayed first: there is nothing to replay where no primitive has a row. */
  get #mayBegin(): boolean {
    return this.run.silent === undefined && (this.run.isReplaying || this.#branch.stopReason === undefined)
  }

  // ---- compensation

  /** What the run comes to when what it did has been taken back; undefined if it was stopped silently. */
  #compensate(outcome: Outcome): Effect.Effect<Outcome | undefined> {
    const { run, program } = this
    const known = run.row(compensationPath)
    // SAFETY: written below.
    if (known !== undefined) return Effect.succeed(known.value as Outcome)
    const { compensation } = program
    if (compensation === undefined || outcome.status === "completed") return Effect.succeed(outcome)
    return Effect.gen(this, function* () {
      this.#phase = "compensation"
      const replay = Branch.root(run, "")
      replay.stop({ _tag: "Parent" })
      const exit = yield* this.#fork(compensation({ replay, undo: this.#compensation }, outcome))
      if (run.silent === undefined && Exit.isFailure(exit)) yield* Effect.failCause(exit.cause)
      if (run.silent !== undefined || Exit.isFailure(exit)) return undefined
      if (exit.value === undefined) return outcome
      yield* endLeftovers(this.#compensation, isOfCompensation)
      if (run.silent !== undefined) return undefined
      closeRows(run, isOfCompensation, "the run ended")
      const status = exit.value.succeeded ? "completed" : "failed"
      const { outcome: value } = exit.value
      run.put(newRow(run, { path: compensationPath, kind: "phase", name: "compensation", status, value }))
      return value
    })
  }

  // ---- always

  /** Whether the run may end: its always block has run, or there is none. */
  #runAlways(outcome: Outcome): Effect.Effect<boolean> {
    const { run, program } = this
    this.#phase = "always"
    const { always } = program
    if (always === undefined || run.row(alwaysPath) !== undefined) return Effect.succeed(true)
    return Effect.gen(this, function* () {
      this.#isLimited = outcome.status === "cancelled"
      const limit = run.settings.alwaysLimit
      const stop = () => this.#stopAlways()
      const disarm = this.#isLimited ? run.host.deadlines.arm(limit, stop) : () => undefined
      const exit = yield* this.#fork(always(this.#always, outcome.status))
      disarm()
      if (run.silent !== undefined) return false
      if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) this.#panicked(exit.cause)
      yield* endLeftovers(this.#always, isOfAlways)
      if (run.silent !== undefined) return false
      const error = Exit.isSuccess(exit) ? null : `always did not finish within ${limit} ms`
      closeRows(run, isOfAlways, error ?? "the run ended")
      const status = error === null ? "completed" : "failed"
      run.put(newRow(run, { path: alwaysPath, kind: "phase", name: "always", status, error }))
      return true
    })
  }

  #stopAlways(): void {
    this.#always.stop({ _tag: "RunTimeout" })
    this.interrupt()
  }

  // ---- end

  #end(outcome: Outcome): void {
    const { run } = this
    this.#phase = "end"
    this.#next = outcome.status === "completed" ? following(run) : undefined
    const also = this.#next === undefined ? [] : [continueChange(this.#next)]
    recordEnd(run, outcome, outcome.status === "cancelled" ? run.record.cancelReason : null, also)
  }

  /** A replay that does not fit leaves the run parked with the reason. */
  #park(): void {
    const { run } = this
    if (run.silent?._tag === "Misfit") parkRun(run, run.silent.message)
  }

  // ---- defects

  #panicked(cause: Cause.Cause<unknown>): string {
    const { run } = this
    const defect = Cause.squash(cause)
    const message = messageOf(defect) ?? "the engine met an unknown defect"
    const stack = defect instanceof Error ? (defect.stack ?? null) : null
    run.append([], [{ _tag: "Panicked", timestamp: run.now(), run: run.id, message, stack }])
    return `defect: ${run.shown(message)}`
  }

  /** A defect in the engine itself: the run is parked, since it would meet it again. */
  #crashed(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.run.silent !== undefined && Cause.isInterruptedOnly(cause)) return Effect.void
      this.#panicked(cause)
      this.run.stopSilently({ _tag: "Misfit", message: messageOf(Cause.squash(cause)) ?? "a defect of the engine" })
      this.#park()
      return Effect.exit(this.run.flush)
    })
  }
}

type Found<T extends InboxMessage["_tag"]> = {
  readonly id: number
  readonly message: Extract<InboxMessage, { readonly _tag: T }>
}

const reasonOf = (message: { readonly reason: "user" | "parent"; readonly text: string | null }): StopReason =>
  message.reason === "parent" ? { _tag: "Parent" } : { _tag: "User", text: message.text }
