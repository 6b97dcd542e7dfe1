/**
 * What comes once, and who waits for it: of Effect's `Deferred` what the engine needs in each run, at a tenth of what
 * that takes to make (docs/performance.md).
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

export class Once<A, E = never> {
  #exit: Exit.Exit<A, E> | undefined
  /** None, mostly. */
  #waiting: Set<(exit: Exit.Exit<A, E>) => void> | undefined

  /** Only the first counts. */
  done(exit: Exit.Exit<A, E>): void {
    if (this.#exit !== undefined) return
    this.#exit = exit
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting !== undefined) for (const resume of waiting) resume(exit)
  }

  /** Waits until it is there; interruptible where its caller is. */
  readonly await: Effect.Effect<A, E> = Effect.suspend(() => this.#exit ?? this.#untilDone)

  get #untilDone(): Effect.Effect<A, E> {
    return Effect.async<A, E>((resume) => {
      // The fiber may have given way since it looked.
      if (this.#exit !== undefined) return resume(this.#exit)
      const waiting = (this.#waiting ??= new Set())
      waiting.add(resume)
      return Effect.sync(() => {
        waiting.delete(resume)
      })
    })
  }
}
