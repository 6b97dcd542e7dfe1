/**
 * Fibers that begin in their parent's turn, and the scope of an attempt.
 *
 * What runs at once must cost next to nothing: a fiber runs up to its first wait as it is forked, so that what it writes
 * joins its parent's commit, and a scope is made only when something is acquired (design.md, "Costs to know").
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { pipeArguments } from "effect/Pipeable"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"

/**
 * Forks an effect that has run up to its first wait when this succeeds; interruptible or not as its parent is. `within`:
 * its context, from its parent's.
 */
export const forkNow = <A, E, R, R2>(
  effect: Effect.Effect<A, E, R>,
  within: (own: Context.Context<R2>) => Context.Context<R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R2> =>
  Effect.map(Effect.runtime<R2>(), ({ context, runtimeFlags, fiberRefs }) =>
    Runtime.runFork(Runtime.make({ context: within(context), runtimeFlags, fiberRefs }), effect)
  )

/**
 * Forks an effect that gets a Scope of its own, closed when it ends. It is interruptible, inherits what a forked fiber
 * inherits, and has run up to its first wait when this succeeds.
 */
export const forkAttempt = <A, E, R>(
  effect: Effect.Effect<A, E, R | Scope.Scope>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, Exclude<R, Scope.Scope>> =>
  Effect.map(Effect.runtime<Exclude<R, Scope.Scope>>(), ({ context, runtimeFlags, fiberRefs }) => {
    const scope = new LazyScope()
    const closed = Effect.matchCauseEffect(Effect.interruptible(effect), {
      onFailure: (cause) => scope.closeWith(Exit.failCause(cause)),
      onSuccess: (value) => scope.closeWith(Exit.succeed(value))
    })
    // SAFETY: of R only the scope was missing from the caller's context.
    const full = Context.add(context, Scope.Scope, scope) as Context.Context<R | Scope.Scope>
    const runtime = Runtime.make({ context: full, runtimeFlags, fiberRefs })
    return Runtime.runFork(runtime, Effect.uninterruptible(closed))
  })

/** A scope that is made when something is first added to it. */
class LazyScope implements Scope.CloseableScope {
  readonly [Scope.ScopeTypeId]: Scope.ScopeTypeId = Scope.ScopeTypeId
  readonly [Scope.CloseableScopeTypeId]: Scope.CloseableScopeTypeId = Scope.CloseableScopeTypeId
  readonly strategy = ExecutionStrategy.sequential
  #scope: Scope.CloseableScope | undefined
  #exit: Exit.Exit<unknown, unknown> | undefined

  addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    return Effect.suspend(() => Scope.addFinalizerExit(this.#made(), finalizer))
  }

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.suspend(() => Scope.fork(this.#made(), strategy))
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#exit ??= exit
      return this.#scope === undefined ? Effect.void : Scope.close(this.#scope, exit)
    })
  }

  /** Closes it, and gives the exit. */
  closeWith<A, E>(exit: Exit.Exit<A, E>): Effect.Effect<A, E> {
    this.#exit ??= exit
    return this.#scope === undefined ? exit : Effect.zipRight(Scope.close(this.#scope, exit), exit)
  }

  pipe(): unknown {
    // biome-ignore lint/complexity/noArguments: the way in which Effect's own values are pipeable.
    return pipeArguments(this, arguments)
  }

  /** One that is made after the end is closed already: what is added to it is released at once. */
  #made(): Scope.CloseableScope {
    if (this.#scope === undefined) {
      this.#scope = Effect.runSync(Scope.make())
      if (this.#exit !== undefined) Effect.runSync(Scope.close(this.#scope, this.#exit))
    }
    return this.#scope
  }
}
