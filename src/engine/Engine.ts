/**
 * The engine: runs runs in this process (design.md, "Ownership"; spec/engine.md, "Durability").
 *
 * Owns: the service, and putting its parts together. Neighbours: `Lease` (until when others leave its runs alone),
 * `Residents` (runs that live here), `Lookout` (runs that nobody runs, and messages), `RunMain` (one run to its end),
 * `Program` (what a run does), `Client` (asks from outside).
 * - O3 An engine is shut down before the layers its programs use: each registration stops its own runs first.
 */
import * as Context from "effect/Context"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { PCGRandom } from "effect/Utils"
import {
  type Claim,
  Persistence,
  type PersistenceError,
  type PersistenceService,
  type RunAlreadyEnded,
  RunAlreadyExists,
  type RunAlreadyOwned,
  type RunNotFound,
  type RunRows
} from "../persistence/Persistence.ts"
import { EngineId, RunId, type RunRecord } from "../persistence/Records.ts"
import { BrokenInvariant } from "./BrokenInvariant.ts"
import { withChildRunner } from "./ChildrenElsewhere.ts"
import { ChildRunner, type ChildRunnerService, isThisEngine } from "./ChildRunner.ts"
import { childRuns } from "./ChildRuns.ts"
import { shownError } from "./CreateRun.ts"
import { Deadlines } from "./Deadlines.ts"
import { Awaited } from "./Awaited.ts"
import { EngineConfig, type EngineSettings } from "./EngineConfig.ts"
import { type EngineEvent, EventBus, type EventsMissed, type TooManySubscribers } from "./Events.ts"
import { FlowControl } from "./FlowControl.ts"
import { GateNotifier, type GateNotifierService } from "./GateNotice.ts"
import { GivenPayloads, type PayloadListener } from "./GivenPayloads.ts"
import { HostProcesses, type Processes } from "./Host.ts"
import { Lease } from "./Lease.ts"
import { Lookout } from "./Lookout.ts"
import type { ProgramSource } from "./Program.ts"
import { Residents } from "./Residents.ts"
import type { Children, RunContext, RunHost } from "./RunContext.ts"
import type { RunMain } from "./RunMain.ts"
import { SecretListener } from "./SecretListener.ts"
import type { Told } from "./Standstill.ts"
import { ulid } from "../persistence/Ulid.ts"

export { type CodeChild, type CodeWorkflow, type ProgramSource, ProgramUnavailable } from "./Program.ts"

export class Engine extends Context.Tag("millrace/Engine")<
  Engine,
  {
    readonly id: EngineId
    readonly settings: EngineSettings
    /** Until the scope closes; then its runs are stopped (reason shutdown) and awaited (O3). */
    readonly register: (source: ProgramSource) => Effect.Effect<void, never, Scope.Scope>
    /** Whether a program that is registered here can run it. */
    readonly accepts: (run: RunRecord) => Effect.Effect<boolean>
    /**
     * Creates a run, with the rows and the runs below it that it has from the start, and runs it. The record's owner,
     * generation and `seq` are the engine's to set.
     */
    readonly start: (run: RunRecord, given?: GivenRows) => Effect.Effect<RunId, RunAlreadyExists | PersistenceError>
    /**
     * Claims a run that has not ended and runs it, with its children; a run already resident goes on. One that is
     * parked, itself or below it, is tried again.
     */
    readonly take: (
      run: RunId
    ) => Effect.Effect<void, RunNotFound | RunAlreadyOwned | RunAlreadyEnded | PersistenceError>
    /** Runs what a claim gives that is made by other means: an ended run that is opened again. */
    readonly adopt: <E>(
      run: RunId,
      claim: Effect.Effect<Claim, E>
    ) => Effect.Effect<void, E | RunNotFound | PersistenceError>
    /** Waits until a run ends, wherever it runs; `told` why it stands still, once, if it does (X4). */
    readonly await: (run: RunId, told?: Told) => Effect.Effect<RunRecord, RunNotFound | PersistenceError>
    /** Waits until a run is not resident here: it ended, was let go, was parked or stopped. Its record then. */
    readonly awaitRelease: (run: RunId) => Effect.Effect<RunRecord, RunNotFound | PersistenceError>
    /** Lets a waiting run go without lingering; nothing if it does not wait. */
    readonly letGo: (run: RunId) => Effect.Effect<void>
    /** Events from now on, until the scope closes. Fails beyond `maxSubscribers`. */
    readonly events: (
      filter?: (event: EngineEvent) => boolean
    ) => Effect.Effect<Stream.Stream<EngineEvent | EventsMissed>, TooManySubscribers, Scope.Scope>
    readonly newRunId: Effect.Effect<RunId>
    /** Runs resident here. */
    readonly resident: Effect.Effect<ReadonlyArray<RunId>>
    /** Waits until the watchdog finds no run that it could take up now, and none is resident. */
    readonly drained: Effect.Effect<void>
    /** Never succeeds; fails when the store cannot be used until a person has done something about it. */
    readonly broken: Effect.Effect<never, PersistenceError>
    /** What the engine holds at this moment: for tests and metrics. */
    readonly stats: Effect.Effect<EngineStats>
  }
>() {
  /** Runs until its scope closes: then all its runs are stopped, to be resumed by whoever claims them. */
  static readonly layer: Layer.Layer<Engine, PersistenceError, Persistence> = Layer.scoped(
    Engine,
    Effect.suspend(() => makeEngine)
  )
}

/** What a run has from the start: a fork. */
export interface GivenRows extends Omit<RunRows, "run"> {
  readonly below: ReadonlyArray<RunRows>
}

export interface EngineStats {
  readonly residents: number
  /** Residents in the middle of something: they neither wait nor have ended. */
  readonly atWork: number
  /** Timeouts, sleeps and intervals that are armed, the engine's own included. */
  readonly deadlines: number
  readonly subscribers: number
}

const makeEngine = Effect.gen(function* () {
  const persistence = yield* Persistence
  const settings = yield* EngineConfig
  const clock = yield* Effect.clock
  const runtime = yield* Effect.runtime<never>()
  const random = yield* Effect.random
  const surroundings: Surroundings = {
    runner: yield* ChildRunner,
    secrets: yield* SecretListener,
    given: yield* GivenPayloads,
    notifier: yield* GateNotifier,
    processes: yield* HostProcesses,
    violated: yield* BrokenInvariant
  }
  const seed = random.nextIntBetween(0, 2 ** 32)
  const seeds = yield* Effect.all([seed, seed, seed, seed])
  const engine = new EngineState(persistence, settings, clock, random, seeds, runtime, surroundings)
  yield* engine.lease.renew
  yield* Effect.forkScoped(engine.lease.keep)
  yield* Effect.forkScoped(engine.lookout.listen)
  yield* Effect.forkScoped(engine.lookout.watch)
  yield* Effect.addFinalizer(() => Effect.zipRight(engine.residents.stopAll, engine.lease.end))
  return engine.service
})

/** What an engine finds around it. */
interface Surroundings {
  readonly runner: ChildRunnerService
  /** Told of values that are secret. */
  readonly secrets: (values: ReadonlyArray<string>) => void
  /** Told of what bodies give to their steps. */
  readonly given: PayloadListener
  readonly notifier: GateNotifierService
  readonly processes: Processes
  readonly violated: (message: string) => void
}

/** Four of 32 bits. */
type Seeds = readonly [number, number, number, number]

class EngineState {
  readonly id: EngineId
  readonly lease: Lease
  readonly lookout: Lookout
  readonly residents: Residents
  readonly #sources = new Set<ProgramSource>()
  /** Those that are being taken away: their runs are still here. */
  readonly #leaving = new Set<ProgramSource>()
  readonly #bus: EventBus
  readonly #deadlines: Deadlines
  readonly #host: RunHost
  readonly #awaited: Awaited
  /** Of ids: drawing from a service would take a fiber each time. */
  readonly #chance: PCGRandom
  readonly #broken = Deferred.unsafeMake<never, PersistenceError>(FiberId.none)

  constructor(
    private readonly persistence: PersistenceService,
    private readonly settings: EngineSettings,
    private readonly clock: Clock.Clock,
    random: Random.Random,
    seeds: Seeds,
    private readonly runtime: Runtime.Runtime<never>,
    { given, notifier, processes, runner, secrets, violated }: Surroundings
  ) {
    this.#chance = new PCGRandom(...seeds)
    const id = EngineId.make(this.#ulid())
    const deadlines = new Deadlines(clock, runtime)
    const failed = (error: PersistenceError) => this.#failed(error)
    const shared = { id, persistence, settings, clock, deadlines, sources: this.#sources, failed } as const
    this.id = id
    this.#deadlines = deadlines
    this.#bus = new EventBus(settings.eventCapacity, settings.maxSubscribers)
    this.lease = new Lease({
      ...shared,
      engine: id,
      host: processes.own,
      lost: () => this.residents.loseAll(),
      regained: () => this.lookout.nudge()
    })
    this.lookout = new Lookout({ ...shared, processes, lease: this.lease, residents: () => this.residents })
    this.residents = new Residents({
      ...shared,
      leaving: this.#leaving,
      runtime,
      lease: this.lease,
      bus: this.#bus,
      host: () => this.#host,
      came: () => this.lookout.roomChanged(),
      left: (run, ended) => {
        this.lookout.roomChanged()
        this.#awaited.tell(run, ended)
      },
      stranded: () => this.lookout.stranded(),
      violated
    })
    this.#awaited = new Awaited({
      ...shared,
      runtime,
      untilGone: (run) => this.residents.untilGone(run),
      accepts: (run) => this.#accepts(run)
    })
    const own = childRuns({ ...shared, residents: this.residents, lookout: this.lookout })
    const interval = settings.resolverInterval
    const children = isThisEngine(runner) ? own : withChildRunner({ own, runner, persistence, deadlines, interval })
    this.#host = {
      settings,
      secrets,
      given,
      clock,
      deadlines,
      flow: new FlowControl(deadlines),
      children,
      notifier,
      newRunId: () => this.#newRunId(),
      idle: (run) => this.#idle(run),
      codeWorkflow: (name) => [...this.#sources].findLast(({ workflow }) => workflow?.name === name)?.workflow,
      asProcess: (effect) => Effect.withRandom(Effect.withClock(effect, clock), random),
      interrupt: (run) => this.#mainOf(run)?.interrupt(),
      stopBody: (run, reason) => this.#mainOf(run)?.stopBody(reason),
      parentBeside: (child) => this.residents.parentBeside(child),
      follow: (next) => this.#follow(next, own),
      fork: (effect) => {
        const fiber = Runtime.runFork(runtime)(effect)
        return () => fiber.unsafeInterruptAsFork(fiber.id())
      }
    }
  }

  get service(): typeof Engine.Service {
    return {
      id: this.id,
      settings: this.settings,
      register: (source) => this.#register(source),
      accepts: (run) => Effect.sync(() => this.#accepts(run)),
      start: (run, given) => this.#start(run, given),
      take: (run) => this.#given(run, this.lookout.claim(run)),
      adopt: (run, claim) => this.#given(run, claim),
      await: (run, told) => this.#awaited.end(run, told),
      awaitRelease: (run) => Effect.zipRight(this.residents.untilGone(run), this.persistence.get(run)),
      letGo: (run) => Effect.sync(() => this.residents.get(run)?.waiting.letGo()),
      events: (filter) => this.#bus.subscribe(filter),
      newRunId: Effect.sync(() => this.#newRunId()),
      resident: Effect.sync(() => this.residents.ids),
      drained: this.lookout.drained,
      broken: Deferred.await(this.#broken),
      stats: Effect.sync(() => ({
        residents: this.residents.ids.length,
        atWork: this.residents.atWork.length,
        deadlines: this.#deadlines.size,
        subscribers: this.#bus.subscribers
      }))
    }
  }

  #mainOf(run: RunContext): RunMain | undefined {
    const resident = this.residents.get(run.id)
    return resident?.run === run ? resident.main : undefined
  }

  /** A run that goes on from one that ended here lives in the same store. */
  #follow(next: RunRecord, own: Children): void {
    this.lookout.give(next.id)
    Runtime.runFork(this.runtime)(own.start(next))
  }

  #newRunId(): RunId {
    return RunId.make(this.#ulid())
  }

  #ulid(): string {
    return ulid(this.clock.unsafeCurrentTimeMillis(), () => this.#chance.number())
  }

  // ---- programs

  #accepts(run: RunRecord): boolean {
    return [...this.#sources].some((source) => source.accepts(run))
  }

  #register(source: ProgramSource): Effect.Effect<void, never, Scope.Scope> {
    const add = Effect.sync(() => {
      this.#sources.add(source)
      this.lookout.registered(source)
    })
    const remove = Effect.suspend(() => {
      this.#sources.delete(source)
      this.#leaving.add(source)
      const [oldest] = this.#leaving
      if (this.#leaving.size > keptSources && oldest !== undefined) this.#leaving.delete(oldest)
      this.lookout.unregistered(source)
      return this.residents.stopSource(source)
    })
    return Effect.acquireRelease(add, () => remove)
  }

  // ---- runs that are asked for

  #start(record: RunRecord, given: GivenRows | undefined): Effect.Effect<RunId, RunAlreadyExists | PersistenceError> {
    return Effect.suspend(() => {
      const run: RunRecord = { ...record, owner: this.id, generation: 1, seq: 0, readyAt: null }
      const started = given === undefined ? this.#begin(run) : this.#beginWith(run, given)
      return Effect.as(started, run.id)
    })
  }

  #begin(run: RunRecord): Effect.Effect<void, RunAlreadyExists | PersistenceError> {
    this.lookout.give(run.id)
    return Effect.catchAll(this.residents.begin(run), (error) =>
      error._tag === "RunNotFound" ? Effect.die(error) : Effect.fail(shownError(run)(error))
    )
  }

  /** What is there from the start is created by itself. */
  #beginWith(run: RunRecord, given: GivenRows): Effect.Effect<void, RunAlreadyExists | PersistenceError> {
    const { below, items, steps } = given
    const create = this.persistence.createTree([{ run, steps, items }, ...below])
    const claim: Claim = { run: run.id, generation: run.generation }
    const created = Effect.as(this.#create(create, run.id, createTries), claim)
    return Effect.catchTag(this.#given(run.id, created), "RunNotFound", Effect.die)
  }

  /** An answer that was lost is found out by trying again: the run is there, under its own id. */
  #create(
    create: Effect.Effect<void, RunAlreadyExists | PersistenceError>,
    root: RunId,
    tries: number
  ): Effect.Effect<void, RunAlreadyExists | PersistenceError> {
    return Effect.catchAll(create, (error) => {
      if (error instanceof RunAlreadyExists) return error.run === root ? Effect.void : Effect.fail(error)
      if (!error.transient || tries <= 1) return Effect.fail(error)
      return Effect.zipRight(this.#deadlines.sleep(createDelay), this.#create(create, root, tries - 1))
    })
  }

  #given<E>(run: RunId, claim: Effect.Effect<Claim, E>): Effect.Effect<void, E | RunNotFound | PersistenceError> {
    return Effect.suspend(() => {
      this.lookout.give(run)
      return this.residents.take(run, claim, true)
    })
  }

  // ---- runs that wait

  #idle(run: RunContext): void {
    const told = Effect.sync(() => {
      const resident = this.residents.get(run.id)
      if (resident?.run === run) resident.waiting.idle(this.settings)
    })
    Runtime.runFork(this.runtime)(told, { immediate: false })
  }

  /** What may clear is tried again; anything else somebody has to look at. */
  #failed(error: PersistenceError): void {
    if (!error.transient) Deferred.unsafeDone(this.#broken, Effect.fail(error))
  }
}

/** Sources that are remembered after they left: a claim may have been on its way for as long as its store took. */
const keptSources = 100

/** How often a creation is tried whose answer may only be lost. */
const createTries = 5
/** ms */
const createDelay = 100
