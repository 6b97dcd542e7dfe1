/**
 * A run from its start to its end: body, always, end (design.md, "The phases of a run").
 *
 * Owns: the phases, each ended by a row (I4), and what the messages to a run as a whole do.
 * Neighbours: a `Program` is what the body and the always block do; `Engine` owns residency and leases.
 * - P1 The body's outcome is decided once; what comes later (a cancellation during always) does not change it.
 * - P2 A silent stop (shutdown, lease lost, let go, misfit) ends the fibers and records nothing of it.
 * - P3 A run that has not started and is cancelled ends at once, without always.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Change } from "../persistence/Journal.ts"
import type { RunStatus, StepPath, StepRecord } from "../persistence/Records.ts"
import { isUserStep } from "../persistence/Records.ts"
import { Branch } from "./Branch.ts"
import type { EngineEvent } from "./Events.ts"
import { newRow, type RunContext } from "./RunContext.ts"
import { messageOf } from "./Step.ts"
import { describe, type StopReason } from "./StopReason.ts"
import { summarize } from "./Summary.ts"

/** How a body ended by itself. */
export interface BodyEnd {
  readonly status: "completed" | "failed"
  readonly error: string | null
  /** What a parent, or a typed handle, reads from the record. */
  readonly result: unknown
}

/** What a run does, made for one residency of it. */
export interface Program {
  readonly body: (branch: Branch) => Effect.Effect<BodyEnd>
  /** Absent where there is nothing to do. */
  readonly always?: (branch: Branch, status: string) => Effect.Effect<void>
}

interface Outcome {
  readonly status: "completed" | "failed" | "cancelled"
  readonly error: string | null
  readonly result: unknown
}

// SAFETY: `@` is encoded in keys, so no step has these paths.
const bodyPath = "/@body" as StepPath
const alwaysPath = "/@always" as StepPath

export class RunMain {
  readonly #body: Branch
  readonly #always: Branch
  #fiber: Fiber.RuntimeFiber<unknown> | undefined
  #phase: "body" | "always" | "end" = "body"

  constructor(
    readonly run: RunContext,
    private readonly program: Program
  ) {
    this.#body = Branch.root(run, "")
    this.#always = Branch.root(run, alwaysPath)
  }

  /** Ends when the run has ended or was stopped silently. */
  readonly main: Effect.Effect<void> = Effect.uninterruptible(
    Effect.gen(this, function* () {
      if (this.#cancelledBeforeStart()) return yield* this.run.flush
      this.#begin()
      const unlisten = this.run.listen("run", () => this.#takeMessages())
      const disarm = this.#armDeadline()
      this.#takeMessages()
      const outcome = yield* this.#runBody()
      disarm()
      if (outcome !== undefined && (yield* this.#runAlways(outcome))) this.#end(outcome)
      unlisten()
      this.#park()
      yield* this.run.flush
    })
  ).pipe(Effect.catchAllCause((cause) => this.#crashed(cause)))

  /** Interrupts what runs now; the reason is set. */
  interrupt(): void {
    const fiber = this.#fiber
    if (fiber !== undefined) fiber.unsafeInterruptAsFork(fiber.id())
  }

  /** Whether the run may be recorded as waiting and be let go. */
  get mayWait(): boolean {
    return this.#phase !== "end" && this.run.silent === undefined && this.#branch.stopReason === undefined
  }

  get #branch(): Branch {
    return this.#phase === "always" ? this.#always : this.#body
  }

  // ---- start

  #cancelledBeforeStart(): boolean {
    const { run } = this
    const cancel = run.find("Cancel")
    if (run.record.status !== "pending" || cancel === undefined) return false
    const reason = reasonOf(cancel.message)
    run.append([run.consume([cancel.id])])
    this.#phase = "end"
    this.#recordEnd({ status: "cancelled", error: null, result: null }, describe(reason))
    return true
  }

  #begin(): void {
    const { run } = this
    const { record } = run
    const base = { timestamp: run.now(), run: run.id }
    if (record.startedAt === null) {
      const patch = { status: "running", startedAt: run.now() } as const
      const started = { workflow: record.workflow, parent: record.parent?.run ?? null, dryRun: record.dryRun }
      run.append([{ _tag: "Run", patch }], [{ _tag: "RunStarted", ...base, ...started }])
      return
    }
    const changes: Array<Change> = []
    if (record.status === "pending" || record.status === "needs_resume") {
      changes.push({ _tag: "Run", patch: { status: "running", error: null, blockedOn: [] } })
      changes.push(...run.tellParent((path) => ({ _tag: "ChildRunning", child: run.id, path })))
    }
    if (record.cancelReason !== null && record.status === "cancelling")
      this.#body.stop(parseReason(record.cancelReason))
    run.append(changes, [{ _tag: "RunResumed", ...base, epoch: record.epoch }])
  }

  #armDeadline(): () => void {
    const { runTimeout } = this.run.record.settings
    const { startedAt } = this.run.record
    if (runTimeout === null || startedAt === null) return () => undefined
    const left = startedAt + runTimeout - this.run.now()
    return this.run.host.deadlines.arm(left, () => this.#stopBody({ _tag: "RunTimeout" }))
  }

  // ---- messages to the run as a whole

  #takeMessages(): void {
    const { run } = this
    for (let found = run.find("Cancel"); found !== undefined; found = run.find("Cancel")) {
      const consumed = run.consume([found.id])
      const reason = reasonOf(found.message)
      const isNew = this.#phase === "body" && run.record.status !== "cancelling" && run.row(bodyPath) === undefined
      if (!isNew) run.append([consumed])
      else {
        const patch = { status: "cancelling", cancelReason: describe(reason), blockedOn: [] } as const
        run.append([consumed, { _tag: "Run", patch }])
        this.#stopBody(reason)
      }
    }
  }

  #stopBody(reason: StopReason): void {
    if (this.#phase !== "body") return
    this.#body.stop(reason)
    this.interrupt()
  }

  // ---- body

  /** The body's outcome; undefined if the run was stopped silently. */
  #runBody(): Effect.Effect<Outcome | undefined> {
    const known = this.run.row(bodyPath)
    // A body whose outcome is known is replayed for what always sees of it; nothing new starts.
    if (known !== undefined) this.#body.stop({ _tag: "Parent" })
    return Effect.flatMap(this.#fork(this.program.body(this.#body)), (exit) =>
      Effect.sync(() => {
        if (this.run.silent !== undefined) return undefined
        // SAFETY: written by `#recordBody`.
        if (known !== undefined) return known.value as Outcome
        const outcome = this.#outcomeOf(exit)
        this.#recordBody(outcome)
        return outcome
      })
    )
  }

  #outcomeOf(exit: Exit.Exit<BodyEnd>): Outcome {
    const reason = this.#body.stopReason
    if (reason?._tag === "RunTimeout") {
      return {
        status: "failed",
        error: `the run timed out after ${this.run.record.settings.runTimeout} ms`,
        result: null
      }
    }
    if (reason !== undefined) return { status: "cancelled", error: null, result: null }
    if (Exit.isSuccess(exit)) return exit.value
    if (Cause.isInterruptedOnly(exit.cause)) return { status: "failed", error: "the run was interrupted", result: null }
    return { status: "failed", error: this.#panicked(exit.cause), result: null }
  }

  #recordBody(outcome: Outcome): void {
    const status = outcome.status === "completed" ? "completed" : outcome.status
    this.run.put(newRow(this.run, { path: bodyPath, kind: "phase", name: "body", status, value: outcome }))
  }

  /** Runs an effect in a fiber of its own, which only this module interrupts. */
  #fork<A>(effect: Effect.Effect<A>): Effect.Effect<Exit.Exit<A>> {
    return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) => {
      this.#fiber = fiber
      if (this.run.silent !== undefined || this.#interruptsAtOnce) this.interrupt()
      return Effect.async<Exit.Exit<A>>((resume) => fiber.addObserver((exit) => resume(Effect.succeed(exit))))
    })
  }

  /** A stop that came before the fiber did; a replayed cancellation is left to the primitives. */
  get #interruptsAtOnce(): boolean {
    return this.#branch.stopReason?._tag === "RunTimeout"
  }

  // ---- always

  /** Whether the run may end: its always block has run, or there is none. */
  #runAlways(outcome: Outcome): Effect.Effect<boolean> {
    const { run, program } = this
    this.#phase = "always"
    const { always } = program
    if (always === undefined || run.row(alwaysPath) !== undefined) return Effect.succeed(true)
    return Effect.gen(this, function* () {
      const limited = outcome.status === "cancelled"
      const limit = run.settings.alwaysLimit
      const disarm = limited ? run.host.deadlines.arm(limit, () => this.#stopAlways()) : () => undefined
      const exit = yield* this.#fork(always(this.#always, outcome.status))
      disarm()
      if (run.silent !== undefined) return false
      if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) this.#panicked(exit.cause)
      const status = Exit.isSuccess(exit) ? "completed" : "failed"
      const error = Exit.isSuccess(exit) ? null : `always did not finish within ${limit} ms`
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
    this.#phase = "end"
    this.#recordEnd(outcome, outcome.status === "cancelled" ? this.run.record.cancelReason : null)
  }

  #recordEnd(outcome: Outcome, cancelReason: string | null): void {
    const { run } = this
    const endedAt = run.now()
    const { status, error, result } = outcome
    const summary = summarize(run.record, userSteps(run), status, error ?? cancelReason)
    const patch = { status, error, result, summary, endedAt, cancelReason, blockedOn: [] }
    const told = run.tellParent((path) => ({ _tag: "ChildEnded", child: run.id, path }))
    const base = { timestamp: endedAt, run: run.id }
    const last: EngineEvent =
      status === "cancelled"
        ? { _tag: "RunCancelled", ...base, reason: cancelReason ?? "cancelled" }
        : { _tag: "RunCompleted", ...base, succeeded: status === "completed", status, error }
    const { totals } = run.record
    run.append([{ _tag: "Run", patch }, ...told], [{ _tag: "MetricsUpdated", ...base, totals }, last])
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
    return `defect: ${message}`
  }

  /** A defect in this module itself: the run is left to the next engine, like a crash of this one. */
  #crashed(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.run.silent !== undefined && Cause.isInterruptedOnly(cause)) return
      this.#panicked(cause)
      this.run.stopSilently({ _tag: "Misfit", message: messageOf(Cause.squash(cause)) ?? "a defect of the engine" })
      this.#park()
    })
  }
}

/** Parks a run: nobody claims it until somebody asks for it by id, or an engine starts that knows it anew. */
export const parkRun = (run: RunContext, message: string): void => {
  const status: RunStatus = "needs_resume"
  const told = run.tellParent((path) => ({ _tag: "ChildWaiting", child: run.id, path, blockedOn: [] }))
  const event: EngineEvent = { _tag: "RunWaiting", timestamp: run.now(), run: run.id, on: [`needs resume: ${message}`] }
  run.append([{ _tag: "Run", patch: { status, error: message } }, ...told], [event])
}

const userSteps = (run: RunContext): ReadonlyArray<StepRecord> =>
  [...run.writer.live.values()].filter((step) => isUserStep(step.kind)).sort((a, b) => a.position - b.position)

const reasonOf = (message: { readonly reason: "user" | "parent"; readonly text: string | null }): StopReason =>
  message.reason === "parent" ? { _tag: "Parent" } : { _tag: "User", text: message.text }

/** The reason in a record, after a restart. */
const parseReason = (text: string): StopReason => {
  if (text === describe({ _tag: "Parent" })) return { _tag: "Parent" }
  const prefix = describe({ _tag: "User", text: "" })
  return { _tag: "User", text: text.startsWith(prefix) ? text.slice(prefix.length) : null }
}
