/**
 * A process's view of the store: operations take time, are refused, or succeed without the process hearing of it.
 *
 * A process makes its writes itself, as with SQLite: while it is frozen they stand still, and when it dies those under
 * way were made or were not.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { PersistenceError, type PersistenceService } from "../../persistence/Persistence.ts"
import { intercept, type WriteName } from "../CrashPoints.ts"
import type { SimulatedProcess } from "./SimulatedProcess.ts"
import type { Tally } from "./Tally.ts"
import type { World } from "./World.ts"

type Reason = PersistenceError["reason"]

/** Probabilities, for each operation. */
export interface StoreFaults {
  readonly slow: number
  /** Of a slow write, ms. */
  readonly longest: number
  readonly refused: number
  /** Written, and answered with an error. */
  readonly unanswered: number
  readonly readRefused: number
  readonly hintMissed: number
}

export const noFaults: StoreFaults = {
  slow: 0,
  longest: 0,
  refused: 0,
  unanswered: 0,
  readRefused: 0,
  hintMissed: 0
}

/** What all processes share: the store itself may be out of order for a while. */
export interface StoreWeather {
  faults: StoreFaults
  /** Why every operation (or, of a full disk, every write) fails now. */
  trouble: Reason | undefined
}

export class FaultyStore {
  readonly service: PersistenceService
  /** Writes that have been asked for and not made. */
  readonly #underWay = new Set<() => void>()

  constructor(
    store: PersistenceService,
    private readonly process: SimulatedProcess,
    private readonly world: World,
    private readonly weather: StoreWeather,
    private readonly tally: Tally
  ) {
    const service = intercept(store, { write: this.#write, read: this.#read })
    this.service = { ...service, changes: Stream.filter(store.changes, () => !this.#missesHint()) }
  }

  /** The process dies: of the writes under way some were made. */
  cutOff(): void {
    for (const make of this.#underWay) {
      this.tally.add("write cut off by a crash")
      if (this.world.random.chance(0.5)) make()
    }
    this.#underWay.clear()
  }

  readonly #write = <A, E>(name: WriteName, effect: Effect.Effect<A, E>): Effect.Effect<A, E | PersistenceError> =>
    Effect.suspend(() => {
      const { faults } = this.weather
      const { random } = this.world
      const before = this.#delay()
      const after = this.#delay()
      const reason = this.weather.trouble ?? (random.chance(faults.refused) ? transient(random.next()) : undefined)
      const isUnanswered = reason === undefined && random.chance(faults.unanswered)
      const made = reason === undefined ? this.#make(effect, before) : this.#refuse(name, reason)
      if (before + after === 0 && reason === undefined && !isUnanswered) return made
      const answered = isUnanswered ? Effect.zipRight(Effect.exit(made), this.#hide(name)) : made
      const timed = after === 0 ? answered : Effect.zipLeft(answered, Effect.sleep(after))
      return Effect.uninterruptible(before === 0 ? timed : Effect.zipRight(Effect.sleep(before), timed))
    })

  /** Makes a write that was asked for `before` ms ago, unless the process died meanwhile. */
  #make<A, E>(effect: Effect.Effect<A, E>, before: number): Effect.Effect<A, E | PersistenceError> {
    const living = Effect.suspend(
      (): Effect.Effect<A, E | PersistenceError> => (this.process.isBuried ? Effect.fail(gone) : effect)
    )
    if (before === 0) return living
    const make = () => void Effect.runSyncExit(effect)
    this.#underWay.add(make)
    return Effect.suspend(() => {
      this.#underWay.delete(make)
      return living
    })
  }

  #refuse(name: WriteName, reason: Reason): Effect.Effect<never, PersistenceError> {
    return Effect.suspend(() => {
      if (this.process.isBuried) return Effect.fail(gone)
      this.tally.add("write refused")
      this.world.note(this.process.name, `${name} refused: ${reason}`)
      return Effect.fail(new PersistenceError({ reason, message: "the simulated store refuses" }))
    })
  }

  #hide(name: WriteName): Effect.Effect<never, PersistenceError> {
    return Effect.suspend(() => {
      if (this.process.isBuried) return Effect.fail(gone)
      this.tally.add("write answered wrongly")
      this.world.note(this.process.name, `${name} made, answered with an error`)
      return Effect.fail(new PersistenceError({ reason: "Io", message: "the simulated store lost its answer" }))
    })
  }

  readonly #read = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | PersistenceError> =>
    Effect.suspend((): Effect.Effect<A, E | PersistenceError> => {
      if (this.process.isBuried) return Effect.fail(gone)
      const { faults, trouble } = this.weather
      const isRefused = trouble === "Busy" || trouble === "Io" || this.world.random.chance(faults.readRefused)
      if (!isRefused) return effect
      this.tally.add("read refused")
      return Effect.fail(new PersistenceError({ reason: trouble ?? "Io", message: "the simulated store refuses" }))
    })

  #delay(): number {
    const { random } = this.world
    const { faults } = this.weather
    if (this.process.isBuried || !random.chance(faults.slow)) return 0
    this.tally.add("write slow")
    // Most are short beside the longest.
    return Math.ceil(faults.longest * random.next() ** 3)
  }

  #missesHint(): boolean {
    if (!this.world.random.chance(this.weather.faults.hintMissed)) return false
    this.tally.add("hint missed")
    return true
  }
}

const transient = (draw: number): Reason => (draw < 0.4 ? "Busy" : draw < 0.7 ? "Io" : "Full")

/** Of no kind that is tried again: nothing comes back to a dead process. */
const gone = new PersistenceError({ reason: "Other", message: "the process of this store is dead" })
