/**
 * The lease of an engine: until when others leave its runs alone (design.md, "Ownership").
 *
 * - L1 One write renews it for all runs. It is renewed well before its end; a renewal that fails is tried again.
 * - L2 It counts by the monotonic clock here, and by the wall clock for others. Once it has ended every run is lost,
 *   even if nobody took one: what is still this engine's is claimed again after the next renewal.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { PersistenceError, PersistenceService } from "../persistence/Persistence.ts"
import type { EngineId } from "../persistence/Records.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { EngineSettings } from "./EngineConfig.ts"
import type { Host } from "./Host.ts"

export interface LeaseOptions {
  readonly engine: EngineId
  readonly host: Host
  readonly persistence: PersistenceService
  readonly settings: EngineSettings
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  /** The lease has ended: no run may go on. */
  readonly lost: () => void
  /** It holds again after it had ended. */
  readonly regained: () => void
  /** The store could not renew it. */
  readonly failed: (error: PersistenceError) => void
}

export class Lease {
  /** As it was written, wall clock. */
  #until = 0
  /** Monotonic ms; undefined before the first renewal. */
  #ends: number | undefined
  #isLost = false
  #disarm: () => void = () => undefined

  constructor(private readonly options: LeaseOptions) {}

  get holds(): boolean {
    return this.#ends !== undefined && this.#monotonic() < this.#ends
  }

  /** Registers the engine, or renews its lease, which counts from before the write. */
  readonly renew: Effect.Effect<void, PersistenceError> = Effect.suspend(() => {
    const { clock, engine, host, persistence, settings } = this.options
    const leaseUntil = clock.unsafeCurrentTimeMillis() + settings.leaseTtl
    const ends = this.#monotonic() + settings.leaseTtl
    return Effect.map(persistence.renewEngine({ id: engine, ...host, leaseUntil }), () => {
      this.#until = leaseUntil
      this.#ends = ends
      this.#watchEnd(ends)
    })
  })

  /** Renews for ever. */
  readonly keep: Effect.Effect<void> = Effect.suspend(() => {
    const { deadlines, settings } = this.options
    const tried = Effect.catchAll(Effect.as(this.renew, settings.leaseRefresh), (error) => {
      this.options.failed(error)
      return Effect.as(Effect.logWarning(`the engine's lease could not be renewed: ${error.message}`), 1_000)
    })
    const again = (delay: number): Effect.Effect<void> =>
      Effect.flatMap(deadlines.sleep(Math.min(delay, settings.leaseRefresh)), () => {
        this.#checkEnd()
        return Effect.flatMap(tried, (next) => {
          this.#checkRegained()
          return again(next)
        })
      })
    return again(settings.leaseRefresh)
  })

  /** Lets others take the runs at once; without it they wait for the lease's end. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.#disarm()
    return Effect.catchAll(this.options.persistence.expireEngine(this.options.engine, this.#until), (error) =>
      Effect.logWarning(`the engine's lease could not be ended: ${error.message}`)
    )
  })

  #monotonic(): number {
    return Number(this.options.clock.unsafeCurrentTimeNanos() / 1_000n) / 1_000
  }

  #watchEnd(ends: number): void {
    this.#disarm()
    this.#disarm = this.options.deadlines.arm(ends - this.#monotonic(), () => this.#checkEnd())
  }

  #checkEnd(): void {
    if (this.holds || this.#isLost) return
    this.#isLost = true
    this.options.lost()
  }

  #checkRegained(): void {
    if (!this.#isLost || !this.holds) return
    this.#isLost = false
    this.options.regained()
  }
}
