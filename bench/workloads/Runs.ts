/**
 * Runs of one call, blocks of many, and fan-outs.
 */
import * as Effect from "effect/Effect"
import { SqliteStats } from "../../src/persistence/SqlitePersistence.ts"
import { type BedOptions, completeRun, definitionOf, type Durability, onBed } from "../Bed.ts"
import { rawInserts, rawItems, rawRuns } from "../Raw.ts"
import { type Sample, timed, type Workload } from "../Workload.ts"

/** Times the run of one definition, on an engine that has run a smaller one. */
export const timedWork = (
  options: BedOptions,
  work: ReturnType<typeof completeRun>,
  warmUp: ReturnType<typeof completeRun> = completeRun(oneCall)
): Promise<Sample> =>
  onBed(
    options,
    Effect.gen(function* () {
      const { counts } = yield* SqliteStats
      yield* warmUp
      const before = yield* counts
      const runtime = yield* Effect.runtime<Effect.Effect.Context<typeof work>>()
      const sample = yield* Effect.promise(() => timed(() => Effect.runPromise(Effect.provide(work, runtime))))
      const after = yield* counts
      return {
        ...sample,
        commits: after.transactions - before.transactions,
        statements: after.statements - before.statements
      }
    })
  )

const oneCall = definitionOf("workflow one { call instant }")

const oneCallRuns = (count: number, concurrency: number, durability: Durability): Promise<Sample> =>
  timedWork(
    { durability },
    Effect.forEach(Array.from({ length: count }), () => completeRun(oneCall), { concurrency, discard: true })
  )

const runs = (concurrency: number, ratio: number): Workload => ({
  name: `1000 runs of one call, ${concurrency === 1 ? "one after another" : `${concurrency} at once`}, FULL`,
  unit: "runs",
  count: 1_000,
  target: { _tag: "AtLeast", ratio },
  run: () => oneCallRuns(1_000, concurrency, "FULL"),
  yardstick: { name: "raw FULL, four commits a run", run: () => rawRuns("FULL", 1_000) }
})

const block = definitionOf(`workflow block { parallel { ${"call instant ".repeat(1_000)} } }`)
const waits = definitionOf(`workflow waits { parallel { ${"call waiting ".repeat(1_000)} } }`)
const fanOut = definitionOf("workflow all { foreach things { over = things workflow = one max_parallel = 50 } }")

const things = Array.from({ length: 1_000 }, (_, n) => ({
  type: "thing",
  id: String(n),
  ref: `thing ${n}`,
  context: {}
}))

export const manyRuns: ReadonlyArray<Workload> = [
  runs(1, 1.5),
  runs(50, 4),
  {
    name: "a parallel block of 1000 instant calls, FULL",
    unit: "steps",
    count: 1_000,
    target: { _tag: "TimeAtMost", ratio: 0.25 },
    run: () => timedWork({ durability: "FULL" }, completeRun(block)),
    yardstick: { name: "raw FULL, 1000 inserts", run: () => rawInserts("FULL", 1_000) }
  },
  {
    name: "a parallel block of 1000 calls that wait 100 ms, FULL",
    unit: "steps",
    count: 1_000,
    target: { _tag: "AtMost", value: 180, unit: "ms" },
    run: () =>
      timedWork(
        { durability: "FULL", executors: { waiting: () => Effect.as(Effect.sleep("100 millis"), {}) } },
        completeRun(waits)
      )
  },
  {
    name: "foreach over 1000 items, 50 at once, a child run of one call each, FULL",
    unit: "items",
    count: 1_000,
    target: { _tag: "AtLeast", ratio: 4 },
    run: () =>
      timedWork(
        {
          durability: "FULL",
          workflows: [oneCall],
          providers: { things: { ordered: false, items: () => Effect.succeed({ items: things }) } }
        },
        completeRun(fanOut)
      ),
    yardstick: { name: "raw FULL, six commits an item", run: () => rawItems("FULL", 1_000) }
  }
]
