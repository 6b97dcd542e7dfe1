/**
 * Waiting until runs have ended, wherever they live.
 *
 * - X1 Who waits for a run is told when it leaves this engine, and of no other run: what waiting costs does not grow
 *   with how many wait.
 * - X2 Runs that live elsewhere are looked at when the store gives a hint and each second, by one fiber for all of them,
 *   which takes no more than one part in 25 of the time.
 * - X3 Nothing is held for a run that nobody waits for: no fiber, no timer, no place here.
 * - X4 Who waits for a run that stands still (`Standstill`) is told why, once, and goes on waiting.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import type { PersistenceError, PersistenceService, RunNotFound } from "../persistence/Persistence.ts"
import { isEnded, type RunId, type RunRecord } from "../persistence/Records.ts"
import type { Deadlines } from "./Deadlines.ts"
import { Nudge } from "./Nudge.ts"
import { Once } from "./Once.ts"
import { isSame, lasting, type Standstill, standstillOf, type Told, tellingOnce } from "./Standstill.ts"

export interface AwaitedOptions {
  readonly persistence: PersistenceService
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  readonly runtime: Runtime.Runtime<never>
  /** Waits until a run is not here (any longer); its record, if it ended here meanwhile. */
  readonly untilGone: (run: RunId) => Effect.Effect<RunRecord | undefined>
  /** Whether a program that is registered here can run it. */
  readonly accepts: (run: RunRecord) => boolean
}

/** What those who wait are told; undefined: the run is worth another look. */
type News = { readonly ended: RunRecord } | { readonly standstill: Standstill } | undefined

/** Those who wait for one run. */
interface Waiters {
  readonly told: Once<News>
  count: number
  /** It does not live here. */
  isElsewhere: boolean
  /** What all of them have been told of (X4). */
  known: Standstill | undefined
  readonly lasting: ReturnType<typeof lasting>
}

/** Between two looks, without a hint; ms. */
const interval = 1_000

/** After a look nothing is looked at for this many times as long as it took. */
const rest = 24

export class Awaited {
  readonly #runs = new Map<RunId, Waiters>()
  readonly #nudge: Nudge
  #isWatched = false

  constructor(private readonly options: AwaitedOptions) {
    this.#nudge = new Nudge(options.deadlines)
  }

  /** Waits until a run ends. `told`: X4. */
  end(run: RunId, told: Told = () => Effect.void): Effect.Effect<RunRecord, RunNotFound | PersistenceError> {
    // Mostly it ends where it is: nothing else is asked, and nobody need tell.
    return Effect.flatMap(this.options.untilGone(run), (ended) =>
      ended === undefined ? this.#end(run, tellingOnce(told), undefined) : Effect.succeed(ended)
    )
  }

  #end(
    run: RunId,
    tell: ReturnType<typeof tellingOnce>,
    known: Standstill | undefined
  ): Effect.Effect<RunRecord, RunNotFound | PersistenceError> {
    return Effect.suspend(() => {
      // Joined before the look, so that it is told of what happens during it.
      const waiters = this.#join(run, known)
      const news = Effect.flatMap(
        this.#look(run),
        (record): Effect.Effect<News> =>
          isEnded(record.status) ? Effect.succeed({ ended: record }) : this.#untilTold(waiters)
      )
      const left = Effect.sync(() => this.#leave(run, waiters))
      return Effect.flatMap(Effect.ensuring(news, left), (told) => {
        if (told === undefined) return this.#end(run, tell, known)
        if ("ended" in told) return Effect.succeed(told.ended)
        return Effect.zipRight(tell(told.standstill), this.#end(run, tell, told.standstill))
      })
    })
  }

  /** What is known here is taken up as soon as there is room. */
  #standstillOf(record: RunRecord, now: number): Standstill | undefined {
    const standstill = standstillOf(record, now)
    return standstill?._tag === "NotTaken" && this.options.accepts(record) ? undefined : standstill
  }

  /** A run has left this engine; with its record, if it ended here. */
  tell(run: RunId, ended: RunRecord | undefined): void {
    this.#tell(run, ended === undefined ? undefined : { ended })
  }

  #tell(run: RunId, news: News): void {
    const waiters = this.#runs.get(run)
    if (waiters === undefined) return
    this.#runs.delete(run)
    waiters.told.done(Exit.succeed(news))
  }

  #join(run: RunId, known: Standstill | undefined): Waiters {
    const waiters = this.#runs.get(run) ?? newWaiters(known)
    this.#runs.set(run, waiters)
    waiters.count += 1
    if (!isSame(waiters.known, known)) waiters.known = undefined
    return waiters
  }

  #leave(run: RunId, waiters: Waiters): void {
    waiters.count -= 1
    if (waiters.count === 0 && this.#runs.get(run) === waiters) this.#runs.delete(run)
    if (this.#isWatched && this.#runs.size === 0) this.#nudge.now()
  }

  #look(run: RunId): Effect.Effect<RunRecord, RunNotFound | PersistenceError> {
    const { persistence, untilGone } = this.options
    return Effect.flatMap(untilGone(run), (ended) =>
      ended === undefined ? persistence.get(run) : Effect.succeed(ended)
    )
  }

  #untilTold(waiters: Waiters): Effect.Effect<News> {
    return Effect.suspend(() => {
      waiters.isElsewhere = true
      if (!this.#isWatched) {
        this.#isWatched = true
        Runtime.runFork(this.options.runtime)(this.#watch)
      }
      return waiters.told.await
    })
  }

  /** X2, for as long as anybody waits. */
  readonly #watch: Effect.Effect<void> = Effect.suspend(() => {
    const hints = Stream.runForEach(this.options.persistence.changes, () => Effect.sync(() => this.#nudge.now()))
    return Effect.raceFirst(this.#watching, Effect.zipRight(hints, Effect.never))
  })

  readonly #watching: Effect.Effect<void> = Effect.gen(this, function* () {
    const { clock, deadlines } = this.options
    while (this.#runs.size > 0) {
      yield* this.#nudge.wait(interval)
      const began = clock.unsafeCurrentTimeMillis()
      yield* Effect.forEach([...this.#runs], ([run, waiters]) => this.#lookElsewhere(run, waiters), { discard: true })
      yield* deadlines.sleep(rest * (clock.unsafeCurrentTimeMillis() - began))
    }
    this.#isWatched = false
  })

  #lookElsewhere(run: RunId, waiters: Waiters): Effect.Effect<void> {
    if (!waiters.isElsewhere) return Effect.void
    return Effect.matchCause(this.options.persistence.get(run), {
      // They look themselves, and fail as that does.
      onFailure: () => this.tell(run, undefined),
      onSuccess: (record) => {
        if (isEnded(record.status)) return this.tell(run, record)
        const now = this.options.clock.unsafeCurrentTimeMillis()
        const standstill = waiters.lasting(this.#standstillOf(record, now), now)
        if (standstill !== undefined && !isSame(standstill, waiters.known)) this.#tell(run, { standstill })
      }
    })
  }
}

const newWaiters = (known: Standstill | undefined): Waiters => ({
  told: new Once(),
  count: 0,
  isElsewhere: false,
  known,
  lasting: lasting()
})
