/**
 * Waiting is free: ten thousand runs that wait for people, or for time to pass.
 */
import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { ActionFailed, type Executor } from "../../../src/action/Action.ts"
import { answer } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import type { EngineSettings } from "../../../src/engine/EngineConfig.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { RunId } from "../../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { temporaryDatabase } from "../../persistence/support.ts"
import { action, definitionOf, engineLayer, type World } from "../TestEngine.ts"
import { virtualLayer } from "./support.ts"

const count = 10_000

const flaky: Executor = ({ attempt }) =>
  attempt === 1 ? Effect.fail(new ActionFailed({ message: "in an hour" })) : Effect.succeed({})

const settings: Partial<EngineSettings> = {
  checkInvariants: false,
  linger: 50,
  maxResident: 20,
  claimBatch: 200,
  // A look at a store in memory goes through all its runs.
  watchdogInterval: 300_000
}
const world: World = { actions: { ok: action(() => ({})), flaky }, settings }

/** Every second one waits for somebody, the others for an hour to pass. */
const definitions = [
  definitionOf("workflow asked { gate human_review {} call ok }"),
  definitionOf('workflow patient { call flaky { retries = 1 retry_delay = "1h" } call ok }')
] as const

const isAsked = (_: RunId, index: number): boolean => index % 2 === 0

const startAll = Effect.flatMap(WorkflowFiles, (files) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => definitions[index % 2 === 0 ? 0 : 1]),
    (definition) => Effect.orDie(files.start(definition)),
    { concurrency: 200 }
  )
)

const untilGone = Effect.gen(function* () {
  const engine = yield* Engine
  while ((yield* engine.resident).length > 0) yield* Effect.sleep(20)
})

/** What the engine and this process hold for runs. */
const held = Effect.gen(function* () {
  const { stats } = yield* Engine
  return { ...(yield* stats), fibers: (yield* Fiber.roots).length }
})

/** The engine of a process, which ends with `close`. */
const built = <A, E>(layer: Layer.Layer<A, E>) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const services = yield* Layer.buildWithScope(layer, scope)
    return { services, close: Scope.close(scope, Exit.void) }
  })

describe("ten thousand runs that wait", () => {
  it.live(
    "hold no fiber and no timer, are left alone by the next engine, and go on when their time comes",
    () =>
      withVirtualClock(
        Effect.scoped(
          Effect.gen(function* () {
            const store = (yield* MemoryPersistence.make()).service
            const one = yield* built(virtualLayer(world, store))
            const before = yield* Effect.provide(Effect.zipRight(Effect.sleep(100), held), one.services)
            const runs = yield* Effect.provide(startAll, one.services)
            yield* Effect.provide(untilGone, one.services)
            expect(yield* Effect.provide(held, one.services)).toEqual(before)
            const waiting = yield* shape(store, runs)
            yield* one.close
            const two = yield* built(virtualLayer(world, store))
            yield* Effect.sleep("30 minutes")
            expect(yield* shape(store, runs)).toBe(waiting)
            expect(yield* Effect.provide(held, two.services)).toEqual(before)
            yield* Effect.provide(answerAll(runs.filter(isAsked)), two.services)
            yield* Effect.sleep("1 hour")
            yield* Effect.provide(untilGone, two.services)
            const statuses = yield* Effect.forEach(runs, (run) => Effect.map(store.get(run), ({ status }) => status))
            expect(statuses.filter((status) => status === "completed")).toHaveLength(count)
            console.log(`waiting: ${count} runs`)
            yield* two.close
          })
        )
      ),
    300_000
  )

  it.scopedLive(
    "are rows of a file that no restart touches, and go on from it",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryDatabase
        // Their rows are counted here, not their safety.
        const store = SqlitePersistence.layer({ filename, synchronous: "OFF" })
        const layer = engineLayer(world).pipe(Layer.provideMerge(store))
        const one = yield* built(layer)
        const before = yield* Effect.provide(Effect.zipRight(Effect.sleep(100), held), one.services)
        const runs = yield* Effect.provide(startAll, one.services)
        yield* Effect.provide(untilGone, one.services)
        expect(yield* Effect.provide(held, one.services)).toEqual(before)
        yield* one.close
        const rows = digest(filename)
        for (let restarts = 0; restarts < 2; restarts++) {
          const again = yield* built(layer)
          // Until it has found nothing to take up.
          yield* Context.get(again.services, Engine).drained
          yield* again.close
        }
        expect(digest(filename)).toBe(rows)
        const last = yield* built(layer)
        const answered = runs.filter(isAsked)
        yield* Effect.provide(answerAll(answered), last.services)
        const engine = Context.get(last.services, Engine)
        // All of them wait at once for the ends of their runs.
        const ended = yield* Effect.forEach(answered, (run) => engine.await(run), { concurrency: "unbounded" })
        expect(ended.filter(({ status }) => status === "completed")).toHaveLength(answered.length)
        const left = Context.get(last.services, Persistence)
        expect((yield* left.list({ status: ["waiting"], limit: count })).length).toBe(count - answered.length)
      }),
    300_000
  )
})

const answerAll = (runs: ReadonlyArray<RunId>) =>
  Effect.forEach(runs, (run) => Effect.orDie(answer(run, { approved: true })), { concurrency: 50, discard: true })

/** What a write to a run would change. */
const shape = (store: PersistenceService, runs: ReadonlyArray<RunId>) =>
  Effect.map(
    Effect.forEach(runs, (run) => store.get(run)),
    (records) =>
      JSON.stringify(
        records.map(({ generation, owner, readyAt, seq, status }) => [generation, owner, readyAt, seq, status])
      )
  )

/** Of all that is recorded of runs. */
const digest = (filename: string): string => {
  const database = new Database(filename, { readonly: true })
  const hash = createHash("sha256")
  try {
    for (const table of ["runs", "steps", "items", "inbox"]) {
      for (const row of database.prepare(`SELECT * FROM ${table} ORDER BY rowid`).raw().iterate()) {
        hash.update(JSON.stringify(row))
      }
    }
  } finally {
    database.close()
  }
  return hash.digest("hex")
}
