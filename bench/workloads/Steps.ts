/**
 * Calls, one after another and in many runs at once.
 */
import * as Effect from "effect/Effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { SqliteStats } from "../../src/persistence/SqlitePersistence.ts"
import { completeRun, definitionOf, type Durability, onBed } from "../Bed.ts"
import { rawSteps } from "../Raw.ts"
import { type Sample, timed, type Workload } from "../Workload.ts"

const calls = (count: number): string => `workflow calls { ${"call instant ".repeat(count)} }`

/** Times `runs` runs of `steps` calls, all started at once, with the commits and statements of their writes. */
const timedRuns = (durability: Durability, runs: number, steps: number): Promise<Sample> => {
  const definition = definitionOf(calls(steps))
  const one = completeRun(definition)
  return onBed(
    { durability },
    Effect.gen(function* () {
      const { counts } = yield* SqliteStats
      // The first run of an engine stores the definition and compiles what the rest run.
      yield* completeRun(definitionOf(calls(10)))
      const before = yield* counts
      const runtime = yield* Effect.runtime<Effect.Effect.Context<typeof one>>()
      const work = Effect.provide(
        Effect.all(
          Array.from({ length: runs }, () => one),
          { concurrency: "unbounded" }
        ),
        runtime
      )
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
}

const against = (durability: Exclude<Durability, "memory">, runs: number, steps: number) => ({
  name: `raw ${durability}, two commits a step`,
  run: () => rawSteps(durability, runs, steps)
})

const sequential = (
  durability: Durability,
  steps: number,
  yardstick: Exclude<Durability, "memory">,
  ratio: number | undefined
): Workload => ({
  name: `one run of ${steps} calls, ${durability}`,
  unit: "steps",
  count: steps,
  target: ratio === undefined ? undefined : { _tag: "AtLeast", ratio },
  run: () => timedRuns(durability, 1, steps),
  yardstick: against(yardstick, 1, steps)
})

const together = (durability: Exclude<Durability, "memory">, ratio: number): Workload => ({
  name: `50 runs of 100 calls at once, ${durability}`,
  unit: "steps",
  count: 5_000,
  target: { _tag: "AtLeast", ratio },
  run: () => timedRuns(durability, 50, 100),
  yardstick: against(durability, 50, 100)
})

/** A run of ten times as many steps, against ten of the shorter: the cost of a step must not grow with its number. */
const growing = (durability: Durability): Workload => ({
  name: `one run of 10000 calls, ${durability}, by ten of 1000`,
  unit: "steps",
  count: 10_000,
  rounds: 3,
  target: { _tag: "AtLeast", ratio: 0.9 },
  run: () => timedRuns(durability, 1, 10_000),
  yardstick: {
    name: "ten runs of 1000 calls, one after another",
    run: async () => {
      const samples: Array<Sample> = []
      for (let n = 0; n < 10; n++) samples.push(await timedRuns(durability, 1, 1_000))
      return { took: samples.reduce((sum, { took }) => sum + took, 0) }
    }
  }
})

export const steps: ReadonlyArray<Workload> = [
  sequential("FULL", 1_000, "FULL", 1.2),
  sequential("NORMAL", 1_000, "NORMAL", 0.4),
  sequential("memory", 1_000, "NORMAL", 0.8),
  sequential("OFF", 1_000, "OFF", undefined),
  together("FULL", 6),
  together("NORMAL", 0.8),
  growing("memory"),
  growing("NORMAL")
]

/** The event loop's delay while 50 runs of 100 calls are at work. */
export const responsive: Workload = {
  name: "event loop delay at p99 under 50 runs of 100 calls, FULL",
  unit: "ms",
  count: 1,
  target: { _tag: "AtMost", value: 20, unit: "ms" },
  run: async () => ({ took: (await timedRuns("FULL", 50, 100)).delay ?? Number.NaN })
}
