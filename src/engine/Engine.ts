/**
 * The engine: runs runs in this process (design.md, "Ownership"; spec/engine.md, "Durability").
 *
 * Owns: which runs are resident here, the engine's lease, and looking for runs that nobody runs.
 * Neighbours: `RunMain` takes one run to its end; `Programs` says what a run does; `Client` asks from outside.
 * - O1 A run is resident only under a claim of this engine; when the lease is lost all residents stop (I7).
 * - O2 A claim is released when a run ends, is let go, or the engine shuts down; a release that missed a message is
 *   no release: the run goes on here.
 * - O3 An engine is shut down before the layers its programs use: each registration stops its own runs first.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { emptyJournal, type LoadedRun } from "../persistence/Journal.ts"
import {
  type Claim,
  Persistence,
  PersistenceError,
  type PersistenceService,
  type RunAlreadyEnded,
  type RunAlreadyExists,
  type RunAlreadyOwned,
  type RunNotFound
} from "../persistence/Persistence.ts"
import { EngineId, type EngineRecord, type InboxRow, isEnded, RunId, type RunRecord } from "../persistence/Records.ts"
import { Deadlines } from "./Deadlines.ts"
import { EngineConfig, type EngineSettings } from "./EngineConfig.ts"
import { type EngineEvent, EventBus, type EventsMissed } from "./Events.ts"
import { currentHost, isGone } from "./Host.ts"
import { JournalWriter } from "./JournalWriter.ts"
import { RunContext, type RunHost } from "./RunContext.ts"
import { reopen } from "./Reopen.ts"
import { parkRun, type Program, RunMain } from "./RunMain.ts"
import { ulid } from "./Ulid.ts"

/** What can run a kind of runs: registered with the engine for the time of a scope. */
export interface ProgramSource {
  /** Whether it knows what the run does; asked of each claimed run. */
  readonly accepts: (run: RunRecord) => boolean
  /** The workflows whose runs the watchdog claims for it; undefined: all. */
  readonly workflows: ReadonlyArray<string> | undefined
  /** The program of one residency, or why there is none: the run is then parked. */
  readonly make: (run: RunContext) => Effect.Effect<Program, ProgramUnavailable | PersistenceError>
}

/** What a run does cannot be told here. */
export class ProgramUnavailable extends Schema.TaggedError<ProgramUnavailable>()("ProgramUnavailable", {
  message: Schema.String
}) {}

export class Engine extends Context.Tag("millrace/Engine")<
  Engine,
  {
    readonly id: EngineId
    readonly settings: EngineSettings
    /** Until the scope closes; then its runs are stopped (reason shutdown) and awaited (O3). */
    readonly register: (source: ProgramSource) => Effect.Effect<void, never, Scope.Scope>
    /** Creates a run and runs it. The record's owner, generation and `seq` are the engine's to set. */
    readonly start: (run: RunRecord) => Effect.Effect<RunId, RunAlreadyExists | PersistenceError>
    /** Claims a run that has not ended and runs it, with its children; a run already resident goes on. */
    readonly take: (
      run: RunId
    ) => Effect.Effect<void, RunNotFound | RunAlreadyOwned | RunAlreadyEnded | PersistenceError>
    /** Runs what has been claimed by other means (an ended run that was opened again). */
    readonly adopt: (claim: Claim) => Effect.Effect<void, RunNotFound | PersistenceError>
    /** Waits until a run ends, wherever it runs. */
    readonly await: (run: RunId) => Effect.Effect<RunRecord, RunNotFound | PersistenceError>
    /** Waits until a run is not resident here: it ended, was let go, was parked or stopped. Its record then. */
    readonly awaitRelease: (run: RunId) => Effect.Effect<RunRecord, RunNotFound | PersistenceError>
    /** Lets a waiting run go without lingering; nothing if it does not wait. */
    readonly letGo: (run: RunId) => Effect.Effect<void>
    readonly events: (
      filter?: (event: EngineEvent) => boolean
    ) => Effect.Effect<Stream.Stream<EngineEvent | EventsMissed>, never, Scope.Scope>
    readonly newRunId: Effect.Effect<RunId>
    /** Runs resident here. */
    readonly resident: Effect.Effect<ReadonlyArray<RunId>>
  }
>() {
  /** Runs until its scope closes: then all its runs are stopped, to be resumed by whoever claims them. */
  static readonly layer: Layer.Layer<Engine, PersistenceError, Persistence> = Layer.scoped(
    Engine,
    Effect.suspend(() => makeEngine)
  )
}

interface Resident {
  readonly run: RunContext
  readonly main: RunMain
  readonly source: ProgramSource
  readonly gone: Deferred.Deferred<void>
  linger: (() => void) | undefined
}

const makeEngine = Effect.gen(function* () {
  const persistence = yield* Persistence
  const settings = yield* EngineConfig
  const clock = yield* Effect.clock
  const runtime = yield* Effect.runtime<never>()
  const random = yield* Effect.random
  const draw = () => Effect.runSync(random.next)
  const id = EngineId.make(ulid(clock.unsafeCurrentTimeMillis(), draw))
  const engine = new EngineState(id, persistence, settings, clock, runtime, draw)
  yield* engine.renew
  yield* Effect.forkScoped(engine.keepLease)
  yield* Effect.forkScoped(engine.pump)
  yield* Effect.forkScoped(engine.watch)
  yield* Effect.addFinalizer(() => engine.shutdown)
  return engine.service
})

class EngineState {
  readonly #residents = new Map<RunId, Resident>()
  /** Runs that are being taken up: a second request waits for the first. */
  readonly #taking = new Map<RunId, Deferred.Deferred<void>>()
  readonly #sources = new Set<ProgramSource>()
  /** Without a watchdog, the runs given to this engine: it looks after them and their children. */
  readonly #given = new Set<RunId>()
  readonly #bus: EventBus
  readonly #deadlines: Deadlines
  readonly #host: RunHost
  readonly #here = currentHost()
  #leaseUntil = 0
  /** By the monotonic clock, ms. */
  #leaseEnds = 0
  #lastInbox = 0
  #stopping = false
  /** Messages for runs that are being taken up. */
  readonly #early = new Map<RunId, ReadonlyArray<InboxRow>>()
  #nextBurial = 0
  #nudged = false
  #lookAgain: () => void = () => {
    this.#nudged = true
  }

  constructor(
    private readonly id: EngineId,
    private readonly persistence: PersistenceService,
    private readonly settings: EngineSettings,
    private readonly clock: RunHost["clock"],
    private readonly runtime: Runtime.Runtime<never>,
    private readonly draw: () => number
  ) {
    this.#bus = new EventBus(settings.eventCapacity)
    this.#deadlines = new Deadlines(clock, runtime)
    this.#host = this.#makeHost()
  }

  get service(): typeof Engine.Service {
    return {
      id: this.id,
      settings: this.settings,
      register: (source) => this.#register(source),
      start: (run) => this.#start(run),
      take: (run) => this.#take(run, true),
      adopt: (claim) =>
        Effect.suspend(() => {
          this.#given.add(claim.run)
          return this.#adopt(claim)
        }),
      await: (run) => this.#await(run),
      awaitRelease: (run) => this.awaitChange(run),
      letGo: (run) => Effect.sync(() => this.#letGo(this.#residents.get(run))),
      events: (filter) => this.#bus.subscribe(filter),
      newRunId: Effect.sync(() => this.#newRunId()),
      resident: Effect.sync(() => [...this.#residents.keys()])
    }
  }

  #newRunId(): RunId {
    return RunId.make(ulid(this.#now(), this.draw))
  }

  #now(): number {
    return this.clock.unsafeCurrentTimeMillis()
  }

  #monotonic(): number {
    return Number(this.clock.unsafeCurrentTimeNanos() / 1_000_000n)
  }

  #fork(effect: Effect.Effect<void>): void {
    Runtime.runFork(this.runtime)(effect, { immediate: false })
  }

  // ---- lease

  /** Registers the engine, or renews its lease. */
  readonly renew: Effect.Effect<void, PersistenceError> = Effect.suspend(() => {
    const leaseUntil = this.#now() + this.settings.leaseTtl
    const leaseEnds = this.#monotonic() + this.settings.leaseTtl
    const record: EngineRecord = { id: this.id, ...this.#here, leaseUntil }
    return Effect.map(this.persistence.renewEngine(record), () => {
      this.#leaseUntil = leaseUntil
      this.#leaseEnds = leaseEnds
    })
  })

  /** Renews for ever; a failure is tried again every second until the lease ends, then all runs are lost. */
  readonly keepLease: Effect.Effect<void> = Effect.suspend(() => {
    const renewed = Effect.as(this.renew, this.settings.leaseRefresh)
    const tried = Effect.catchAll(renewed, (error) =>
      Effect.as(Effect.logWarning(`the engine's lease could not be renewed: ${error.message}`), 1_000)
    )
    const wait = (delay: number) => this.#deadlines.sleep(Math.min(delay, this.settings.leaseRefresh))
    return Effect.forever(
      Effect.zipRight(
        wait(this.settings.leaseRefresh),
        Effect.flatMap(tried, (next) => {
          if (!this.#leaseHolds()) this.#loseAll()
          return next === this.settings.leaseRefresh ? Effect.void : wait(next)
        })
      )
    )
  })

  #leaseHolds(): boolean {
    return this.#monotonic() < this.#leaseEnds
  }

  #loseAll(): void {
    for (const { run } of this.#residents.values()) run.stopSilently({ _tag: "LeaseLost" })
  }

  // ---- programs

  #register(source: ProgramSource): Effect.Effect<void, never, Scope.Scope> {
    const add = Effect.sync(() => {
      this.#sources.add(source)
      this.#lookAgain()
    })
    return Effect.acquireRelease(add, () =>
      Effect.suspend(() => {
        this.#sources.delete(source)
        return this.#stopWhere((resident) => resident.source === source)
      })
    )
  }

  /** Stops runs as they are, to be resumed elsewhere, and waits until they have left. */
  #stopWhere(which: (resident: Resident) => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const residents = [...this.#residents.values()].filter(which)
      for (const { run } of residents) run.stopSilently({ _tag: "Shutdown" })
      return Effect.forEach(residents, ({ gone }) => Deferred.await(gone), { concurrency: "unbounded", discard: true })
    })
  }

  readonly shutdown: Effect.Effect<void> = Effect.suspend(() => {
    this.#stopping = true
    const expire = Effect.suspend(() => this.persistence.expireEngine(this.id, this.#leaseUntil))
    const expired = Effect.catchAll(expire, (error) =>
      Effect.logWarning(`the engine's lease could not be ended: ${error.message}`)
    )
    return Effect.zipRight(
      this.#stopWhere(() => true),
      expired
    )
  })

  // ---- taking runs up

  #start(record: RunRecord): Effect.Effect<RunId, RunAlreadyExists | PersistenceError> {
    return Effect.suspend(() => {
      const run: RunRecord = { ...record, owner: this.id, generation: 1, seq: 0, readyAt: null }
      this.#given.add(run.id)
      return Effect.as(Effect.zipRight(this.persistence.create(run), this.#startFresh(run)), run.id)
    })
  }

  #startFresh(run: RunRecord): Effect.Effect<void> {
    return this.#settle({ run: run.id, generation: run.generation }, { journal: emptyJournal(run), inbox: [] })
  }

  #take(
    run: RunId,
    explicit: boolean
  ): Effect.Effect<void, RunNotFound | RunAlreadyOwned | RunAlreadyEnded | PersistenceError> {
    return Effect.suspend(() => {
      if (explicit) this.#given.add(run)
      if (this.#residents.has(run) || this.#taking.has(run)) return Effect.void
      const claim = this.persistence.claim(run, { engine: this.id, now: this.#now() })
      const again = Effect.catchTag(claim, "RunAlreadyOwned", () => Effect.zipRight(this.#buryDead, claim))
      return Effect.flatMap(again, (claimed) => this.#adopt(claimed))
    })
  }

  /** Ends the leases of engines whose process is gone, so that their runs can be claimed at once. */
  readonly #buryDead: Effect.Effect<void, PersistenceError> = Effect.suspend(() =>
    Effect.flatMap(this.persistence.engines, (engines) => {
      const dead = engines.filter((engine) => engine.leaseUntil > this.#now() && isGone(engine, this.#here))
      return Effect.forEach(dead, ({ id, leaseUntil }) => this.persistence.expireEngine(id, leaseUntil), {
        discard: true
      })
    })
  )

  #adopt(claim: Claim): Effect.Effect<void, RunNotFound | PersistenceError> {
    return Effect.suspend(() => {
      const known = this.#taking.get(claim.run)
      if (known !== undefined) return Deferred.await(known)
      if (this.#residents.has(claim.run)) return Effect.void
      const taken = Deferred.unsafeMake<void>(FiberId.none)
      this.#taking.set(claim.run, taken)
      const loaded = Effect.flatMap(this.persistence.load(claim.run), (loaded) => this.#settle(claim, loaded))
      const done = Effect.sync(() => {
        this.#taking.delete(claim.run)
        Deferred.unsafeDone(taken, Effect.void)
      })
      return Effect.ensuring(loaded, done)
    })
  }

  /** Makes a claimed run resident. */
  #settle(claim: Claim, loaded: LoadedRun): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { run: record } = loaded.journal
      const writer = this.#writer(claim, loaded)
      const run = new RunContext(claim.run, writer, this.#host, loaded.inbox)
      if (record.recoveries > this.settings.maxRecoveries) {
        return this.#leaveParked(
          run,
          `taken up ${record.recoveries} times without progress: its steps may kill their process`
        )
      }
      const source = [...this.#sources].find((source) => source.accepts(record))
      if (source === undefined) return this.#leaveParked(run, `workflow '${record.workflow}' is not known here`)
      return Effect.matchEffect(source.make(run), {
        onFailure: (error) => this.#leaveParked(run, error.message),
        onSuccess: (program) => Effect.sync(() => this.#reside(new RunMain(run, program), source))
      })
    })
  }

  #leaveParked(run: RunContext, message: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      parkRun(run, message)
      return run.flush
    })
  }

  #writer(claim: Claim, loaded: LoadedRun): JournalWriter {
    return new JournalWriter({
      persistence: this.persistence,
      runtime: this.runtime,
      clock: this.clock,
      generation: claim.generation,
      loaded,
      checkInvariants: this.settings.checkInvariants,
      leaseHolds: () => this.#leaseHolds(),
      publish: (events) => this.#bus.publish(events),
      lost: (reason) => {
        const resident = this.#residents.get(claim.run)
        if (resident?.run.writer.generation === claim.generation) resident.run.stopSilently(reason)
        if (reason._tag !== "LeaseLost") return
        this.#bus.publish([{ _tag: "LeaseLost", timestamp: this.#now(), run: claim.run }])
      }
    })
  }

  #reside(main: RunMain, source: ProgramSource): void {
    const { run } = main
    const resident: Resident = { run, main, source, gone: Deferred.unsafeMake(FiberId.none), linger: undefined }
    this.#residents.set(run.id, resident)
    for (const row of this.#early.get(run.id) ?? []) run.deliver(row)
    this.#early.delete(run.id)
    if (this.#stopping) run.stopSilently({ _tag: "Shutdown" })
    this.#fork(
      Effect.zipRight(
        main.main,
        Effect.suspend(() => this.#leave(resident))
      )
    )
  }

  // ---- letting runs go

  /** A run's fibers are gone: its claim is given back, unless the run ended or somebody else has it. */
  #leave(resident: Resident): Effect.Effect<void> {
    const { run } = resident
    resident.linger?.()
    return Effect.flatMap(this.#release(run), (wasReleased) => {
      this.#residents.delete(run.id)
      if (isEnded(run.record.status)) this.#given.delete(run.id)
      Deferred.unsafeDone(resident.gone, Effect.void)
      if (wasReleased || this.#stopping) return Effect.void
      return this.#logged(this.#adopt({ run: run.id, generation: run.writer.generation }))
    })
  }

  /** Whether the run may be left (O2); a release that cannot be written is like a crash: the lease runs out. */
  #release(run: RunContext): Effect.Effect<boolean> {
    const { silent } = run
    if (silent?._tag !== "LetGo" && silent?._tag !== "Shutdown") return Effect.succeed(true)
    const isLetGo = silent._tag === "LetGo"
    const released = this.persistence.release({
      run: run.id,
      generation: run.writer.generation,
      readyAt: isLetGo ? silent.readyAt : this.#now(),
      lastInbox: isLetGo ? run.lastInbox : Number.MAX_SAFE_INTEGER
    })
    return Effect.catchAll(released, (error) =>
      Effect.as(Effect.logWarning(`run ${run.id} could not be released: ${error.message}`), true)
    )
  }

  #letGo(resident: Resident | undefined): void {
    if (resident === undefined || !resident.main.mayWait || !resident.run.isWaiting) return
    const { run } = resident
    const { startedAt, settings } = run.record
    const deadline = settings.runTimeout === null || startedAt === null ? null : startedAt + settings.runTimeout
    const times = [deadline, ...run.waits.map((wait) => wait.wakeAt)].filter((time) => time !== null)
    run.stopSilently({ _tag: "LetGo", readyAt: times.length === 0 ? null : Math.min(...times) })
  }

  /** All branches of a run are parked: it waits, unless what one waits for is at work. */
  #idle(run: RunContext): void {
    this.#fork(
      Effect.sync(() => {
        const resident = this.#residents.get(run.id)
        if (resident?.run !== run || !resident.main.mayWait) return
        if (!run.isWaiting) {
          if (run.isIdle && run.record.status === "waiting") run.append(run.goingOn())
          return
        }
        if (this.#isShort(run)) return
        this.#recordWaiting(run)
        resident.linger?.()
        const linger = this.#residents.size > this.settings.maxResident ? 0 : this.settings.linger
        resident.linger = this.#deadlines.arm(linger, () => this.#letGo(resident))
      })
    )
  }

  /** A pause between attempts or a sleep that is over sooner than the run could be let go. */
  #isShort(run: RunContext): boolean {
    const end = this.#now() + this.settings.linger
    return run.waits.every(
      ({ blockedOn, wakeAt }) => blockedOn.every((on) => on._tag === "sleep") && wakeAt !== null && wakeAt <= end
    )
  }

  #recordWaiting(run: RunContext): void {
    const blockedOn = run.waits.flatMap((wait) => wait.blockedOn)
    if (run.record.status === "waiting" && JSON.stringify(run.record.blockedOn) === JSON.stringify(blockedOn)) return
    const told = run.tellParent((path) => ({ _tag: "ChildWaiting", child: run.id, path, blockedOn }))
    const on = blockedOn.map((blocker) => blocker.name)
    run.append(
      [{ _tag: "Run", patch: { status: "waiting", blockedOn } }, ...told],
      [{ _tag: "RunWaiting", timestamp: this.#now(), run: run.id, on }]
    )
  }

  // ---- what residents ask of the engine

  #makeHost(): RunHost {
    return {
      settings: this.settings,
      clock: this.clock,
      deadlines: this.#deadlines,
      newRunId: () => this.#newRunId(),
      idle: (run) => this.#idle(run),
      interrupt: (run) => {
        const resident = this.#residents.get(run.id)
        if (resident?.run === run) resident.main.interrupt()
      },
      children: {
        get: (child) => this.#patiently(this.persistence.get(child)),
        start: (child) => this.#startFresh(child),
        ensure: (child) => this.#ensure(child),
        reopen: (child) => this.#patiently(this.#reopen(child)),
        cancel: (child) => this.#cancelChild(child)
      }
    }
  }

  /** Tries again while the store is in trouble that may clear; anything else is a broken invariant. */
  #patiently<A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E | PersistenceError>): Effect.Effect<A> {
    const retried = Effect.catchAll(effect, (error): Effect.Effect<A> => {
      if (!(error instanceof PersistenceError) || !error.transient) return Effect.die(error)
      return Effect.zipRight(this.#deadlines.sleep(500), this.#patiently(effect))
    })
    return retried
  }

  #ensure(child: RunId): Effect.Effect<void> {
    const refused = () => Effect.void
    const taken = this.#take(child, false).pipe(
      Effect.catchTags({ RunAlreadyOwned: refused, RunAlreadyEnded: refused })
    )
    return Effect.suspend(() => (this.#stopping ? Effect.void : this.#patiently(taken)))
  }

  #cancelChild(child: RunId): Effect.Effect<void> {
    const message = { _tag: "Cancel", reason: "parent", text: null } as const
    const sent = Effect.suspend(() => this.persistence.send(child, message, this.#now()))
    const ended = Effect.catchTag(Effect.asVoid(sent), "RunAlreadyEnded", () => Effect.void)
    return this.#patiently(ended)
  }

  #reopen(child: RunId): Effect.Effect<void, RunNotFound | PersistenceError> {
    const opened = reopen(this.persistence, this.id, child, { _tag: "Failed" })
    return Effect.flatMap(opened, (claim) => this.#adopt(claim)).pipe(
      // Somebody else opened it meanwhile: its parent looks again.
      Effect.catchTags({
        RunAlreadyOwned: () => Effect.void,
        SeqConflict: () => Effect.void,
        RunNotEnded: () => Effect.void,
        StepNotFound: Effect.die
      })
    )
  }

  // ---- messages, and runs that nobody runs

  /** Delivers what arrives in the inboxes of this engine's runs. */
  readonly pump: Effect.Effect<void> = Effect.suspend(() =>
    Stream.runForEach(this.persistence.changes, () => Effect.zipRight(this.#logged(this.#deliver), this.nudge))
  )

  readonly #deliver: Effect.Effect<void, PersistenceError> = Effect.suspend(() =>
    Effect.map(this.persistence.inbox(this.id, this.#lastInbox), (rows) => {
      for (const row of rows) {
        this.#lastInbox = Math.max(this.#lastInbox, row.id)
        const resident = this.#residents.get(row.run)
        if (resident !== undefined) resident.run.deliver(row)
        else this.#early.set(row.run, [...(this.#early.get(row.run) ?? []), row])
      }
    })
  )

  readonly nudge: Effect.Effect<void> = Effect.sync(() => this.#lookAgain())

  /** Looks for runs to claim: at each nudge, when the next one is due, and now and then. */
  readonly watch: Effect.Effect<void> = Effect.suspend(() => {
    const looked = Effect.catchAll(this.#look, (error) =>
      Effect.as(Effect.logWarning(`looking for runs failed: ${error.message}`), 1_000)
    )
    return Effect.forever(Effect.flatMap(looked, (delay) => this.#pause(delay)))
  })

  #pause(delay: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const disarm = this.#deadlines.arm(delay, () => this.#lookAgain())
      this.#lookAgain = () => {
        this.#lookAgain = () => {
          this.#nudged = true
        }
        disarm()
        resume(Effect.void)
      }
      if (this.#nudged) this.#lookAgain()
      this.#nudged = false
      return Effect.sync(disarm)
    })
  }

  /** Claims what is ready; ms until the next look. */
  readonly #look: Effect.Effect<number, PersistenceError> = Effect.gen(this, function* () {
    const { watchdogInterval, maxConcurrentRuns, claimBatch } = this.settings
    if (this.#stopping || this.#sources.size === 0) return watchdogInterval
    if (this.#now() >= this.#nextBurial) {
      this.#nextBurial = this.#now() + watchdogInterval
      yield* this.#buryDead
    }
    const busy = [...this.#residents.values()].filter(({ run }) => run.record.status !== "waiting").length
    const limit = Math.min(claimBatch, maxConcurrentRuns - busy)
    if (limit <= 0) return watchdogInterval
    const claims = yield* this.#claimReady(limit)
    for (const claim of claims) yield* Effect.catchTag(this.#adopt(claim), "RunNotFound", () => Effect.void)
    if (claims.length === limit) return 0
    const next = yield* this.persistence.nextReadyAt
    return next === undefined ? watchdogInterval : Math.min(watchdogInterval, Math.max(10, next - this.#now()))
  })

  #claimReady(limit: number): Effect.Effect<ReadonlyArray<Claim>, PersistenceError> {
    const options = { engine: this.id, now: this.#now(), limit }
    if (!this.settings.watchdog) {
      const claimed = Effect.forEach(this.#given, (root) => this.persistence.claimReady({ ...options, root }))
      return Effect.map(claimed, (claims) => claims.flat())
    }
    const known = [...this.#sources].map((source) => source.workflows)
    if (known.includes(undefined)) return this.persistence.claimReady(options)
    return this.persistence.claimReady({ ...options, workflows: known.flatMap((names) => names ?? []) })
  }

  #logged(effect: Effect.Effect<void, RunNotFound | PersistenceError>): Effect.Effect<void> {
    return Effect.catchAll(effect, (error) => Effect.logWarning(error.message))
  }

  // ---- waiting for runs

  #await(run: RunId): Effect.Effect<RunRecord, RunNotFound | PersistenceError> {
    return Effect.flatMap(this.awaitChange(run), (record) =>
      isEnded(record.status) ? Effect.succeed(record) : Effect.zipRight(this.#nextChange, this.#await(run))
    )
  }

  /** The record of a run that is not (any longer) resident here. */
  awaitChange(run: RunId): Effect.Effect<RunRecord, RunNotFound | PersistenceError> {
    return Effect.suspend(() => {
      const resident = this.#residents.get(run)
      const gone = resident === undefined ? Effect.void : Deferred.await(resident.gone)
      return Effect.zipRight(gone, this.persistence.get(run))
    })
  }

  readonly #nextChange: Effect.Effect<void> = Effect.suspend(() =>
    Effect.raceFirst(Effect.asVoid(Stream.runHead(this.persistence.changes)), this.#deadlines.sleep(1_000))
  )
}
