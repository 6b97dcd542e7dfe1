/**
 * Taking back what a body did, when its run does not come to a good end (design.md, "Compensation").
 *
 * - V1 What has been done is a row (`undo`) from the moment it is done: the order of these rows, across branches, is the
 *   order of completion, and is gone through backwards.
 * - V2 What there is to take back is found by replaying the stopped body over the final journal, also without a crash: an
 *   interruption may fall between a step's end and its `undo` row.
 * - V3 Each undo is a block of the compensation phase: its steps are journaled, and its end is a row. One that fails does
 *   not hold up the others.
 * - V4 A row of what was done that the replay does not come to again is a replay that does not fit: the run is parked.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import type * as Scope from "effect/Scope"
import type { Branch } from "../engine/Branch.ts"
import { awaitWithin } from "../engine/Deadlines.ts"
import { isOfBody, undo as undoName } from "../engine/Phases.ts"
import type { Compensated, CompensationBranches } from "../engine/Program.ts"
import { passedOver } from "../engine/RecordedRows.ts"
import { fitting, journaled, newRow, type RunContext } from "../engine/RunContext.ts"
import type { Outcome } from "../engine/RunEnd.ts"
import { isTerminal, type StepPath, type StepRecord } from "../persistence/Records.ts"
import { asBranch } from "./BodyServices.ts"
import { logDefect } from "./Defects.ts"
import { describeCause } from "./WorkflowEnd.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

// ---- in the body

type UndoOf<A, R> = (value: A, cause: Cause.Cause<unknown>) => Effect.Effect<unknown, unknown, R>

/**
 * Says how to take back what an effect does. When the run fails, is cancelled or times out, the undos of all that was
 * done run in the reverse order of its completion, at any depth and across branches, before the run ends; each with the
 * value that its effect gave and the cause of the run's end.
 *
 * ```ts
 * const receipt = yield* Action.call(Charge, order).pipe(
 *   Workflow.withCompensation((receipt) => Action.call(Refund, receipt))
 * )
 * ```
 *
 * Undos are for the end of the run: an error that the body gets over undoes nothing, and neither does a race that is
 * lost. What should be taken back by itself is a child run (`Workflow.child`): that compensates what it did when it
 * fails, and nothing once it has completed, when an undo around it is all that counts.
 *
 * An undo runs as part of the run: its steps are journaled, retried as their actions say, and not cut short by a
 * cancellation. One that fails for good ends the run with `CompensationFailed`, after all others were tried; an explicit
 * resume then tries it again. A shutdown, a lost lease and a replay that does not fit undo nothing. Services that it
 * needs are those around the effect; it has a scope of its own.
 */
export const withCompensation: {
  <A, R2>(
    undo: UndoOf<A, R2>
  ): <E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | Exclude<R2, Scope.Scope> | WorkflowRun>
  <A, E, R, R2>(
    effect: Effect.Effect<A, E, R>,
    undo: UndoOf<A, R2>
  ): Effect.Effect<A, E, R | Exclude<R2, Scope.Scope> | WorkflowRun>
} = dual(
  2,
  <A, E, R, R2>(
    effect: Effect.Effect<A, E, R>,
    undo: UndoOf<A, R2>
  ): Effect.Effect<A, E, R | Exclude<R2, Scope.Scope> | WorkflowRun> =>
    Effect.gen(function* () {
      const branch = yield* currentBranch("withCompensation")
      const context = yield* Effect.context<Exclude<R2, Scope.Scope>>()
      const path = branch.reserve(undoName)
      const known = branch.run.row(path)
      if (known !== undefined) yield* fitting(branch.run, known, "value", undoName)
      passes.get(branch.root)?.entered()
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.tap(restore(effect), (value) =>
          Effect.suspend(() => done(branch, path, (cause) => provided(undo(value, cause), context)))
        )
      )
    })
)

const provided = <R>(
  effect: Effect.Effect<unknown, unknown, R>,
  context: Context.Context<Exclude<R, Scope.Scope>>
): Effect.Effect<unknown, unknown> =>
  // SAFETY: what the context lacks of R is the Scope, which `scoped` gives.
  Effect.provide(Effect.scoped(effect), context) as Effect.Effect<unknown, unknown>

type RunUndo = (cause: Cause.Cause<unknown>) => Effect.Effect<unknown, unknown>

interface Undo {
  readonly path: StepPath
  /** Of its row: the order of completion. */
  readonly position: number
  readonly run: RunUndo
}

/** One way through a body: the one that is executed, or the one that only looks for what was done (V2). */
class Pass {
  readonly undos: Array<Undo> = []
  hasAny = false

  constructor(private readonly isLooking: boolean) {}

  entered(): void {
    this.hasAny = true
  }

  /** The values of what was done are kept only where they are asked for. */
  found(undo: Undo): void {
    if (this.isLooking) this.undos.push(undo)
  }
}

/** By the root branch of the pass. */
const passes = new WeakMap<Branch, Pass>()

/** V1. A run that leaves its engine writes nothing any more: whoever goes on with it comes here again. */
const done = (branch: Branch, path: StepPath, undo: RunUndo): Effect.Effect<void> => {
  const { missed, run } = branch
  if (run.silent !== undefined) return Effect.void
  const known = run.row(path)
  // A body that does not fit would say of something that it was done, and the one that does could not find it.
  if (known === undefined && missed !== undefined) return run.misfit(passedOver(missed, `goes on to '${undoName}'`))
  const { position } = known ?? recordDone(branch, path)
  passes.get(branch.root)?.found({ path, position, run: undo })
  return Effect.void
}

const recordDone = ({ run, iteration }: Branch, path: StepPath): StepRecord => {
  const row = newRow(run, { path, kind: "value", name: undoName, status: "completed", iteration })
  run.put(row)
  return row
}

// ---- in the compensation phase

/** A body and the way back from what it did, for one residency of a run. */
export class Compensator {
  #executed: Pass | undefined

  constructor(
    private readonly run: RunContext,
    private readonly execute: (branch: Branch) => Effect.Effect<unknown>,
    private readonly causeOf: (outcome: Outcome) => Effect.Effect<Cause.Cause<unknown>>
  ) {}

  /** Executes the body. */
  body<A>(body: Effect.Effect<A>, branch: Branch): Effect.Effect<A> {
    return Effect.suspend(() => {
      this.#executed = new Pass(false)
      passes.set(branch, this.#executed)
      return body
    })
  }

  readonly compensate = (branches: CompensationBranches, outcome: Outcome): Effect.Effect<Compensated | undefined> =>
    Effect.gen(this, function* () {
      if (this.#hadNone(outcome)) return undefined
      const undos = yield* this.#look(branches.replay)
      if (undos.length === 0) return undefined
      const cause = yield* this.causeOf(outcome)
      const failures: Array<{ readonly path: StepPath; readonly message: string }> = []
      for (const undo of undos) {
        const message = yield* takeBack(branches.undo, undo, cause)
        if (message !== undefined) failures.push({ path: undo.path, message })
      }
      return failures.length === 0 ? { succeeded: true, outcome } : failed(outcome, failures)
    })

  /** The body was executed here to an end of its own, and never came to anything that has an undo. */
  #hadNone({ result }: Outcome): boolean {
    return result !== null && this.#executed?.hasAny === false && doneRows(this.run).length === 0
  }

  /** What was done, the latest first (V2, V4). */
  #look(branch: Branch): Effect.Effect<ReadonlyArray<Undo>> {
    const { run } = this
    return Effect.gen(this, function* () {
      const pass = new Pass(true)
      passes.set(branch, pass)
      if (!(yield* this.#replay(branch))) return yield* run.misfit(tooSlow(run))
      if (run.silent !== undefined) return yield* Effect.interrupt
      const found = new Set(pass.undos.map(({ path }) => path))
      const missed = doneRows(run).find(({ path }) => !found.has(path))
      if (missed !== undefined) return yield* run.misfit(`${missed.path} is recorded as done, ${cannotFind}`)
      return pass.undos.sort((a, b) => b.position - a.position)
    })
  }

  /** Whether the stopped body came to its end. */
  #replay(branch: Branch): Effect.Effect<boolean> {
    const { host, settings } = this.run
    const replayed = Effect.interruptible(Effect.as(Effect.exit(this.execute(branch)), true))
    return Effect.flatMap(Effect.forkDaemon(replayed), (fiber) =>
      awaitWithin(host.deadlines, fiber, settings.alwaysLimit).pipe(
        Effect.map((ended) => ended === true),
        Effect.onInterrupt(() => Fiber.interrupt(fiber))
      )
    )
  }
}

const cannotFind = "but the workflow does not come to it any more: nothing is taken back"

const tooSlow = (run: RunContext): string =>
  `the body could not be replayed for its compensations within ${run.settings.alwaysLimit} ms`

const doneRows = (run: RunContext): ReadonlyArray<StepRecord> =>
  [...run.writer.live.values()].filter(
    ({ kind, name, path }) => kind === "value" && name === undoName && isOfBody(path)
  )

/** V3. Why it failed for good; undefined when it was done. */
const takeBack = (parent: Branch, undo: Undo, cause: Cause.Cause<unknown>): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const { run } = parent
    const scope = undo.path.slice(1)
    const path = parent.at(scope)
    const known = yield* journaled(parent, path, "block", undoName)
    if (known !== undefined && isTerminal(known.status)) return known.error ?? undefined
    const row = known ?? newRow(run, { path, kind: "block", name: undoName, status: "running" })
    if (known === undefined) run.put(row)
    const exit = yield* Effect.exit(asBranch(undo.run(cause), parent.child(scope)))
    if (run.silent !== undefined) return yield* Effect.interrupt
    if (Exit.isFailure(exit) && Cause.isDie(exit.cause)) yield* logDefect(run, `the undo ${undo.path}`, exit.cause)
    const error = Exit.isSuccess(exit) ? null : run.shown(describeCause(exit.cause))
    run.put({ ...row, status: error === null ? "completed" : "failed", error, endedAt: run.now() })
    return error ?? undefined
  })

const failed = (
  { status, error: reason }: Outcome,
  failures: ReadonlyArray<{ readonly path: string; readonly message: string }>
): Compensated => {
  const why = reason ?? status
  const list = failures.map(({ path, message }) => `${path}: ${message}`).join("; ")
  const error = `CompensationFailed: ${list} (the run was compensated because: ${why})`
  const result = { _tag: "CompensationFailed", failures, reason: why }
  return { succeeded: false, outcome: { status: "failed", error, result } }
}
