/**
 * Virtual time, and what happens next: the one place where a simulation chooses.
 *
 * - V1 One thing happens at a time, in `step`: a fiber of a process goes on, or a timer fires. Nothing else runs.
 * - V2 Each choice is drawn from the seed, so a seed gives the same log each time.
 * - V3 Time stands still while a process that runs has something to do.
 */
import { Seeded } from "../Seeded.ts"
import { type Timer, TimerQueue } from "../TimerQueue.ts"
import type { SimulatedProcess } from "./SimulatedProcess.ts"

export interface WorldTimer extends Timer {
  /** Whose clock it is; undefined: the world's own. */
  readonly process: SimulatedProcess | undefined
  readonly fire: () => void
  /** It was due while its process was frozen. */
  isLate: boolean
}

/** Wall-clock time at the beginning, ms. */
const beginning = Date.UTC(2030, 0, 1)

/** How often a timer that is due overtakes fibers that could go on, where the order is left open. */
const overtaking = 0.3

export class World {
  readonly random: Seeded
  /** What happened, one line each. */
  readonly log: Array<string> = []
  /** What was wrong, in the order in which it was found. */
  readonly violations: Array<string> = []
  readonly #timers = new TimerQueue<WorldTimer>()
  readonly #processes: Array<SimulatedProcess> = []
  #now = 0
  #steps = 0

  constructor(
    seed: number,
    /** Fibers go on in the order in which they could, as in Node, and timers wait for them; otherwise in any order. */
    private readonly isInOrder: boolean
  ) {
    this.random = new Seeded(seed)
  }

  /** ms since the beginning; also the monotonic clock of every process. */
  get now(): number {
    return this.#now
  }

  /** Wall-clock time where clocks are right, ms since the epoch. */
  get wall(): number {
    return beginning + this.#now
  }

  get steps(): number {
    return this.#steps
  }

  join(process: SimulatedProcess): void {
    this.#processes.push(process)
  }

  note(who: string, what: string): void {
    this.log.push(`${this.#now} ${who} ${what}`)
  }

  /** Something that must not happen did. */
  violated(what: string): void {
    this.violations.push(what)
    this.note("violation:", what)
  }

  /** Fires after some ms, unless the returned function is called before. */
  after(delay: number, fire: () => void, process?: SimulatedProcess): () => void {
    const timer: WorldTimer = {
      at: this.#now + Math.max(0, delay),
      order: this.random.next(),
      process,
      fire,
      isLate: false
    }
    this.#timers.add(timer)
    return () => {
      this.#timers.remove(timer)
      process?.forget(timer)
    }
  }

  /**
   * Puts a timer back that a process could not take when it was due. It overtakes nothing: as in Node, what one makes go
   * on does so before the next.
   */
  restore(timer: WorldTimer): void {
    timer.isLate = true
    this.#timers.add(timer)
  }

  /** Lets one thing happen; whether there was one. */
  step(): boolean {
    const next = this.#timers.next
    const ready = this.#processes.filter((process) => process.isReady)
    const isDue = next !== undefined && next.at <= this.#now && !next.isLate
    if (ready.length > 0 && !(isDue && !this.isInOrder && this.random.chance(overtaking))) {
      this.#steps += 1
      const chosen = ready[this.random.between(0, ready.length - 1)]
      chosen?.goOn(this.isInOrder ? 0 : this.random.next())
      return true
    }
    if (next === undefined) return false
    this.#steps += 1
    this.#timers.take()
    this.#now = Math.max(this.#now, next.at)
    if (next.process === undefined) next.fire()
    else next.process.due(next)
    return true
  }
}
