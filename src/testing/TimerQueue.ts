/**
 * Timers of a virtual clock, the nearest first.
 */
export interface Timer {
  /** ms */
  readonly at: number
  /** Which of those that are due at the same time comes first. */
  readonly order: number
}

export class TimerQueue<T extends Timer> {
  readonly #timers: Array<T> = []

  get size(): number {
    return this.#timers.length
  }

  /** The nearest one. */
  get next(): T | undefined {
    return this.#timers[0]
  }

  add(timer: T): void {
    let at = this.#timers.length
    while (at > 0 && isAfter(this.#timers[at - 1], timer)) at -= 1
    this.#timers.splice(at, 0, timer)
  }

  remove(timer: T): void {
    const at = this.#timers.indexOf(timer)
    if (at !== -1) this.#timers.splice(at, 1)
  }

  take(): T | undefined {
    return this.#timers.shift()
  }

  clear(): void {
    this.#timers.length = 0
  }
}

const isAfter = (one: Timer | undefined, other: Timer): boolean =>
  one !== undefined && (one.at > other.at || (one.at === other.at && one.order > other.order))
