/**
 * One heap for all timeouts, sleeps and heartbeats of an engine: an `Effect.timeout` each would cost more than the
 * step it guards (design.md, "Costs to know").
 *
 * D1 At most one timer is armed, for the nearest deadline; none when nothing is.
 * D2 No deadline is too far: the timer is armed anew before Node's limit of 2^31 ms.
 * D3 Deadlines count monotonic time, so a jump of the wall clock neither fires nor delays them.
 * D4 What is armed never fires before `arm` has returned.
 * D5 After a pause (a blocked event loop, a stopped process) what else was due goes first: an attempt that has reported
 *   progress in time, by a timer of its own, is not found silent.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"

/** Longest time one timer is armed for. */
const longestTimer = 2 ** 30

/** Deadlines this close fire by one timer, ms. */
const together = 1

interface Entry {
  readonly at: number
  fire: (() => void) | undefined
}

export class Deadlines {
  readonly #heap: Array<Entry> = []
  #live = 0
  #timer: Fiber.RuntimeFiber<void> | undefined
  #armedFor = Number.POSITIVE_INFINITY

  constructor(
    private readonly clock: Clock.Clock,
    private readonly runtime: Runtime.Runtime<never>
  ) {}

  /** Calls `fire` once, `delay` ms from now, unless the returned function is called before. */
  arm(delay: number, fire: () => void): () => void {
    const entry: Entry = { at: this.now() + Math.max(0, delay), fire }
    push(this.#heap, entry)
    this.#live += 1
    if (entry.at < this.#armedFor) this.#rearm()
    return () => this.#cancel(entry)
  }

  /** Waits `delay` ms. */
  sleep(delay: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const cancel = this.arm(delay, () => resume(Effect.void))
      return Effect.sync(cancel)
    })
  }

  /** Deadlines that are armed. */
  get size(): number {
    return this.#live
  }

  /** Monotonic, ms. */
  now(): number {
    return Number(this.clock.unsafeCurrentTimeNanos() / 1_000n) / 1_000
  }

  #cancel(entry: Entry): void {
    if (entry.fire === undefined) return
    entry.fire = undefined
    this.#live -= 1
    if (this.#live === 0) {
      this.#heap.length = 0
      this.#disarm()
    } else if (this.#heap.length > 64 && this.#heap.length > 2 * this.#live) this.#compact()
  }

  #compact(): void {
    const live = this.#heap.filter((entry) => entry.fire !== undefined)
    this.#heap.length = 0
    for (const entry of live) push(this.#heap, entry)
  }

  #disarm(): void {
    const timer = this.#timer
    this.#timer = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    if (timer !== undefined) Runtime.runFork(this.runtime)(Fiber.interruptFork(timer))
  }

  #rearm(): void {
    this.#disarm()
    while (this.#heap[0] !== undefined && this.#heap[0].fire === undefined) pop(this.#heap)
    const nearest = this.#heap[0]
    if (nearest === undefined) return
    this.#armedFor = Math.max(nearest.at, this.now())
    const delay = Math.min(longestTimer, Math.max(0, Math.ceil(nearest.at - this.now())))
    const sleep = this.clock.sleep(Duration.millis(delay))
    // D4: a clock of tests has slept 0 ms at once.
    const wait = Effect.zipRight(
      delay === 0 ? Effect.zipRight(Effect.yieldNow(), sleep) : sleep,
      Effect.sync(() => this.#due())
    )
    this.#timer = Runtime.runFork(this.runtime)(wait)
  }

  #due(): void {
    // What became due later than the timer was set for is left to the next one.
    const until = Math.min(this.now(), this.#armedFor + together)
    this.#timer = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      pop(this.#heap)
      const fire = next.fire
      next.fire = undefined
      if (fire === undefined) continue
      this.#live -= 1
      fire()
    }
    if (this.#armedFor === Number.POSITIVE_INFINITY) this.#rearm()
  }
}

/** The value of a fiber that ends in time; one that does not is interrupted and left. */
export const awaitWithin = <A, E>(
  deadlines: Deadlines,
  fiber: Fiber.RuntimeFiber<A, E>,
  limit: number
): Effect.Effect<A | undefined> =>
  Effect.async((resume) => {
    const observer = (exit: Exit.Exit<A, E>) => {
      disarm()
      resume(Effect.succeed(Exit.isSuccess(exit) ? exit.value : undefined))
    }
    const disarm = deadlines.arm(limit, () => {
      fiber.removeObserver(observer)
      fiber.unsafeInterruptAsFork(fiber.id())
      resume(Effect.succeed(undefined))
    })
    fiber.addObserver(observer)
  })

const push = (heap: Array<Entry>, entry: Entry): void => {
  let at = heap.push(entry) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    const above = heap[parent]
    if (above === undefined || above.at <= entry.at) break
    heap[at] = above
    at = parent
  }
  heap[at] = entry
}

const pop = (heap: Array<Entry>): void => {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    const left = 2 * at + 1
    if (left >= heap.length) break
    const right = left + 1
    const smaller = right < heap.length && atOf(heap, right) < atOf(heap, left) ? right : left
    if (atOf(heap, smaller) >= last.at) break
    heap[at] = heap[smaller] ?? last
    at = smaller
  }
  heap[at] = last
}

const atOf = (heap: ReadonlyArray<Entry>, index: number): number => heap[index]?.at ?? Number.POSITIVE_INFINITY
