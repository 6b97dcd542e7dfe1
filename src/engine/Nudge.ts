/**
 * A wait that ends after a time or when somebody asks; who asks while nobody waits ends the next wait at once.
 */
import * as Effect from "effect/Effect"
import type { Deadlines } from "./Deadlines.ts"

export class Nudge {
  #isAsked = false
  #wake: (() => void) | undefined

  constructor(private readonly deadlines: Deadlines) {}

  now(): void {
    if (this.#wake === undefined) this.#isAsked = true
    else this.#wake()
  }

  /** At most `delay` ms. */
  wait(delay: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.#isAsked) {
        this.#isAsked = false
        return resume(Effect.void)
      }
      const disarm = this.deadlines.arm(delay, () => this.now())
      const leave = () => {
        this.#wake = undefined
        disarm()
      }
      this.#wake = () => {
        leave()
        resume(Effect.void)
      }
      return Effect.sync(leave)
    })
  }
}
