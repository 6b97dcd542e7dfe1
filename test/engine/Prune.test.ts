/**
 * Deleting old runs and what nothing refers to any more (U1–U3).
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { Engine } from "../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import { prune, sweep, unnamedAge, wouldPrune } from "../../src/engine/Prune.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { OutputStore } from "../../src/persistence/OutputStore.ts"
import { Persistence, PersistenceError, type Pruned } from "../../src/persistence/Persistence.ts"
import { noResult, type RunId } from "../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { intercept } from "../../src/testing/CrashPoints.ts"
import { commitTo, engineId, runId, runRecord, stepPath, stepRecord } from "../../src/testing/SampleRecords.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { temporaryFolder } from "../persistence/support.ts"
import { virtualLayer } from "./durability/support.ts"
import { action, calm, definitionOf } from "./TestEngine.ts"

/** A store on a file, with its folder. */
const place = Effect.gen(function* () {
  const folder = yield* temporaryFolder((it) => it)
  const filename = NodePath.join(folder, "runs.db")
  const services = yield* Layer.build(SqlitePersistence.layer({ filename, synchronous: "OFF" }))
  const store = Context.get(services, Persistence)
  const outputs = Context.get(services, OutputStore)
  const keep = (text: string) => {
    NodeFs.writeFileSync(NodePath.join(folder, "source"), text)
    return outputs.keep(NodePath.join(folder, "source"))
  }
  const files = NodePath.join(folder, "runs.db-files")
  return {
    services,
    store,
    outputs,
    keep,
    logs: NodePath.join(files, "logs"),
    outputFolder: NodePath.join(files, "outputs")
  }
})

const names = (folder: string): ReadonlyArray<string> => NodeFs.readdirSync(folder).sort()

const ended = { status: "completed", endedAt: 1 } as const

const id = (n: number): string => `R${String(n).padStart(4, "0")}`

const logFor = (run: RunId) => ({ run, path: stepPath("/a"), epoch: 1, attempt: 1, stream: "stdout" }) as const

/** As if its file had been kept long ago. */
const age = (file: string): void => {
  const at = new Date(Date.now() - 2 * unnamedAge)
  NodeFs.utimesSync(file, at, at)
}

const ids = (pruned: ReadonlyArray<Pruned>) => pruned.map(({ root }) => String(root))

describe("pruning", () => {
  it.scopedLive("deletes runs in batches, each with its logs, until none is left", () =>
    Effect.gen(function* () {
      const { logs, outputs, services, store } = yield* place
      for (let n = 0; n < 450; n++) {
        yield* store.create(runRecord(id(n), ended))
        if (n % 10 === 0) yield* outputs.logFile(logFor(runId(id(n))))
      }
      const wanted = yield* Effect.provide(wouldPrune({ keep: 10 }), services)
      expect(wanted.length).toBe(440)
      expect(names(logs).length).toBe(45)
      const batches: Array<ReadonlyArray<Pruned>> = []
      yield* Effect.provide(
        prune({ keep: 10 }, (batch) => batches.push(batch)),
        services
      )
      expect(batches.map((batch) => batch.length)).toEqual([200, 200, 40, 0])
      expect(batches.flat()).toEqual(wanted)
      expect(names(logs)).toEqual([id(440)])
      expect((yield* store.list({ limit: 500 })).length).toBe(10)
    })
  )

  it.scopedLive("goes on after an interruption where it was, and counts what is gone", () =>
    Effect.gen(function* () {
      const { services, store } = yield* place
      for (let n = 0; n < 500; n++) yield* store.create(runRecord(id(n), ended))
      const seen: Array<string> = []
      const first = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        Effect.provide(
          prune({ keep: 0 }, (batch) => {
            seen.push(...ids(batch))
            Deferred.unsafeDone(first, Effect.void)
          }),
          services
        )
      )
      yield* Deferred.await(first)
      yield* Fiber.interrupt(fiber)
      expect(seen.length).toBeGreaterThanOrEqual(200)
      expect((yield* store.list({ limit: 500 })).length).toBe(500 - seen.length)
      yield* Effect.provide(
        prune({ keep: 0 }, (batch) => seen.push(...ids(batch))),
        services
      )
      expect(seen).toEqual(Array.from({ length: 500 }, (_, n) => id(n)))
    })
  )

  it.scopedLive("U1: one that stopped between rows and files is finished by the next", () =>
    Effect.gen(function* () {
      const { logs, outputs, services, store } = yield* place
      for (const run of ["A", "B", "C"]) {
        yield* store.create(runRecord(run, run === "C" ? {} : ended))
        yield* outputs.logFile(logFor(runId(run)))
      }
      const lost = new PersistenceError({ reason: "Io", message: "the disk is gone" })
      const broken = OutputStore.of({ ...outputs, remove: () => Effect.fail(lost) })
      const failed = prune({ keep: 0 }).pipe(Effect.provideService(OutputStore, broken), Effect.provide(services))
      expect(yield* Effect.flip(failed)).toEqual(lost)
      expect(names(logs)).toEqual(["A", "B", "C"])
      yield* Effect.provide(prune({ keep: 0 }), services)
      expect(yield* Effect.provide(sweep({ dryRun: true }), services)).toMatchObject({ logs: ["A", "B"] })
      expect(names(logs)).toEqual(["A", "B", "C"])
      expect(yield* Effect.provide(sweep({ dryRun: false }), services)).toMatchObject({ logs: ["A", "B"] })
      expect(names(logs)).toEqual(["C"])
      expect(yield* Effect.provide(sweep({ dryRun: false }), services)).toMatchObject({ logs: [] })
    })
  )

  it.scopedLive("U2: deletes outputs and definitions that no row names, unless one may be about to", () =>
    Effect.gen(function* () {
      const { keep, outputFolder, services, store } = yield* place
      const [named, unnamed, fresh] = [yield* keep("named"), yield* keep("unnamed"), yield* keep("fresh")]
      age(named)
      age(unnamed)
      const run = runRecord("A", { owner: engineId("ann"), generation: 1, definition: "wf:named" })
      yield* store.create(run)
      const step = stepRecord("/a", { result: { ...noResult, outputFile: named } })
      yield* store.commit(commitTo(run, { _tag: "Step", step }, { _tag: "Run", patch: ended }))
      const before = Date.now() - unnamedAge - 1
      yield* store.storeDefinition({ key: "wf:named", json: "1" }, before)
      yield* store.storeDefinition({ key: "wf:old", json: "2" }, before)
      yield* store.storeDefinition({ key: "wf:new", json: "3" }, Date.now())
      const sweepAll = Effect.provide(sweep({ dryRun: false }), services)
      const hash = NodePath.basename(unnamed)
      const expected = { logs: [], definitions: ["wf:old"], outputs: [{ name: hash, bytes: 7 }] }
      expect(yield* Effect.provide(sweep({ dryRun: true }), services)).toEqual(expected)
      expect(yield* sweepAll).toEqual(expected)
      expect(names(outputFolder)).toEqual([named, fresh].map((file) => NodePath.basename(file)).sort())
      yield* Effect.provide(prune({ keep: 0 }), services)
      expect(yield* sweepAll).toMatchObject({ definitions: ["wf:named"], outputs: [{ bytes: 5 }] })
      expect(names(outputFolder)).toEqual([NodePath.basename(fresh)])
      expect(yield* store.definition("wf:new")).toEqual({ key: "wf:new", json: "3" })
    })
  )

  it.scopedLive("U3: leaves others the database for a while between two transactions", () =>
    Effect.gen(function* () {
      const filename = NodePath.join(yield* temporaryFolder((it) => it), "runs.db")
      const begins: Array<number> = []
      const statement = (sql: string) => void (sql.startsWith("BEGIN") && begins.push(performance.now()))
      const services = yield* Layer.build(
        SqlitePersistence.layer({ filename, synchronous: "OFF", hooks: { statement } })
      )
      const store = Context.get(services, Persistence)
      for (let n = 0; n < 600; n++) yield* store.create(runRecord(id(n), ended))
      begins.length = 0
      const ends: Array<number> = []
      yield* Effect.provide(
        prune({ keep: 0 }, () => ends.push(performance.now())),
        services
      )
      expect(begins.length).toBe(4)
      const pauses = begins.slice(1).map((begin, index) => begin - (ends[index] ?? begin))
      const lengths = ends.slice(0, 3).map((end, index) => end - (begins[index] ?? end))
      // A timer may be a millisecond early.
      pauses.forEach((pause, index) => expect(pause).toBeGreaterThan(Math.max(10, lengths[index] ?? 0) - 2))
    })
  )
})

describe("a definition that an engine has stored", () => {
  // The engine remembered for ever that it had stored it, and the next run named what was not there.
  it.live("is stored again when a prune may have deleted it, so that the next run finds it", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const definition = definitionOf("workflow w { call a }")
        const { service } = yield* MemoryPersistence.make()
        const stored: Array<string> = []
        const store = intercept(service, {
          read: (effect) => effect,
          write: (name, effect) => Effect.tap(effect, () => Effect.sync(() => stored.push(name)))
        })
        const world = { actions: { a: action(() => ({})) }, settings: calm }
        yield* Effect.gen(function* () {
          const files = yield* WorkflowFiles
          const engine = yield* Engine
          const again = Effect.flatMap(files.start(definition), engine.await)
          const first = yield* again
          expect((yield* again).status).toBe("completed")
          expect(stored.filter((name) => name === "storeDefinition").length).toBe(1)
          yield* prune({ keep: 0 })
          yield* Effect.sleep(2 * unnamedAge)
          expect((yield* sweep({ dryRun: false })).definitions).toEqual([first.definition])
          expect(yield* service.definition(first.definition)).toBe(undefined)
          expect((yield* again).status).toBe("completed")
          expect(stored.filter((name) => name === "storeDefinition").length).toBe(2)
        }).pipe(Effect.provide(virtualLayer(world, store)))
      })
    )
  )
})
