/**
 * The attempts of an action belong to the layer that supplies it (design.md, "Shutdown order"): when that closes, what
 * its handler is doing is interrupted and awaited, before what the handler uses is released.
 *
 * - A1 An attempt that is cut off like that has not failed: it stays as it is until its run leaves the engine, and is
 *   made again by whoever goes on with the run.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { EngineConfig } from "../engine/EngineConfig.ts"

/** Of one action, as one layer supplies it. */
export class InFlight {
  readonly #fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  #isClosed = false

  /** Closes with the scope; a handler that ignores its interruption is left behind after the engine's grace. */
  static readonly make: Effect.Effect<InFlight, never, Scope.Scope> = Effect.flatMap(EngineConfig, (settings) =>
    Effect.acquireRelease(
      Effect.sync(() => new InFlight()),
      (inFlight) => inFlight.#close(settings.interruptGrace)
    )
  )

  #close(grace: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#isClosed = true
      if (this.#fibers.size === 0) return Effect.void
      return Effect.asVoid(Effect.timeoutOption(Effect.disconnect(Fiber.interruptAll(this.#fibers)), grace))
    })
  }

  /** Runs what a handler does for one attempt. */
  during<A, E, R>(handling: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) => {
      if (this.#isClosed) return restore(Effect.never)
      return Effect.flatMap(Effect.fork(restore(handling)), (fiber) => {
        this.#fibers.add(fiber)
        const joined = Effect.onInterrupt(restore(Fiber.join(fiber)), () => Fiber.interrupt(fiber))
        const ended = Effect.ensuring(
          joined,
          Effect.sync(() => this.#fibers.delete(fiber))
        )
        // A1
        return Effect.catchAllCause(ended, (cause) =>
          this.#isClosed ? restore(Effect.never) : Effect.failCause(cause)
        )
      })
    })
  }
}
