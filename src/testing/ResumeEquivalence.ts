/**
 * Resume equivalence (spec/orchestration.md, law 7) of users' workflows: whatever write the process dies at, starting it
 * again has to come to the records, and to the world, of a history in which nobody stopped it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as MemoryPersistence from "../persistence/MemoryPersistence.ts"
import { Persistence } from "../persistence/Persistence.ts"
import type { RunRecord } from "../persistence/Records.ts"
import { type Execution, nthExecution } from "./BodyGlobals.ts"
import { crashing, runWrites } from "./CrashPoints.ts"
import { comparableLines } from "./DrawnValues.ts"
import { loseEngines } from "./ProgramRunner.ts"
import { lineDifference, readTree } from "./RecordComparison.ts"
import { Seeded } from "./Seeded.ts"
import {
  discard,
  firstStart,
  type HistoryOptions,
  inProcess,
  observedIn,
  rootOf,
  staying,
  type TestedWorkflow,
  untilEnded,
  type World,
  worldOf
} from "./TestedProcess.ts"
import { NotTestable, undisturbedEnd, type UndisturbedEnd } from "./UndisturbedEnd.ts"
import { VirtualClock } from "./VirtualClock.ts"
import { sayingWrites } from "./WriteLog.ts"

/** Where a process dies: before its n-th write (from 1) is applied, or after that, before it hears of it. */
export interface Crash {
  readonly write: number
  readonly moment: "before" | "after"
}

export interface ResumeOptions<P> extends HistoryOptions<P> {
  /** Histories with a second crash, drawn by the seed; default 10. */
  readonly secondCrashes?: number
  /** Default 1. */
  readonly seed?: number
  /** One history only, as a failure names it: the crashes of its processes. */
  readonly only?: ReadonlyArray<Crash>
}

export interface ResumeReport {
  /** Of the history that nobody stopped. */
  readonly writes: number
  /** Histories with a crash. */
  readonly histories: number
  /** Of the history that nobody stopped. */
  readonly end: UndisturbedEnd
}

/** A history in which the process died, and that came out differently. */
export class ResumeDiffers extends Schema.TaggedError<ResumeDiffers>()("ResumeDiffers", {
  workflow: Schema.String,
  /** How many of how many histories. */
  count: Schema.Number,
  histories: Schema.Number,
  /** Of the first ones: what happened, what differed, and how to see it again. */
  failures: Schema.Array(Schema.String)
}) {
  override get message() {
    const head = `workflow '${this.workflow}' does not survive ${this.count} of ${this.histories} crashes`
    return [head, ...this.failures].join("\n\n")
  }
}

/** The workflow comes to another end without any crash. */
export class NotRepeatable extends Schema.TaggedError<NotRepeatable>()("NotRepeatable", {
  workflow: Schema.String,
  difference: Schema.String
}) {
  override get message() {
    return `workflow '${this.workflow}' cannot be tested for crashes: ${this.difference}`
  }
}

interface End {
  readonly root: RunRecord
  readonly records: ReadonlyArray<string>
  /** JSON. */
  readonly observed: string | undefined
}

/** What its processes wrote, each up to its crash, and how it ended, or why not. */
interface History {
  readonly writes: ReadonlyArray<ReadonlyArray<string>>
  /** Those of the plan that happened: the others are beyond the end of the history. */
  readonly crashes: ReadonlyArray<Crash>
  readonly end: End | string
  readonly world: World
}

/** Failures that are told of in full. */
const mostTold = 3

/**
 * Runs the workflow once without a crash, and then once for each write of that history with the process dying before it,
 * and after it; each time another process goes on with what is left. Everything is in memory and on a virtual clock:
 * handlers must be, too. What `setup` makes is the world outside, which outlives the processes.
 *
 * ```ts
 * yield* checkResumeEquivalence(Order, {
 *   payload: { id: "o-1", cents: 100 },
 *   setup: () => {
 *     const bank = new Bank()
 *     return { layer: order.pipe(Layer.provide(actions(bank))), observe: () => bank.balances }
 *   }
 * })
 * ```
 *
 * To a body it is another day and hour in the process that goes on, and `Math.random` draws other numbers.
 *
 * Fails with `ResumeDiffers`; with `NotRepeatable` where even two histories without a crash are not the same; with
 * `NotTestable` where these come to no end, or to one that is hardly meant, and where `only` names a crash that does
 * not happen.
 */
export const checkResumeEquivalence = <P>(
  workflow: TestedWorkflow<P>,
  options: ResumeOptions<P>
): Effect.Effect<ResumeReport, ResumeDiffers | NotRepeatable | NotTestable> =>
  Effect.gen(function* () {
    const { end, expected, writes } = yield* withoutCrash(workflow, options)
    const failures: Array<string> = []
    const plans = options.only === undefined ? plansFor(writes, options) : [options.only]
    for (const plan of plans) {
      const history = yield* historyOf(workflow, options, plan)
      if (options.only !== undefined) yield* checkReached(workflow, history, plan)
      const difference = differenceOf(expected, history.end)
      if (difference === undefined) continue
      if (history.crashes.length === 0) return yield* notRepeatable(workflow, difference)
      failures.push(told(history, difference))
    }
    const histories = plans.length
    if (failures.length === 0) return { writes, histories, end }
    const count = failures.length
    return yield* new ResumeDiffers({
      workflow: workflow.name,
      count,
      histories,
      failures: failures.slice(0, mostTold)
    })
  })

const withoutCrash = <P>(workflow: TestedWorkflow<P>, options: ResumeOptions<P>) =>
  Effect.gen(function* () {
    const one = yield* historyOf(workflow, { ...options, settings: { ...staying, ...options.settings } }, [])
    if (typeof one.end === "string") return yield* new NotTestable({ workflow: workflow.name, reason: one.end })
    const end = yield* undisturbedEnd(one.world, one.end.root, options)
    const other = yield* historyOf(workflow, options, [], 1)
    const difference = differenceOf(one.end, other.end)
    // The one that was let go while it waited has the writes of both.
    if (difference === undefined) return { end, expected: one.end, writes: other.writes[0]?.length ?? 0 }
    return yield* notRepeatable(workflow, difference)
  })

const notRepeatable = <P>({ name }: TestedWorkflow<P>, difference: string): NotRepeatable => {
  const what =
    "two histories without a crash differ, in what Date.now() or Math.random() gave the body, or something outside of 'setup'"
  return new NotRepeatable({ workflow: name, difference: `${what}\n${difference}` })
}

/** A crash that does not happen tests nothing. */
const checkReached = <P>(
  { name }: TestedWorkflow<P>,
  { crashes, writes }: History,
  plan: ReadonlyArray<Crash>
): Effect.Effect<void, NotTestable> => {
  const missed = plan[crashes.length]
  if (missed === undefined) return Effect.void
  const count = writes[crashes.length]?.length ?? 0
  const reason = `\`only\` kills process ${crashes.length + 1} ${missed.moment} write ${missed.write}, and it makes ${count}`
  return Effect.fail(new NotTestable({ workflow: name, reason }))
}

/** Every write, before and after; then some with a second crash soon after the first. */
const plansFor = <P>(writes: number, { secondCrashes = 10, seed = 1 }: ResumeOptions<P>) => {
  const random = new Seeded(seed)
  const once = Array.from({ length: writes }, (_, index) => index + 1).flatMap((write) =>
    (["before", "after"] as const).map((moment): ReadonlyArray<Crash> => [{ write, moment }])
  )
  const twice = Array.from({ length: secondCrashes }, (): ReadonlyArray<Crash> => {
    const crash = (most: number): Crash => ({
      write: random.between(1, most),
      moment: random.pick(["before", "after"])
    })
    return [crash(writes), crash(Math.min(writes, 6))]
  })
  return [...once, ...twice]
}

/**
 * A history whose first processes die as planned; one that comes to its end before that does not die. `first`: as which
 * execution its first process runs the body.
 */
const historyOf = <P>(
  workflow: TestedWorkflow<P>,
  options: ResumeOptions<P>,
  plan: ReadonlyArray<Crash>,
  first = 0
): Effect.Effect<History> =>
  Effect.gen(function* () {
    const memory = yield* MemoryPersistence.make()
    const world = worldOf(memory.service, options.setup())
    const writes: Array<ReadonlyArray<string>> = []
    let start = firstStart
    for (let process = 0; ; process++) {
      const clock = new VirtualClock(start)
      const said: Array<string> = []
      writes.push(said)
      const execution = nthExecution(first + process)
      const ended = yield* liveOnce(workflow, options, { world, clock, execution, said, crash: plan[process] })
      if (ended !== "crashed") {
        const end = ended._tag === "Stuck" ? ended.why : yield* endOf(world, ended.root)
        yield* discard(world)
        return { writes, crashes: plan.slice(0, process), end, world }
      }
      yield* loseEngines(world.store)
      start = clock.unsafeCurrentTimeMillis() + 1_000
    }
  }).pipe(Effect.orDie)

interface Life {
  readonly world: World
  readonly clock: VirtualClock
  readonly execution: Execution
  readonly said: Array<string>
  readonly crash: Crash | undefined
}

/** One process: until it dies, until the run has ended, or why it does not. */
const liveOnce = <P>(workflow: TestedWorkflow<P>, { payload, settings }: ResumeOptions<P>, life: Life) =>
  Effect.gen(function* () {
    const { clock, crash, execution, said, world } = life
    const point = crash === undefined ? undefined : { at: crash.write, moment: crash.moment, only: runWrites }
    const deadly = crashing(world.store, point)
    const started = (yield* Effect.orDie(rootOf(world.store))) !== undefined
    return yield* inProcess(
      world,
      {
        store: sayingWrites(deadly.service, said),
        clock,
        execution,
        settings,
        begin: started ? Effect.void : workflow.start(payload)
      },
      Effect.raceFirst(untilEnded(world), Effect.as(deadly.crash, "crashed" as const))
    )
  })

const endOf = (world: World, root: RunRecord): Effect.Effect<End> =>
  Effect.map(readTree(root.id), (tree) => ({
    root,
    records: comparableLines(tree),
    observed: observedIn(world)
  })).pipe(Effect.provideService(Persistence, world.store), Effect.orDie)

const differenceOf = (expected: End, actual: End | string): string | undefined => {
  if (typeof actual === "string") return actual
  if (expected.observed !== actual.observed) {
    return `the world is not the same\n  expected ${expected.observed}\n  actual   ${actual.observed}`
  }
  return lineDifference(expected.records, actual.records)
}

const told = ({ crashes, writes }: History, difference: string): string => {
  const killed = crashes.map(
    ({ moment, write }, index) => `${moment} write ${write} (${writes[index]?.[write - 1] ?? "unknown"})`
  )
  const only = crashes.map(({ moment, write }) => `{ write: ${write}, moment: "${moment}" }`)
  return [
    `killed ${killed.join(", then ")}, and started again:`,
    difference,
    `once more only this: only: [${only.join(", ")}]`
  ].join("\n")
}
