/**
 * Lets attempts wait for their turn where an action's limits ask for it (docs/typed.md, "Flow control").
 *
 * Owns: the lanes of one engine, one for each action that has limits and one for each key in use. Neighbours: `Step`
 * asks for a turn before an attempt does anything, and gives it back when the attempt has ended.
 * - Q1 At no time more attempts have a turn than each limit allows, and never more begin within a rate's interval.
 * - Q2 Turns are given in the order in which they were asked for: by key first, then by action. Who waits for a key
 *   keeps nobody of another key waiting.
 * - Q3 A turn that was given to somebody who was interrupted goes to the next.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { FlowLimits } from "../action/FlowLimits.ts"
import { textOf } from "../action/UserFunction.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { AttemptFailure } from "./StepSpec.ts"

/** What an attempt waits for before it begins. */
export interface Turn {
  /** Of its action. */
  readonly name: string
  readonly limits: FlowLimits<never>
  /** Of `perKey`, whatever its user's function gives; absent where there is none. */
  readonly key?: () => unknown
}

/** The turn of a call of this action, with these values; undefined: it waits for nothing. */
export const turnOf = <K>(name: string, limits: FlowLimits<K> | undefined, values: () => K): Turn | undefined => {
  if (limits === undefined) return undefined
  const { perKey } = limits
  return perKey === undefined ? { name, limits } : { name, limits, key: () => perKey.key(values()) }
}

export type LaneClock = Pick<Deadlines, "arm" | "now">

export class FlowControl {
  readonly #actions = new Map<string, Lane>()
  readonly #keys = new Map<string, Lane>()

  constructor(private readonly clock: LaneClock) {}

  /**
   * Waits for a turn; what it gives ends the turn. Interrupted while it waits, it has had none. Without a key it fails:
   * the attempt does, and none after it, whose key would be the same.
   */
  enter(turn: Turn): Effect.Effect<() => void, AttemptFailure> {
    return Effect.uninterruptible(
      Effect.flatMap(keyOf(turn), (key) => {
        let hasTurn = false
        let wake: (() => void) | undefined
        const leave = this.#ask(turn, key, () => {
          hasTurn = true
          wake?.()
        })
        if (hasTurn) return Effect.succeed(leave)
        const waited = Effect.async<void>((resume) => {
          wake = () => resume(Effect.void)
          if (hasTurn) wake()
        })
        return Effect.flatMap(Effect.exit(Effect.interruptible(waited)), (exit) => {
          if (Exit.isSuccess(exit)) return Effect.succeed(leave)
          leave()
          return Effect.failCause(exit.cause)
        })
      })
    )
  }

  /** Lanes of keys that somebody uses. */
  get keys(): number {
    return this.#keys.size
  }

  /** By key first: who has the key's turn waits for the action's in the place of all that wait for the key. */
  #ask(turn: Turn, value: string | null, go: () => void): () => void {
    const action = this.#actionLane(turn)
    if (value === null) return action.ask(go)
    const id = JSON.stringify([turn.name, value])
    const key = this.#keyLane(id, turn.limits)
    let leaveAction: (() => void) | undefined
    const leaveKey = key.ask(() => {
      leaveAction = action.ask(go)
    })
    return () => {
      leaveAction?.()
      leaveKey()
      if (key.isUnused) this.#keys.delete(id)
    }
  }

  #actionLane({ limits: { concurrency, rate }, name }: Turn): Lane {
    const known = this.#actions.get(name)
    if (known !== undefined) return known
    const interval = rate === undefined ? 0 : Duration.toMillis(rate.interval)
    const lane = new Lane(concurrency ?? unlimited, rate?.limit ?? unlimited, interval, this.clock)
    this.#actions.set(name, lane)
    return lane
  }

  #keyLane(id: string, { perKey }: FlowLimits<never>): Lane {
    const known = this.#keys.get(id)
    if (known !== undefined) return known
    const lane = new Lane(perKey?.concurrency ?? unlimited, unlimited, 0, this.clock)
    this.#keys.set(id, lane)
    return lane
  }
}

/** The key of a turn; null where its limits ask for none. */
const keyOf = ({ key, name }: Turn): Effect.Effect<string | null, AttemptFailure> =>
  key === undefined
    ? Effect.succeed(null)
    : Either.mapLeft(
        textOf(`the limit \`perKey.key\` of action '${name}'`, key),
        (message): AttemptFailure => ({ message, permanent: true })
      )

const unlimited = Number.POSITIVE_INFINITY

/** So many at once, and so many beginnings within an interval; the others wait in line. */
class Lane {
  readonly #waiting = new Set<() => void>()
  /** When those began that the rate still counts, the oldest first. */
  readonly #begun: Array<number> = []
  #active = 0
  #disarm: (() => void) | undefined

  constructor(
    private readonly capacity: number,
    private readonly limit: number,
    private readonly interval: number,
    private readonly clock: LaneClock
  ) {}

  /** Calls `go` when it is the caller's turn, perhaps at once. What it gives ends the turn, or the wait for it. */
  ask(go: () => void): () => void {
    let isOver = false
    this.#waiting.add(go)
    this.#advance()
    return () => {
      if (isOver) return
      isOver = true
      if (!this.#waiting.delete(go)) this.#active -= 1
      this.#advance()
    }
  }

  /** Nobody is in it or waits for it. */
  get isUnused(): boolean {
    return this.#active === 0 && this.#waiting.size === 0
  }

  #advance(): void {
    for (const go of this.#waiting) {
      if (!this.#hasRoom) break
      this.#waiting.delete(go)
      this.#active += 1
      if (this.limit !== unlimited) this.#begun.push(this.clock.now())
      go()
    }
    this.#armForRate()
  }

  get #hasRoom(): boolean {
    const horizon = this.clock.now() - this.interval
    while ((this.#begun[0] ?? unlimited) <= horizon) this.#begun.shift()
    return this.#active < this.capacity && this.#begun.length < this.limit
  }

  /** Wakes when the rate lets the first in line begin; only while there is one. */
  #armForRate(): void {
    this.#disarm?.()
    this.#disarm = undefined
    const [oldest] = this.#begun
    if (oldest === undefined || this.#waiting.size === 0 || this.#begun.length < this.limit) return
    this.#disarm = this.clock.arm(oldest + this.interval - this.clock.now(), () => this.#advance())
  }
}
