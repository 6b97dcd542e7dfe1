/**
 * Branches that run side by side and are awaited together: parallel blocks, fan-outs, `all`, `race`.
 *
 * - F1 At most `limit` branches are active at once; they start in order.
 * - F2 After `stop`, no branch starts, and those in flight are interrupted and awaited, finalizers included.
 * - F3 Interrupted itself, it does the same; the reason is found up the chain of branches.
 * - W1 The branch that waits here is not active; those in flight are. Stopping them is work too: a run whose branches
 *   are parked, but interrupted, is not let go for what they were waiting for.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type { Branch } from "./Branch.ts"
import type { StopReason } from "./StopReason.ts"

export interface Task<A, R> {
  readonly branch: Branch
  /**
   * It begins even if it is stopped before its turn, and says itself where it can be interrupted: it may have something
   * to end that an engine before this one had started.
   */
  readonly alwaysBegins?: boolean
  readonly effect: Effect.Effect<A, never, R>
}

export interface ForkJoinOptions<A, R> {
  readonly parent: Branch
  readonly limit: number
  /** The join's end is in the journal: a stopped replay goes on behind it. */
  readonly isSettled?: boolean
  /** The next branch to start; undefined while none may (it is asked again when one ends), or no more. */
  readonly next: () => Task<A, R> | undefined
  /** Called as each branch ends with a value; a reason stops the others. */
  readonly ended: (branch: Branch, value: A) => StopReason | undefined
}

/** Succeeds when no branch is in flight and `next` gives none. A defect of a branch stops the others and dies. */
export const forkJoin = <A, R>(options: ForkJoinOptions<A, R>): Effect.Effect<void, never, R> =>
  Effect.uninterruptible(
    Effect.flatMap(Effect.runtime<R>(), (runtime) => {
      const join = new Join(options, runtime)
      return Effect.flatMap(join.start, () =>
        Effect.flatMap(Effect.exit(Effect.interruptible(Deferred.await(join.done))), (exit) => {
          // Branches that were stopped before they began leave nothing to interrupt.
          const isStopped = options.parent.stopReason !== undefined && options.isSettled !== true
          if (Exit.isSuccess(exit)) return join.result(isStopped)
          join.interruptAll()
          return Effect.zipRight(Deferred.await(join.done), join.result(true))
        })
      )
    })
  )

class Join<A, R> {
  readonly done = Deferred.unsafeMake<void>(FiberId.none)
  readonly #flying = new Map<Fiber.RuntimeFiber<A>, Branch>()
  #stopped = false
  /** Branches in flight are being stopped. */
  #isStopping = false
  #defect: Cause.Cause<never> | undefined

  constructor(
    private readonly options: ForkJoinOptions<A, R>,
    private readonly runtime: Runtime.Runtime<R>
  ) {}

  /** The parent's place among the active branches is the last branch's to hand back. */
  readonly start: Effect.Effect<void> = Effect.sync(() => {
    if (this.#startMore()) this.options.parent.run.addActive(-1)
  })

  result(interrupted: boolean): Effect.Effect<void> {
    if (this.#defect !== undefined) return Effect.failCause(this.#defect)
    return interrupted ? Effect.interrupt : Effect.void
  }

  interruptAll(): void {
    this.#stopped = true
    if (this.#flying.size > 0 && !this.#isStopping) {
      this.#isStopping = true
      this.options.parent.run.addActive(1)
    }
    for (const fiber of this.#flying.keys()) fiber.unsafeInterruptAsFork(fiber.id())
  }

  /** Whether any branch is in flight. */
  #startMore(): boolean {
    while (!this.#stopped && this.#flying.size < this.options.limit) {
      const task = this.options.next()
      if (task === undefined) break
      this.#launch(task)
    }
    if (this.#flying.size > 0) return true
    Deferred.unsafeDone(this.done, Exit.void)
    return false
  }

  #launch(task: Task<A, R>): void {
    const { run } = this.options.parent
    run.addActive(1)
    // The runtime was taken where nothing can be interrupted.
    const effect = task.alwaysBegins === true ? task.effect : Effect.interruptible(task.effect)
    const fiber = Runtime.runFork(this.runtime)(effect, { immediate: false })
    this.#flying.set(fiber, task.branch)
    fiber.addObserver((exit) => {
      this.#flying.delete(fiber)
      this.#ended(task.branch, exit)
      if (this.#startMore() || this.#isStopping) run.addActive(-1)
    })
  }

  #ended(branch: Branch, exit: Exit.Exit<A>): void {
    if (Exit.isSuccess(exit)) {
      const reason = this.options.ended(branch, exit.value)
      if (reason !== undefined) this.#stop(reason)
    } else if (!Cause.isInterruptedOnly(exit.cause)) {
      this.#defect ??= exit.cause
      this.interruptAll()
    }
  }

  #stop(reason: StopReason): void {
    for (const branch of this.#flying.values()) branch.stop(reason)
    this.interruptAll()
  }
}
