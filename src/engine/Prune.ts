/**
 * Deleting old runs with their files, and what nothing refers to any more (docs/cli.md, "Keeping the database small").
 *
 * - U1 Rows go before files, and a run's rows go with those of all runs below it, in one transaction. Whatever stops a
 *   prune, the next one finds the files of runs that are gone.
 * - U2 What may be about to be named is left alone: an output is kept, and a definition stored, before the commit that
 *   names it. Both go only when that is `unnamedAge` ago; a definition that is used on is stored again in time.
 * - U3 Between two transactions there is room for those who wait for the database.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type KeptOutput, OutputStore } from "../persistence/OutputStore.ts"
import { Persistence, type PersistenceError, type Pruned } from "../persistence/Persistence.ts"
import type { RunId } from "../persistence/Records.ts"

/** Which ended runs go, with all below them: what either says. Neither: none. */
export interface PruneCriteria {
  /** Those that ended before. */
  readonly endedBefore?: number
  /** Those beyond so many, the newest ones. */
  readonly keep?: number
}

/** What nothing refers to. */
export interface Unnamed {
  /** Runs that are gone, whose logs an interrupted prune left. */
  readonly logs: ReadonlyArray<RunId>
  /** Keys. */
  readonly definitions: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<KeptOutput>
}

/** ms; longer than an attempt that has kept an output may go on by default (`EngineSettings.stepTimeout`: 12 h). */
export const unnamedAge = 86_400_000

/** Runs in one transaction, about. */
const batchSize = 200

/** Names looked up in one query. */
const page = 500

/** ms; the least pause between two transactions. */
const shortestPause = 10

/**
 * Deletes runs; those that end meanwhile stay. `deleted` is told of each batch. Interrupted, it ends with the batch that
 * is under way.
 */
export const prune = (
  criteria: PruneCriteria,
  deleted: (batch: ReadonlyArray<Pruned>) => void = () => undefined
): Effect.Effect<void, PersistenceError, Persistence | OutputStore> =>
  Effect.gen(function* () {
    const asOf = yield* Clock.currentTimeMillis
    for (;;) {
      const [pause, pruned] = yield* timed(
        Effect.uninterruptible(Effect.tap(pruneBatch(criteria, asOf), (batch) => Effect.sync(() => deleted(batch))))
      )
      if (pruned.length === 0) return
      yield* Effect.sleep(pause)
    }
  })

const pruneBatch = (
  criteria: PruneCriteria,
  asOf: number
): Effect.Effect<ReadonlyArray<Pruned>, PersistenceError, Persistence | OutputStore> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const outputs = yield* OutputStore
    const pruned = yield* persistence.prune({ ...criteria, asOf, limit: batchSize, dryRun: false })
    yield* outputs.remove(pruned.flatMap(({ children, root }) => [root, ...children]))
    return pruned
  })

/** With the pause that is due: as long as it took, so that others have the database half of the time (U3). */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [pause: number, A], E, R> =>
  Effect.map(Effect.timed(effect), ([took, result]) => [Math.max(shortestPause, Duration.toMillis(took)), result])

/** What `prune` would delete. */
export const wouldPrune = (
  criteria: PruneCriteria
): Effect.Effect<ReadonlyArray<Pruned>, PersistenceError, Persistence> =>
  Effect.flatMap(Persistence, (persistence) =>
    persistence.prune({ ...criteria, limit: Number.MAX_SAFE_INTEGER, dryRun: true })
  )

/** Deletes what nothing refers to, or only says what that is. */
export const sweep = (options: {
  readonly dryRun: boolean
}): Effect.Effect<Unnamed, PersistenceError, Persistence | OutputStore> =>
  Effect.gen(function* () {
    const before = (yield* Clock.currentTimeMillis) - unnamedAge
    return {
      logs: yield* sweepLogs(options.dryRun),
      definitions: yield* sweepDefinitions(options.dryRun, before),
      outputs: yield* sweepOutputs(options.dryRun, before)
    }
  })

/** A run has a row before it has logs, so that of those listed none is new. */
const sweepLogs = (dryRun: boolean) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const outputs = yield* OutputStore
    return yield* inPages(yield* outputs.logged, (runs) =>
      Effect.gen(function* () {
        const known = new Set(yield* persistence.known(runs))
        const gone = runs.filter((run) => !known.has(run))
        if (!dryRun) yield* outputs.remove(gone)
        return gone
      })
    )
  })

const sweepDefinitions = (dryRun: boolean, storedBefore: number) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    if (dryRun) return yield* persistence.pruneDefinitions({ storedBefore, limit: Number.MAX_SAFE_INTEGER, dryRun })
    const deleted: Array<string> = []
    for (;;) {
      const [pause, keys] = yield* timed(persistence.pruneDefinitions({ storedBefore, limit: page, dryRun }))
      deleted.push(...keys)
      if (keys.length < page) return deleted
      yield* Effect.sleep(pause)
    }
  })

const sweepOutputs = (dryRun: boolean, before: number) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const outputs = yield* OutputStore
    const kept = yield* outputs.kept(before)
    const unnamed = yield* inPages(kept, (some) =>
      Effect.gen(function* () {
        const named = new Set(yield* persistence.namedOutputs(some.map(({ name }) => name)))
        return some.filter(({ name }) => !named.has(name))
      })
    )
    if (dryRun) return unnamed
    return yield* outputs.discard(
      unnamed.map(({ name }) => name),
      before
    )
  })

const inPages = <A, E, R>(
  all: ReadonlyArray<A>,
  use: (some: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<A>, E, R>
): Effect.Effect<ReadonlyArray<A>, E, R> =>
  Effect.map(
    Effect.forEach(Chunk.chunksOf(Chunk.fromIterable(all), page), (some) => use(Chunk.toReadonlyArray(some))),
    (used) => used.flat()
  )
