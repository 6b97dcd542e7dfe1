/**
 * Whether a body is deterministic: it is replayed over its own journal, in new engines, at every place where a process
 * could have stopped, and has to come to what it came to the first time.
 *
 * - No handler runs in a replay: its first row that is new is looked at, and the process goes no further.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Schema from "effect/Schema"
import type { Change, RunPatch } from "../persistence/Journal.ts"
import * as MemoryPersistence from "../persistence/MemoryPersistence.ts"
import type { MemorySnapshot } from "../persistence/MemoryStore.ts"
import { type Commit, Persistence, type PersistenceService } from "../persistence/Persistence.ts"
import { isTerminal, type RunRecord, type StepRecord } from "../persistence/Records.ts"
import { ComparedPayloads, described } from "./ComparedPayloads.ts"
import { halted } from "./CrashPoints.ts"
import { nthExecution } from "./BodyGlobals.ts"
import { loseEngines } from "./ProgramRunner.ts"
import { readTree, type RunTree } from "./RecordComparison.ts"
import {
  discard,
  firstStart,
  type HistoryOptions,
  inProcess,
  rootOf,
  staying,
  type TestedWorkflow,
  untilEnded,
  worldOf
} from "./TestedProcess.ts"
import { NotTestable, undisturbedEnd, type UndisturbedEnd } from "./UndisturbedEnd.ts"
import { VirtualClock } from "./VirtualClock.ts"
import { wordsOf } from "./WriteLog.ts"

export interface DeterminismOptions<P> extends HistoryOptions<P> {
  /** Only the journal as it was after this write, as a failure names it. */
  readonly only?: number
}

export interface DeterminismReport {
  /** Journals that were replayed: each a prefix of the whole one. */
  readonly replays: number
  /** Of the first execution. */
  readonly end: UndisturbedEnd
}

/** A body that did something else when it was replayed. */
export class NotDeterministic extends Schema.TaggedError<NotDeterministic>()("NotDeterministic", {
  workflow: Schema.String,
  /** Where it does not fit, and how to see it again. */
  difference: Schema.String
}) {
  override get message() {
    const why = [
      "what a body does may depend on its payload and on what its primitives give, and on nothing else:",
      "not on Date.now() or Math.random() (use Workflow.now, random, uuid),",
      "nor on a variable, a file or a service outside of it (use an action)"
    ].join("\n")
    return `the body of workflow '${this.workflow}' is not deterministic\n${this.difference}\n${why}`
  }
}

/** A commit of the first execution. */
interface Written {
  readonly before: MemorySnapshot
  readonly commit: Commit
  readonly after: MemorySnapshot
  /** ms since the epoch. */
  readonly at: number
}

/** A journal that is replayed. */
interface Place {
  /** The commit that it ends with, from 1. */
  readonly write: number
  readonly words: string
  readonly snapshot: MemorySnapshot
  readonly at: number
}

/** A place, and as which replay it is replayed, from 1. */
interface NumberedPlace extends Place {
  readonly replay: number
}

/**
 * Runs the workflow once, then replays it from its journal as it was after each of its writes, and from the whole one.
 * To the body it is another day and hour in each replay, and `Math.random` draws other numbers.
 *
 * ```ts
 * yield* checkDeterminism(Order, { payload, setup: () => ({ layer: order.pipe(Layer.provide(actions)) }) })
 * ```
 *
 * Fails with `NotDeterministic`: with the first step that the first execution did not come to, came to as something
 * else, or gave another payload, or with an end that is not the recorded one; with `NotTestable` where the first execution comes to
 * none, or to one that is hardly meant. `setup` is called for each replay.
 */
export const checkDeterminism = <P>(
  workflow: TestedWorkflow<P>,
  options: DeterminismOptions<P>
): Effect.Effect<DeterminismReport, NotDeterministic | NotTestable> =>
  Effect.gen(function* () {
    const payloads = new ComparedPayloads()
    const { end, places, tree } = yield* firstExecution(workflow, options, payloads)
    const chosen = places.filter(({ write }) => options.only === undefined || write === options.only)
    for (const place of chosen) {
      const difference = yield* replay(options, { place, tree, payloads })
      if (difference === undefined) continue
      const where = `replayed after write ${place.write} (${place.words}):`
      const again = `once more only this: only: ${place.write}`
      return yield* new NotDeterministic({ workflow: workflow.name, difference: [where, difference, again].join("\n") })
    }
    return { replays: chosen.length, end }
  })

const firstExecution = <P>(workflow: TestedWorkflow<P>, options: DeterminismOptions<P>, payloads: ComparedPayloads) =>
  Effect.gen(function* () {
    const { payload, setup } = options
    const settings = { ...staying, ...options.settings }
    const memory = yield* MemoryPersistence.make()
    const clock = new VirtualClock(firstStart)
    const world = worldOf(memory.service, setup())
    const written: Array<Written> = []
    const store = recording(memory, clock, written)
    const [given, begin] = [payloads.first, workflow.start(payload)]
    const process = { store, clock, settings, execution: nthExecution(0), given, begin }
    const ended = yield* inProcess(world, process, untilEnded(world))
    if (ended._tag === "Stuck") return yield* new NotTestable({ workflow: workflow.name, reason: ended.why })
    const end = yield* undisturbedEnd(world, ended.root, options)
    const tree = yield* Effect.provideService(readTree(ended.root.id), Persistence, world.store)
    yield* discard(world)
    const places = yield* Effect.forEach(written, placesOf)
    return { places: places.flat().map((place, index) => ({ ...place, replay: index + 1 })), tree, end }
  }).pipe(Effect.catchTag("PersistenceError", Effect.die))

const recording = (
  memory: MemoryPersistence.MemoryPersistence,
  clock: VirtualClock,
  written: Array<Written>
): PersistenceService => ({
  ...memory.service,
  commit: (commit) =>
    Effect.suspend(() => {
      const before = memory.snapshot()
      const at = clock.unsafeCurrentTimeMillis()
      return Effect.tap(memory.service.commit(commit), () =>
        Effect.sync(() => void written.push({ before, commit, after: memory.snapshot(), at }))
      )
    })
})

/**
 * The journal behind a commit; and, where what a step's end led to is in the same commit, the journal that has the end
 * only: it is there that the body has to decide again.
 */
const placesOf = ({ after, at, before, commit }: Written, index: number) =>
  Effect.gen(function* () {
    const place = { write: index + 1, at }
    const whole: Place = { ...place, words: wordsOf(commit.changes), snapshot: after }
    const ends = commit.changes.filter(isEndOfStep)
    if (ends.length === 0 || ends.length === commit.changes.length) return [whole]
    const memory = yield* MemoryPersistence.make({ from: before })
    yield* Effect.orDie(memory.service.commit({ ...commit, changes: ends }))
    const half: Place = { ...place, words: `${wordsOf(ends)}, and nothing further`, snapshot: memory.snapshot() }
    return [half, whole]
  })

/** Phases end by what the body does. */
const isEndOfStep = (change: Change): boolean =>
  change._tag === "Step" && change.step.kind !== "phase" && isTerminal(change.step.status)

/** Virtual time after which a replay that writes nothing has come to where it waits. */
const restAfter = "1 hour"

/** Virtual time for the other runs of a replay, once one of them has come to something new that fits. */
const others = "10 millis"

interface Replay {
  readonly place: NumberedPlace
  /** What the first execution came to, and what it gave to its steps. */
  readonly tree: RunTree
  readonly payloads: ComparedPayloads
}

/** What the replay of a journal does that the first execution did not; undefined: nothing. */
const replay = <P>({ settings, setup }: DeterminismOptions<P>, { payloads, place, tree }: Replay) =>
  Effect.gen(function* () {
    const memory = yield* MemoryPersistence.make({ from: place.snapshot })
    const root = yield* rootOf(memory.service)
    if (root === undefined) return undefined
    yield* loseEngines(memory.service)
    const world = worldOf(memory.service, { layer: setup().layer })
    const found = Deferred.unsafeMake<string>(FiberId.none)
    const fits = Deferred.unsafeMake<void>(FiberId.none)
    const tell = (difference: string) => Deferred.unsafeDone(found, Effect.succeed(difference))
    const store = comparing(memory.service, tree, (difference) =>
      difference === undefined ? Deferred.unsafeDone(fits, Effect.void) : tell(difference)
    )
    const given = payloads.replayed(tell)
    const rest = Effect.raceFirst(Effect.sleep(restAfter), Effect.zipRight(Deferred.await(fits), Effect.sleep(others)))
    const clock = new VirtualClock(place.at + 1)
    const until = Effect.raceFirst(Deferred.await(found), Effect.as(rest, undefined))
    const execution = nthExecution(place.replay)
    const process = { store, clock, settings, execution, given, begin: Effect.void }
    const difference = yield* inProcess(world, process, until)
    yield* discard(world)
    return difference
  }).pipe(Effect.orDie)

/** A store that compares what a replay commits, and takes nothing new. */
const comparing = (
  store: PersistenceService,
  tree: RunTree,
  found: (difference: string | undefined) => void
): PersistenceService => ({
  ...store,
  commit: (commit) =>
    Effect.gen(function* () {
      if (!commit.changes.some(isNews)) return yield* store.commit(commit)
      const known = tree.runs.find(({ run }) => run.id === commit.run)
      // A child that the first execution began later, under another id.
      if (known === undefined) return yield* halted
      const journal = yield* store.steps(commit.run)
      found(
        newsDifference({ first: known.steps, run: known.run, ended: endedIn(journal, commit.changes) }, commit.changes)
      )
      return yield* halted
    })
})

/** The paths that have ended, when the changes are made. */
const endedIn = (journal: ReadonlyArray<StepRecord>, changes: ReadonlyArray<Change>): ReadonlySet<string> => {
  const changed = changes.flatMap((change) => (change._tag === "Step" ? [change.step] : []))
  return new Set([...journal, ...changed].filter(({ status }) => isTerminal(status)).map(({ path }) => path))
}

/** A row, an end, or that the run is parked. */
const isNews = (change: Change): boolean =>
  change._tag === "Step" || change._tag === "Continue" || (change._tag === "Run" && isLast(change.patch))

const isLast = ({ status }: RunPatch): boolean =>
  status === "completed" || status === "failed" || status === "cancelled" || status === "needs_resume"

interface Replayed {
  /** What the first execution came to. */
  readonly first: ReadonlyArray<StepRecord>
  readonly run: RunRecord
  /** What has ended in the replay. */
  readonly ended: ReadonlySet<string>
}

const newsDifference = (replayed: Replayed, changes: ReadonlyArray<Change>): string | undefined => {
  for (const change of changes) {
    const difference =
      change._tag === "Step"
        ? stepDifference(change.step, replayed)
        : change._tag === "Run"
          ? endDifference(change.patch, replayed)
          : undefined
    if (difference !== undefined) return difference
  }
  return undefined
}

const stepDifference = (step: StepRecord, replayed: Replayed): string | undefined => {
  const before = replayed.first.find(({ path }) => path === step.path)
  // Its end says more.
  if (step.kind === "phase") return undefined
  if (before === undefined) return `it came to ${described(step)}, and the first execution never came there`
  if (described(before) !== described(step)) {
    return `it came to ${described(step)}, where the first execution had ${described(before)}`
  }
  const skipped = skippedBefore(before, replayed)
  if (skipped === undefined) return undefined
  return `it came to ${described(step)}, where the first execution first had ${described(skipped)}`
}

/** What comes one after the other: the steps of one scope, unless they are branches of a block. */
const skippedBefore = (step: StepRecord, { ended, first }: Replayed): StepRecord | undefined =>
  first.find(
    (other) =>
      other.position < step.position &&
      other.group === null &&
      step.group === null &&
      scopeOf(other) === scopeOf(step) &&
      !ended.has(other.path)
  )

const scopeOf = ({ path }: StepRecord): string => path.slice(0, path.lastIndexOf("/"))

const endDifference = (patch: RunPatch, { ended, first, run }: Replayed): string | undefined => {
  if (!isLast(patch)) return undefined
  if (patch.status === "needs_resume") return `it does not fit: ${patch.error}`
  const skipped = first.find((step) => scopeOf(step) === "" && step.kind !== "phase" && !ended.has(step.path))
  if (skipped !== undefined) return `it came to its end without ${described(skipped)}`
  const [before, now] = [endOf(run), endOf({ ...run, ...patch })]
  return before === now ? undefined : `it came to another end\n  first  ${before}\n  now    ${now}`
}

const endOf = ({ error, result, status }: Pick<RunRecord, "status" | "error" | "result">): string =>
  `${status} ${JSON.stringify(result)}${error === null ? "" : ` ${error}`}`
