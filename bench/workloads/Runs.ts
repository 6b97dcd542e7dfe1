/**
 * Runs of one call, blocks of many, and fan-outs.
 */
import * as Effect from "effect/Effect"
import type { Executor } from "../../src/action/Action.ts"
import type { ItemProvider } from "../../src/action/ItemProvider.ts"
import { SqliteStats } from "../../src/persistence/SqlitePersistence.ts"
import { type BedOptions, completeRun, definitionOf, type Durability, onBed } from "../Bed.ts"
import { rawInserts, rawItems, rawRuns } from "../Raw.ts"
import { type Sample, type Scale, timed, type Workload } from "../Workload.ts"

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

const runs = (count: number, concurrency: number, ratio: number): Workload => ({
  name: `${count} runs of one call, ${concurrency === 1 ? "one after another" : `${concurrency} at once`}, FULL`,
  unit: "runs",
  count,
  target: { _tag: "AtLeast", ratio },
  // A run is created with its first step, and ends with its last.
  ...(concurrency === 1 ? { writes: { commits: 2 * count, statements: 9 * count } } : {}),
  run: () => oneCallRuns(count, concurrency, "FULL"),
  yardstick: { name: "raw FULL, four commits a run", run: () => rawRuns("FULL", count) }
})

const block = (action: string, count: number) =>
  definitionOf(`workflow block { parallel { ${`call ${action} `.repeat(count)} } }`)

const instantBlock = (count: number): Workload => ({
  name: `a parallel block of ${count} instant calls, FULL`,
  unit: "steps",
  count,
  target: { _tag: "TimeAtMost", ratio: 0.25 },
  run: () => timedWork({ durability: "FULL" }, completeRun(block("instant", count))),
  yardstick: { name: `raw FULL, ${count} inserts`, run: () => rawInserts("FULL", count) }
})

const waiting: Executor = () => Effect.as(Effect.sleep("100 millis"), {})

const waitingBlock = (count: number): Workload => ({
  name: `a parallel block of ${count} calls that wait 100 ms, FULL`,
  unit: "steps",
  count,
  target: { _tag: "AtMost", value: 180, unit: "ms" },
  run: () => timedWork({ durability: "FULL", executors: { waiting } }, completeRun(block("waiting", count)))
})

const fanOut = (count: number): Workload => {
  const definition = definitionOf("workflow all { foreach things { over = things workflow = one max_parallel = 50 } }")
  const items = Array.from({ length: count }, (_, n) => ({
    type: "thing",
    id: String(n),
    ref: `thing ${n}`,
    context: {}
  }))
  const things: ItemProvider = { ordered: false, items: () => Effect.succeed({ items }) }
  return {
    name: `foreach over ${count} items, 50 at once, a child run of one call each, FULL`,
    unit: "items",
    count,
    target: { _tag: "AtLeast", ratio: 4 },
    run: () => timedWork({ durability: "FULL", workflows: [oneCall], providers: { things } }, completeRun(definition)),
    yardstick: { name: "raw FULL, six commits an item", run: () => rawItems("FULL", count) }
  }
}

export const manyRuns = (size: Scale): ReadonlyArray<Workload> => [
  runs(size(1_000), 1, 1.5),
  runs(size(1_000), 50, 4),
  instantBlock(size(1_000)),
  waitingBlock(size(1_000)),
  fanOut(size(1_000))
]
