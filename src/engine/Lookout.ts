/**
 * Looking for work: messages for the runs here, and runs that nobody runs (spec/engine.md, "Durability").
 *
 * - K1 A hint that was missed costs time, nothing else: everything is a row, and looked at now and then in any case.
 * - K2 Only runs that a source here knows are claimed; without a watchdog, only those given to this engine and those
 *   below them.
 * - K3 A parked run is tried once for each source that is registered and knows it, unless it was parked because it
 *   kills its process.
 * - K4 (`Screening`) A source may look at runs before they are claimed for it.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Stream from "effect/Stream"
import type {
  Claim,
  ClaimReadyOptions,
  PersistenceError,
  PersistenceService,
  RunAlreadyEnded,
  RunAlreadyOwned,
  RunNotFound
} from "../persistence/Persistence.ts"
import type { EngineId, RunId, RunRecord, RunStatus } from "../persistence/Records.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { EngineSettings } from "./EngineConfig.ts"
import type { Processes } from "./Host.ts"
import type { Lease } from "./Lease.ts"
import { Nudge } from "./Nudge.ts"
import type { ProgramSource } from "./Program.ts"
import type { Residents } from "./Residents.ts"
import { Screening } from "./Screening.ts"

export type TakeError = RunNotFound | RunAlreadyOwned | RunAlreadyEnded | PersistenceError

export interface LookoutOptions {
  readonly id: EngineId
  readonly processes: Processes
  readonly persistence: PersistenceService
  readonly settings: EngineSettings
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  readonly lease: Lease
  readonly sources: ReadonlySet<ProgramSource>
  readonly residents: () => Residents
  /** The store could not be looked at. */
  readonly failed: (error: PersistenceError) => void
}

/** What a look claimed, and whether there may be more. */
interface Claimed {
  readonly claims: ReadonlyArray<Claim>
  readonly isMore: boolean
}

/** Somebody who waits for a look that began after another one, and found nothing to do. */
interface Idler {
  readonly after: number
  readonly done: Deferred.Deferred<void>
}

/** Statuses of runs that an engine may hold. */
const live: ReadonlyArray<RunStatus> = ["pending", "running", "waiting", "cancelling"]

/** Runs in one page of a list. */
const page = 200

/** ms after a failure of the store. */
const afterFailure = 1_000

/** Between two looks, however soon the next run is due; ms. */
const shortest = 5

export class Lookout {
  /** Without a watchdog, the runs given to this engine. */
  readonly #given = new Set<RunId>()
  readonly #nudge: Nudge
  #lastInbox = 0
  #nextBurial = 0
  #isStranded = false
  #nextRescue = 0
  /** Sources whose parked runs have not been tried. */
  readonly #untried = new Set<ProgramSource>()
  readonly #screening: Screening
  /** Looks that were begun. */
  #looks = 0
  readonly #idlers = new Set<Idler>()
  /** The last look had no room for anything. */
  #isFull = false

  constructor(private readonly options: LookoutOptions) {
    this.#nudge = new Nudge(options.deadlines)
    this.#screening = new Screening(options.sources)
  }

  /** The newest message that has been looked at. */
  get lastInbox(): number {
    return this.#lastInbox
  }

  // ---- what others say

  nudge(): void {
    this.#nudge.now()
  }

  /**
   * A run came or left. A look costs several queries, more than a short run: it is of use to those for whom there was no
   * room, and to those who wait for the last to leave. What a run that left made ready is told by the store.
   */
  roomChanged(): void {
    if (this.#isFull || this.#idlers.size > 0) this.nudge()
  }

  /** A run that somebody asked this engine to run. */
  give(run: RunId): void {
    if (!this.options.settings.watchdog) this.#given.add(run)
  }

  registered(source: ProgramSource): void {
    if (this.options.settings.watchdog) this.#untried.add(source)
    this.nudge()
  }

  unregistered(source: ProgramSource): void {
    this.#untried.delete(source)
  }

  stranded(): void {
    this.#strand()
    this.nudge()
  }

  /** Noticed while looking: the next look will do. */
  #strand(): void {
    this.#isStranded = true
  }

  // ---- claims

  /** Claims a run by its id. */
  claim(run: RunId): Effect.Effect<Claim, TakeError> {
    const { id, persistence } = this.options
    const claimed = Effect.suspend(() => persistence.claim(run, { engine: id, now: this.#now() }))
    return Effect.catchTag(claimed, "RunAlreadyOwned", () => Effect.zipRight(this.#buryDead, claimed))
  }

  /** Ends the leases of engines whose process is gone, so that their runs can be claimed at once. */
  readonly #buryDead: Effect.Effect<void, PersistenceError> = Effect.suspend(() => {
    const { id, persistence, processes } = this.options
    return Effect.flatMap(persistence.engines, (engines) => {
      const dead = engines.filter(
        (engine) => engine.id !== id && engine.leaseUntil > this.#now() && processes.isGone(engine)
      )
      return Effect.forEach(dead, ({ id, leaseUntil }) => persistence.expireEngine(id, leaseUntil), { discard: true })
    })
  })

  // ---- looking

  /** At each hint of the store; a message does not wait for a look that takes long. */
  readonly listen: Effect.Effect<void> = Effect.suspend(() => {
    const delivered = Effect.catchAll(this.#deliver, (error) =>
      Effect.logWarning(`messages could not be read: ${error.message}`)
    )
    const told = Effect.zipRight(
      delivered,
      Effect.sync(() => this.nudge())
    )
    return Stream.runForEach(this.options.persistence.changes, () => told)
  })

  /** For ever: at each nudge, when the next run is due, and now and then. */
  readonly watch: Effect.Effect<void> = Effect.suspend(() => {
    const looked = Effect.catchAll(this.#look, (error) => {
      this.options.failed(error)
      return Effect.as(Effect.logWarning(`looking for runs failed: ${error.message}`), afterFailure)
    })
    return Effect.forever(Effect.flatMap(looked, (delay) => this.#nudge.wait(delay)))
  })

  /** Waits until a look that begins from now on finds nothing to take up while no run lives here. */
  readonly drained: Effect.Effect<void> = Effect.suspend(() => {
    const idler: Idler = { after: this.#looks, done: Deferred.unsafeMake(FiberId.none) }
    this.#idlers.add(idler)
    this.nudge()
    const forget = Effect.sync(() => this.#idlers.delete(idler))
    return Effect.ensuring(Deferred.await(idler.done), forget)
  })

  #rest(look: number): void {
    if (this.#isStranded || this.options.residents().ids.length > 0) return
    for (const { after, done } of this.#idlers) if (look > after) Deferred.unsafeDone(done, Effect.void)
  }

  /** ms until the next look. */
  readonly #look: Effect.Effect<number, PersistenceError> = Effect.gen(this, function* () {
    const { lease, settings, sources } = this.options
    const interval = settings.watchdogInterval
    const look = ++this.#looks
    yield* this.#deliver
    if (this.options.residents().isStopping || sources.size === 0 || !lease.holds) return interval
    yield* this.#bury
    yield* this.#rescue
    yield* this.#tryParked
    const isMore = yield* this.#takeReady
    if (isMore) return 0
    this.#rest(look)
    const now = this.#now()
    const next = yield* this.options.persistence.nextReadyAt(now)
    const until = Math.min(
      this.#isStranded ? this.#nextRescue : Number.POSITIVE_INFINITY,
      next ?? Number.POSITIVE_INFINITY
    )
    return Math.min(interval, until > now ? until - now : shortest)
  })

  readonly #deliver: Effect.Effect<void, PersistenceError> = Effect.suspend(() =>
    Effect.map(this.options.persistence.inbox(this.options.id, this.#lastInbox), ({ last, rows }) => {
      for (const row of rows) {
        this.#lastInbox = Math.max(this.#lastInbox, row.id)
        this.options.residents().deliver(row)
      }
      this.#lastInbox = Math.max(this.#lastInbox, last)
    })
  )

  readonly #bury: Effect.Effect<void, PersistenceError> = Effect.suspend(() => {
    if (this.#now() < this.#nextBurial) return Effect.void
    this.#nextBurial = this.#now() + this.options.settings.watchdogInterval
    return this.#buryDead
  })

  /** O4: takes up again what this engine owns and does not run. */
  readonly #rescue: Effect.Effect<void, PersistenceError> = Effect.suspend(() => {
    if (!this.#isStranded || this.#now() < this.#nextRescue) return Effect.void
    this.#isStranded = false
    this.#nextRescue = this.#now() + this.options.settings.watchdogInterval
    const { id, residents } = this.options
    // One that cannot be taken up keeps no other from it.
    let failed: Effect.Effect<void, PersistenceError> = Effect.void
    const rescued = this.#each(live, (run) => {
      if (run.owner !== id || residents().has(run.id)) return Effect.void
      const adopted = this.#quietly(residents().adopt({ run: run.id, generation: run.generation }))
      return Effect.catchAll(adopted, (error) => Effect.sync(() => (failed = Effect.fail(error))))
    })
    const all = Effect.flatMap(rescued, () => {
      residents().rescued()
      return failed
    })
    return Effect.onError(all, () => Effect.sync(() => this.#strand()))
  })

  /** K3. */
  readonly #tryParked: Effect.Effect<void, PersistenceError> = Effect.suspend(() => {
    const sources = [...this.#untried]
    this.#untried.clear()
    if (sources.length === 0) return Effect.void
    const isOurs = (run: RunRecord) =>
      run.recoveries <= this.options.settings.maxRecoveries && sources.some((source) => source.accepts(run))
        ? this.#screening.isKnown(run)
        : Effect.succeed(false)
    return Effect.onError(
      this.#each(["needs_resume"], (run) =>
        Effect.flatMap(isOurs(run), (ours) =>
          ours ? this.#quietly(this.#take(run.id, this.claim(run.id))) : Effect.void
        )
      ),
      () => Effect.sync(() => sources.forEach((source) => this.#untried.add(source)))
    )
  })

  /** All runs of these statuses, page by page. */
  #each(
    status: ReadonlyArray<RunStatus>,
    use: (run: RunRecord) => Effect.Effect<void, PersistenceError>,
    before?: RunId
  ): Effect.Effect<void, PersistenceError> {
    const filter = before === undefined ? { status, limit: page } : { status, limit: page, before }
    return Effect.flatMap(this.options.persistence.list(filter), (runs) => {
      const last = runs.at(-1)
      const used = Effect.forEach(runs, use, { discard: true })
      return last === undefined || runs.length < page ? used : Effect.zipRight(used, this.#each(status, use, last.id))
    })
  }

  /** Whether there may be more than could be claimed. */
  readonly #takeReady: Effect.Effect<boolean, PersistenceError> = Effect.suspend(() => {
    const limit = this.#room
    this.#isFull = limit <= 0
    if (this.#isFull) return Effect.succeed(false)
    return Effect.flatMap(this.#claimReady(limit), ({ claims, isMore }) =>
      Effect.as(
        Effect.forEach(claims, (claim) => this.#quietly(this.options.residents().adopt(claim)), {
          discard: true
        }),
        isMore
      )
    )
  })

  /** A run with all below it counts as one. */
  get #room(): number {
    const { claimBatch, maxConcurrentRuns } = this.options.settings
    const roots = new Set(this.options.residents().atWork.map(({ run }) => run.record.root))
    return Math.min(claimBatch, maxConcurrentRuns - roots.size)
  }

  /** K2. An answer that was lost may have left claims behind. */
  #claimReady(limit: number): Effect.Effect<Claimed, PersistenceError> {
    const { id, persistence, settings, sources } = this.options
    const options = { engine: id, now: this.#now(), limit }
    if (settings.watchdog && this.#screening.isNeeded) return this.#claimKnown(options)
    const claimed = settings.watchdog
      ? persistence.claimReady({ ...options, ...knownBy(sources) })
      : Effect.map(
          Effect.forEach(this.#given, (root) => persistence.claimReady({ ...options, root })),
          (claims) => claims.flat()
        )
    return Effect.map(this.#claiming(claimed), (claims) => ({ claims, isMore: claims.length >= limit }))
  }

  /** K4. Claimed is only what is still ready: a run that another engine parked meanwhile is not. */
  #claimKnown(options: ClaimReadyOptions): Effect.Effect<Claimed, PersistenceError> {
    const { persistence, settings, sources } = this.options
    const { limit, now } = options
    const page = { ...options, limit: Math.max(limit, settings.claimBatch), except: this.#screening.refused(now) }
    return Effect.gen(this, function* () {
      const ready = yield* persistence.claimable({ ...page, ...knownBy(sources) })
      const only = yield* this.#screening.choose(ready, now)
      const claims = only.length === 0 ? [] : yield* this.#claiming(persistence.claimReady({ ...options, only }))
      return { claims, isMore: ready.length >= page.limit || claims.length >= limit }
    })
  }

  #claiming<A>(claimed: Effect.Effect<A, PersistenceError>): Effect.Effect<A, PersistenceError> {
    return Effect.onError(claimed, () => Effect.sync(() => this.#strand()))
  }

  #take(run: RunId, claim: Effect.Effect<Claim, TakeError>): Effect.Effect<void, TakeError> {
    return this.options.residents().take(run, claim, false)
  }

  /** A run that is gone, ended or somebody else's is no concern of this engine. */
  #quietly(taken: Effect.Effect<void, TakeError>): Effect.Effect<void, PersistenceError> {
    return Effect.catchTags(taken, {
      RunNotFound: () => Effect.void,
      RunAlreadyOwned: () => Effect.void,
      RunAlreadyEnded: () => Effect.void
    })
  }

  #now(): number {
    return this.options.clock.unsafeCurrentTimeMillis()
  }
}

/** What the sources know; no restriction if one of them knows everything. */
const knownBy = (sources: ReadonlySet<ProgramSource>) => {
  const all = [...sources]
  if (all.some(({ definitions, workflows }) => definitions === undefined && workflows === undefined)) return {}
  return {
    workflows: all.flatMap(({ workflows }) => workflows ?? []),
    definitions: all.flatMap(({ definitions }) => definitions ?? [])
  }
}
