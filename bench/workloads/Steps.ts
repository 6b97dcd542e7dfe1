/**
 * Calls, one after another and in many runs at once.
 */
import * as Effect from "effect/Effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { SqliteStats } from "../../src/persistence/SqlitePersistence.ts"
import { completeRun, definitionOf, type Durability, onBed } from "../Bed.ts"
import { rawSteps } from "../Raw.ts"
import { type Sample, type Scale, timed, type Workload } from "../Workload.ts"

const calls = (count: number): string => `workflow calls { ${"call instant ".repeat(count)} }`

const runOf = (steps: number) => completeRun(definitionOf(calls(steps)))

/** So many runs of one workflow. */
const runsOf = (runs: number, steps: number) => {
  const run = runOf(steps)
  return Array.from({ length: runs }, () => run)
}

/** Times runs, all at once or in turn, with the commits and statements of their writes. */
const timedRuns = (
  durability: Durability,
  runs: ReadonlyArray<ReturnType<typeof runOf>>,
  concurrency: "unbounded" | 1 = "unbounded"
): Promise<Sample> =>
  onBed(
    { durability },
    Effect.gen(function* () {
      const { counts } = yield* SqliteStats
      // The first run of an engine stores the definition and compiles what the rest run.
      yield* runOf(10)
      const before = yield* counts
      const runtime = yield* Effect.runtime<Effect.Effect.Context<ReturnType<typeof runOf>>>()
      const work = Effect.provide(Effect.all(runs, { concurrency, discard: true }), runtime)
      const delays = monitorEventLoopDelay({ resolution: 1 })
      delays.enable()
      const sample = yield* Effect.promise(() => timed(() => Effect.runPromise(work)))
      delays.disable()
      const after = yield* counts
      return {
        ...sample,
        commits: after.transactions - before.transactions,
        statements: after.statements - before.statements,
        // Each is measured from one tick of the histogram's timer to the next.
        delay: Math.max(0, delays.percentile(99) / 1e6 - 1)
      }
    })
  )

type OnDisk = Exclude<Durability, "memory">

const against = (durability: OnDisk, runs: number, steps: number) => ({
  name: `raw ${durability}, two commits a step`,
  run: () => rawSteps(durability, runs, steps)
})

const sequential = (durability: Durability, steps: number, yardstick: OnDisk, ratio: number | undefined): Workload => ({
  name: `one run of ${steps} calls, ${durability}`,
  unit: "steps",
  count: steps,
  target: ratio === undefined ? undefined : { _tag: "AtLeast", ratio },
  // A step's end and the start of the next are one commit: BEGIN, its fence, two rows, COMMIT. The definition
  // is stored before it, the run created with its first step, and its end joins the last step's.
  ...(durability === "memory" ? {} : { writes: { commits: steps + 2, statements: 5 * steps + 7 } }),
  run: () => timedRuns(durability, [runOf(steps)]),
  yardstick: against(yardstick, 1, steps)
})

const together = (durability: OnDisk, runs: number, steps: number, ratio: number): Workload => ({
  name: `${runs} runs of ${steps} calls at once, ${durability}`,
  unit: "steps",
  count: runs * steps,
  target: { _tag: "AtLeast", ratio },
  run: () => timedRuns(durability, runsOf(runs, steps)),
  yardstick: against(durability, runs, steps)
})

/** A run of ten times as many steps, against ten of the shorter: the cost of a step must not grow with its number. */
const growing = (durability: Durability, steps: number): Workload => ({
  name: `one run of ${10 * steps} calls, ${durability}, by ten of ${steps}`,
  unit: "steps",
  count: 10 * steps,
  rounds: 3,
  target: { _tag: "AtLeast", ratio: 0.9 },
  run: () => timedRuns(durability, [runOf(10 * steps)]),
  yardstick: {
    name: `ten runs of ${steps} calls, one after another`,
    // Each of a workflow of its own, since what an engine does once for a workflow grows with its calls.
    run: () =>
      timedRuns(
        durability,
        Array.from({ length: 10 }, () => runOf(steps)),
        1
      )
  }
})

/** The event loop's delay while many runs are at work. */
const responsive = (runs: number, steps: number): Workload => ({
  name: `event loop delay at p99 under ${runs} runs of ${steps} calls, FULL`,
  unit: "ms",
  count: 1,
  target: { _tag: "AtMost", value: 20, unit: "ms" },
  run: async () => ({ took: (await timedRuns("FULL", runsOf(runs, steps))).delay ?? Number.NaN })
})

export const steps = (size: Scale): ReadonlyArray<Workload> => [
  sequential("FULL", size(1_000), "FULL", 1.2),
  sequential("NORMAL", size(1_000), "NORMAL", 0.4),
  sequential("memory", size(1_000), "NORMAL", 0.8),
  sequential("OFF", size(1_000), "OFF", undefined),
  together("FULL", size(50), size(100), 6),
  together("NORMAL", size(50), size(100), 0.8),
  growing("memory", size(1_000)),
  growing("NORMAL", size(1_000)),
  responsive(size(50), size(100))
]
