/**
 * A typed workflow in a process of a test: an engine of its own on a memory store, on a virtual clock, with chance from a
 * seed. `ResumeEquivalence` lets it crash, `Determinism` replays in it.
 *
 * - A process that crashed is abandoned, as it is: its operations on the store do not come back, its clock stands still,
 *   no finalizer runs.
 * - People are none of it: they write to the store itself, and what they have done once they do not do again.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import { newest } from "../engine/Chain.ts"
import { Engine } from "../engine/Engine.ts"
import { EngineConfig, type EngineSettings } from "../engine/EngineConfig.ts"
import { GivenPayloads, type PayloadListener } from "../engine/GivenPayloads.ts"
import type { OutputStore } from "../persistence/OutputStore.ts"
import { Persistence, type PersistenceError, type PersistenceService } from "../persistence/Persistence.ts"
import { isEnded, type RunId, type RunRecord } from "../persistence/Records.ts"
import { describeCause } from "../program/WorkflowEnd.ts"
import { duringExecution, type Execution } from "./BodyGlobals.ts"
import { halted } from "./CrashPoints.ts"
import { noOutputs } from "./ProgramRunner.ts"
import type { VirtualClock } from "./VirtualClock.ts"

/** Any workflow of `Workflow.make` or `Workflow.fromFile`. */
export interface TestedWorkflow<P> {
  readonly name: string
  readonly start: (payload: P) => Effect.Effect<RunId, unknown, Engine | Persistence>
}

/** One history: the code that runs, and the world around it. */
export interface Setup {
  /** The workflow with its actions; built anew for each process of the history. */
  readonly layer: Layer.Layer<never, unknown, Engine | Persistence | OutputStore>
  /** What the world has come to: has to be the same in every history. Compared as JSON. */
  readonly observe?: () => unknown
  /**
   * What people and other programs do, one after the other: each is tried until it succeeds, and then not done again.
   * `(run) => Order.answer(run, Release, { approved: true })`. Absent: a gate or signal whose time is over without an
   * answer is a mistake of the test; `[]`: nobody is meant to answer.
   */
  readonly people?: ReadonlyArray<(run: RunId) => Effect.Effect<unknown, unknown, Persistence>>
}

export interface HistoryOptions<P> {
  readonly payload: P
  /** Called for each history: what stands outside of the process is made here, and outlives it. */
  readonly setup: () => Setup
  readonly settings?: Partial<EngineSettings>
  /**
   * How the run has to end where nobody disturbs it; absent: in any way that its types name, which a defect, a run's
   * timeout, and a failure of a `.wf` file are not.
   */
  readonly end?: "completed" | "failed" | "cancelled"
}

const day = 24 * 3_600_000

/** ms since the epoch. */
export const firstStart = Date.UTC(2030, 0, 1)

/** To whoever waits for something outside of the process. */
export const noRealTime =
  "the clock of a check is virtual, and goes on to the next deadline while a real timer, request or process is waited for; sleep with `Effect.sleep`, and keep the world in memory"

/** Virtual ms after which a run that has not ended never will. */
const patience = 60 * day

/** Virtual days pass quickly where the engine does not look around every few seconds. */
const calm: Partial<EngineSettings> = {
  checkInvariants: true,
  linger: 20,
  leaseTtl: 90 * day,
  leaseRefresh: 30 * day,
  watchdogInterval: 3_600_000,
  heartbeatInterval: 3_600_000
}

/**
 * Of an execution that begins once and is never replayed: what a body keeps over a wait in its variables is then what it
 * was, which it is not where the run is let go.
 */
export const staying: Partial<EngineSettings> = { linger: 90 * day }

/** Of one of `people`, whose last try failed. */
export interface Refusal {
  readonly error: string
  /** It may have come too early, or too late: with another run it could be taken. */
  readonly isUntimely: boolean
}

/** What stands between the processes of one history. */
export interface World {
  readonly store: PersistenceService
  readonly setup: Setup
  /** Of `setup.people`: how many have done what they do. */
  peopleDone: number
  /** Why whoever comes next was not taken; undefined: has not been refused. */
  refusal: Refusal | undefined
  /** Whoever comes next is at it. */
  isActing: boolean
  /** What its processes were. */
  readonly abandoned: Array<Fiber.RuntimeFiber<unknown, unknown>>
}

export const worldOf = (store: PersistenceService, setup: Setup): World => ({
  store,
  setup,
  peopleDone: 0,
  refusal: undefined,
  isActing: false,
  abandoned: []
})

/** Ends what is left of a history's processes, without waiting: of a process that crashed, some never ends. */
export const discard = (world: World): Effect.Effect<void> =>
  Effect.asVoid(Effect.forkDaemon(Fiber.interruptAll(world.abandoned)))

export interface ProcessOptions {
  /** As the engine sees it. */
  readonly store: PersistenceService
  readonly clock: VirtualClock
  /** What its bodies get from `Date` and `Math.random`. */
  readonly execution: Execution
  readonly settings: Partial<EngineSettings> | undefined
  /** Told of what its bodies give to their steps; absent: nobody is. */
  readonly given?: PayloadListener
  /** What the process does first. */
  readonly begin: Effect.Effect<unknown, unknown, Engine | Persistence>
}

/** Runs a process until an effect of the test ends, and abandons it: `until` is on the process's clock. */
export const inProcess = <A>(world: World, options: ProcessOptions, until: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.gen(function* () {
    const { begin, given, settings, store } = options
    const config = { ...calm, ...settings }
    const layer = world.setup.layer.pipe(
      Layer.provideMerge(Engine.layer),
      Layer.provideMerge(Layer.merge(Layer.succeed(Persistence, store), noOutputs)),
      Layer.provide(EngineConfig.layerWith(config)),
      Layer.provide(given === undefined ? Layer.empty : GivenPayloads.layerWith(given))
    )
    const living = Effect.zipRight(begin, halted).pipe(Effect.provide(layer), Effect.orDie)
    const people = Effect.provideService(actAsPeople(world), Persistence, world.store)
    const [engine, others] = [yield* Effect.forkDaemon(living), yield* Effect.forkDaemon(people)]
    const died = Effect.raceFirst(failureOf(engine), failureOf(others))
    const result = yield* Effect.exit(Effect.raceFirst(until, died))
    options.clock.stop()
    yield* quiet
    world.abandoned.push(engine, others)
    return yield* result
  }).pipe(
    duringExecution(options.clock, options.execution),
    Effect.withClock(options.clock),
    Effect.withRandom(Random.make("a test")),
    Logger.withMinimumLogLevel(LogLevel.Fatal)
  )

/** The layers cannot be built, or the run cannot be started. */
const failureOf = (fiber: Fiber.RuntimeFiber<unknown, never>): Effect.Effect<never> =>
  Effect.flatMap(Fiber.await(fiber), (exit) => (Exit.isFailure(exit) ? Effect.failCause(exit.cause) : halted))

/** Lets go by what the process does in the turn of the event loop in which it is stopped. */
const quiet = Effect.promise(async () => {
  for (let round = 0; round < 5; round++) await new Promise((resolve) => setImmediate(resolve))
})

/** Looks that grow rarer: soon at first, by the hour in the end. */
const looks = (wait: number): number => Math.min(wait * 1.3, 3_600_000)

const actAsPeople = (world: World): Effect.Effect<void, never, Persistence> =>
  Effect.gen(function* () {
    const people = world.setup.people ?? []
    for (let wait = 50; world.peopleDone < people.length; wait = looks(wait)) {
      yield* Effect.sleep(wait)
      const root = yield* Effect.orDie(rootOf(world.store))
      const person = people[world.peopleDone]
      if (root === undefined || person === undefined) continue
      world.isActing = true
      const done = yield* Effect.exit(person(root.id))
      world.isActing = false
      world.refusal = Exit.isSuccess(done) ? undefined : refusalOf(done.cause, world.refusal)
      if (!Exit.isSuccess(done)) continue
      world.peopleDone += 1
      wait = 50
    }
  })

/** That the run has ended says less than why it did not take the person before. */
const refusalOf = (cause: Cause.Cause<unknown>, before: Refusal | undefined): Refusal => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  const isOver = Predicate.isTagged(failure, "RunAlreadyEnded")
  if (isOver && before !== undefined) return before
  return { error: describeCause(cause), isUntimely: isOver || Predicate.isTagged(failure, "NotWaiting") }
}

/** What the world has come to, as JSON; undefined: `observe` is absent, or gives nothing. */
export const observedIn = ({ setup: { observe } }: World): string | undefined => JSON.stringify(observe?.())

/** The run that the workflow was started as. */
export const rootOf = (store: PersistenceService): Effect.Effect<RunRecord | undefined, PersistenceError> =>
  Effect.map(store.list({ parent: null, limit: 10_000 }), (runs) => runs.find(({ continues }) => continues === null))

/** `why`: it has not ended, and will not. */
export type RunEnd =
  | { readonly _tag: "Ended"; readonly root: RunRecord }
  | { readonly _tag: "Stuck"; readonly why: string }

/** Waits, on the process's clock, until the run has ended; why it does not, if so. */
export const untilEnded = (world: World): Effect.Effect<RunEnd> =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    for (let wait = 50; ; wait = looks(wait)) {
      yield* Effect.sleep(wait)
      const root = yield* rootOf(world.store)
      const last = root === undefined ? undefined : yield* newest(world.store, root.id)
      if (root !== undefined && last !== undefined && isEnded(last.status)) return { _tag: "Ended", root } as const
      const parked = yield* world.store.list({ status: ["needs_resume"], limit: 1 })
      const [stuck] = parked
      if (stuck !== undefined) return stuckWith(`the run of '${stuck.workflow}' was parked: ${stuck.error}`)
      if ((yield* Clock.currentTimeMillis) > start + patience) return stuckWith(neverEnded(world, last))
    }
  }).pipe(Effect.orDie)

const stuckWith = (why: string): RunEnd => ({ _tag: "Stuck", why })

const neverEnded = (world: World, run: RunRecord | undefined): string => {
  const blockedOn = run?.blockedOn ?? []
  const on = blockedOn.map(({ _tag, path }) => `the ${_tag} at ${path}`)
  const waits = on.length === 0 ? "" : `; it waits for ${on.join(", ")}`
  const isAsking = blockedOn.some(({ _tag }) => _tag === "gate" || _tag === "signal")
  return `the run is ${run?.status ?? "not there"} after 60 days${waits}${isAsking || world.refusal !== undefined ? who(world) : ""}`
}

/** Of one of `people` who waits for what does not happen. */
export const stillActing = ({ peopleDone }: World): string =>
  `number ${peopleDone + 1} of \`people\` has not come to an end: ${noRealTime}`

/** Why nobody answers. */
const who = (world: World): string => {
  const { refusal, setup } = world
  const { people } = setup
  if (world.isActing) return `; ${stillActing(world)}`
  if (refusal !== undefined) return `; the next of 'people' still fails: ${refusal.error}`
  if (people === undefined || people.length === 0)
    return "; nobody answers: that is for `people`, beside the layer in what `setup` gives"
  return `; all ${people.length} of 'people' have done what they do`
}
