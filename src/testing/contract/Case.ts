/** One requirement of a store, and the words in which its test says so. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { YieldWrap } from "effect/Utils"
import * as Assert from "node:assert/strict"
import type { PersistenceService, RunFilter } from "../../persistence/Persistence.ts"
import { Persistence } from "../../persistence/Persistence.ts"
import type { RunRecord } from "../../persistence/Records.ts"
import { engineId, engineRecord, runId, runRecord, stepPath } from "../SampleRecords.ts"

export interface Case {
  readonly name: string
  readonly body: Effect.Effect<void, unknown, Persistence>
}

export const requirement = (
  name: string,
  body: (store: PersistenceService) => Generator<YieldWrap<Effect.Effect<unknown, unknown>>, void, never>
): Case => ({
  name,
  body: Effect.flatMap(Persistence, (store) => Effect.gen(() => body(store)))
})

export const same = <A>(actual: A, expected: NoInfer<A>, message?: string): Effect.Effect<void> =>
  Effect.sync(() => Assert.deepStrictEqual(actual, expected, message))

/** The effect's failure, which must have this tag. */
export const refusal = <A, E extends { readonly _tag: string }, T extends E["_tag"]>(
  effect: Effect.Effect<A, E>,
  tag: T
): Effect.Effect<Extract<E, { readonly _tag: T }>> =>
  Effect.map(Effect.either(effect), (result) => {
    if (Either.isRight(result)) return Assert.fail(`succeeded instead of failing with ${tag}`)
    Assert.equal(result.left._tag, tag)
    // SAFETY: its tag was compared just now.
    return result.left as Extract<E, { readonly _tag: T }>
  })

export const now = 10_000
export const ann = engineId("ann")
export const ben = engineId("ben")

/** Engine `ann` with a lease until 20,000, and a running run of its own. */
export const ownedRun = (store: PersistenceService, id: string, values: Partial<RunRecord> = {}) =>
  Effect.gen(function* () {
    yield* store.renewEngine(engineRecord("ann", 20_000))
    const run = runRecord(id, { status: "running", owner: ann, generation: 1, readyAt: null, ...values })
    yield* store.create(run)
    return run
  })

export const createAll = (store: PersistenceService, runs: ReadonlyArray<RunRecord>) =>
  Effect.forEach(runs, (run) => store.create(run), { discard: true })

/** The ids of a list. */
export const listed = (store: PersistenceService, filter: Partial<RunFilter>) =>
  Effect.map(store.list({ limit: 100, ...filter }), (runs) => runs.map((run) => String(run.id)))

/** A child of a root. */
export const below = (id: string, root: string, values: Partial<RunRecord> = {}) =>
  runRecord(id, { root: runId(root), parent: { run: runId(root), path: stepPath("/call") }, ...values })
