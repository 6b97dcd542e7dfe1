/**
 * A clock that stands still while anything is at work and jumps to the next deadline when nothing is: runs that wait
 * for hours end within milliseconds, in the same order.
 *
 * Work is what microtasks and immediates do: a memory store, fibers, `setImmediate`. Real processes and files are not
 * waited for: use the real clock with them.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Timer, TimerQueue } from "./TimerQueue.ts"

interface Sleeper extends Timer {
  readonly wake: () => void
}

/** Rounds of the event loop without a deadline fired before the next one is. */
const quietRounds = 3

export class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())
  readonly #sleepers = new TimerQueue<Sleeper>()
  #passed = 0
  #order = 0
  #rounds = 0
  #immediate: NodeJS.Immediate | undefined
  #isStopped = false

  /** `start`: ms since the epoch. */
  constructor(private readonly start: number = Date.UTC(2030, 0, 1)) {}

  unsafeCurrentTimeMillis(): number {
    return Math.floor(this.start + this.#passed)
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.#passed * 1_000)) * 1_000n
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const sleeper: Sleeper = {
        at: this.#passed + Duration.toMillis(duration),
        order: this.#order++,
        wake: () => resume(Effect.void)
      }
      this.#sleepers.add(sleeper)
      this.#run()
      return Effect.sync(() => this.#sleepers.remove(sleeper))
    })
  }

  /** Fires nothing any more. */
  stop(): void {
    this.#isStopped = true
    this.#sleepers.clear()
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
    this.#immediate = undefined
  }

  #run(): void {
    if (this.#isStopped || this.#immediate !== undefined || this.#sleepers.size === 0) return
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined
      this.#round()
      this.#run()
    })
  }

  #round(): void {
    this.#rounds += 1
    if (this.#rounds < quietRounds) return
    this.#rounds = 0
    const next = this.#sleepers.take()
    if (next === undefined) return
    this.#passed = Math.max(this.#passed, next.at)
    next.wake()
  }
}

/** Runs an effect, and all that it starts, on a virtual clock of its own. */
export const withVirtualClock = <A, E, R>(effect: Effect.Effect<A, E, R>, start?: number): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new VirtualClock(start)),
    (clock) => Effect.withClock(effect, clock),
    (clock) => Effect.sync(() => clock.stop())
  )
