import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Either from "effect/Either"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import { shownBytes } from "../../src/persistence/FileSize.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import type { SqliteOptions } from "../../src/persistence/SqlitePersistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { commitTo, iterated, engineId, engineRecord, runRecord, stepRecord } from "../../src/testing/SampleRecords.ts"
import { integrityCheck } from "../../src/testing/WalPrefix.ts"
import { programProcess, temporaryDatabase } from "./support.ts"

const open = (filename: string, options: Partial<SqliteOptions> = {}) =>
  Effect.map(Layer.build(SqlitePersistence.layer({ filename, synchronous: "OFF", ...options })), (services) => ({
    store: Context.get(services, Persistence),
    space: Context.get(services, SqlitePersistence.SqliteSpace)
  }))

/** Ended runs with a step of so many bytes each. */
const fill = (store: PersistenceService, ids: ReadonlyArray<string>, bytes: number) =>
  Effect.forEach(ids, (id) => {
    const run = runRecord(id, { status: "running", owner: engineId("ann"), generation: 1, readyAt: null })
    const step = stepRecord("/one", { error: "x".repeat(bytes) })
    const end = { _tag: "Run", patch: { status: "completed", endedAt: 1 } } as const
    return Effect.zipRight(store.create(run), store.commit(commitTo(run, { _tag: "Step", step }, end)))
  })

const names = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(4, "0")}`)

const pruneAll = (store: PersistenceService) => store.prune({ keep: 0, limit: 1e9, dryRun: false })

const sizeOf = (filename: string) => NodeFs.statSync(filename).size

describe("what deleted rows left in the file", () => {
  it.scoped("is used again before the file grows", () =>
    Effect.gen(function* () {
      const { store, space } = yield* open(yield* temporaryDatabase)
      yield* fill(store, names("A", 100), 20_000)
      const { bytes } = yield* space.size
      yield* pruneAll(store)
      const left = yield* space.size
      expect(left.bytes).toBe(bytes)
      expect(left.free).toBeGreaterThan(bytes * 0.9)
      yield* fill(store, names("B", 100), 20_000)
      expect((yield* space.size).bytes).toBeLessThan(bytes * 1.02)
    })
  )

  it.scoped("is given back, and the disk has it at once", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const { store, space } = yield* open(filename)
      yield* fill(store, names("A", 400), 40_000)
      yield* fill(store, names("B", 4), 40_000)
      yield* store.prune({ keep: 4, limit: 1e9, dryRun: false })
      const before = yield* space.size
      expect(before).toMatchObject({ givesBack: true })
      expect(before.free).toBeGreaterThan(12_000_000)
      const given = yield* space.giveBack
      const after = yield* space.size
      expect(after.free).toBe(0)
      expect(given).toBe(before.bytes - after.bytes)
      expect(sizeOf(filename)).toBe(after.bytes)
      expect(yield* space.giveBack).toBe(0)
      expect((yield* store.list({ limit: 9 })).length).toBe(4)
      expect(yield* integrityCheck(filename)).toEqual([])
    })
  )

  it.scoped("is given back while another process writes, which is not told that it is locked", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const { store, space } = yield* open(filename)
      yield* store.create(runRecord("shared"))
      yield* fill(store, names("A", 600), 40_000)
      const other = yield* programProcess("writer", filename, "one", "100")
      yield* other.ready
      yield* pruneAll(store)
      expect(yield* space.giveBack).toBeGreaterThan(20_000_000)
      expect(yield* other.exit).toEqual({ code: 0, signal: null, stderr: "" })
      expect(yield* integrityCheck(filename)).toEqual([])
    })
  )

  it.scoped("of a file of before this was possible is given back by writing it anew, from then on bit by bit", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* Effect.scoped(open(filename))
      const older = new Database(filename)
      older.exec("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM; PRAGMA journal_mode = WAL")
      older.close()
      const { store, space } = yield* open(filename)
      yield* fill(store, names("A", 100), 40_000)
      yield* pruneAll(store)
      const before = yield* space.size
      expect(before).toMatchObject({ givesBack: false })
      expect(yield* space.giveBack).toBe(0)
      yield* space.rewrite
      const after = yield* space.size
      expect(after).toMatchObject({ free: 0, givesBack: true })
      expect(sizeOf(filename)).toBe(after.bytes)
      expect(after.bytes).toBeLessThan(before.bytes / 10)
      yield* fill(store, names("B", 100), 40_000)
      yield* pruneAll(store)
      expect(yield* space.giveBack).toBeGreaterThan(3_000_000)
    })
  )
})

describe("the limit of a database", () => {
  const limit = 1024 ** 2

  it.scoped("is kept, and says so; what is refused goes on once runs were pruned", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const { store, space } = yield* open(filename, { maxDatabaseBytes: limit })
      yield* store.renewEngine(engineRecord("ann", 1))
      yield* fill(store, names("A", 20), 20_000)
      const run = runRecord("B", { status: "running", owner: engineId("ann"), generation: 1, readyAt: null })
      yield* store.create(run)
      const write = (seq: number) =>
        store.commit(
          commitTo({ ...run, seq }, iterated(seq), {
            _tag: "Step",
            step: stepRecord(`/s${seq}`, { error: "x".repeat(9_000) })
          })
        )
      let seq = 0
      let tried = yield* Effect.either(write(seq))
      while (Either.isRight(tried)) tried = yield* Effect.either(write(++seq))
      const message = `${filename}: it has reached its limit of 1.0 MB (maxDatabaseBytes); \`millrace prune\` makes room`
      expect(tried.left).toMatchObject({ reason: "Full", transient: true, message })
      expect((yield* space.size).bytes).toBeLessThanOrEqual(limit)
      expect(seq).toBeGreaterThan(10)
      // The lease can be renewed all the same: runs are not lost.
      yield* store.renewEngine(engineRecord("ann", 2))
      expect((yield* store.get(run.id)).seq).toBe(seq)
      expect((yield* pruneAll(store)).length).toBe(20)
      yield* write(seq)
      expect((yield* store.get(run.id)).seq).toBe(seq + 1)
      expect(yield* integrityCheck(filename)).toEqual([])
    })
  )

  it.scoped("lets a larger file be, but not grow, and may be raised", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* Effect.scoped(Effect.flatMap(open(filename), ({ store }) => fill(store, names("A", 100), 20_000)))
      const { store, space } = yield* open(filename, { maxDatabaseBytes: limit })
      const { bytes } = yield* space.size
      expect(bytes).toBeGreaterThan(limit * 2)
      expect((yield* store.list({ limit: 200 })).length).toBe(100)
      const refused = yield* Effect.flip(fill(store, ["B"], 100_000))
      expect(refused).toMatchObject({ reason: "Full", message: expect.stringContaining("(maxDatabaseBytes)") })
      yield* space.limit(bytes * 2)
      yield* fill(store, ["C"], 100_000)
    })
  )

  it.scoped("that is too small for the tables is said when the database is made", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const error = yield* Effect.flip(open(filename, { maxDatabaseBytes: 20_000 }))
      expect(error).toMatchObject({ reason: "Full", message: expect.stringContaining("its limit of 16.0 KB") })
    })
  )
})

it("sizes are said in the largest unit that fits", () => {
  const sizes = [0, 1_023, 1_024, 1_000_000, 5 * 1024 ** 2, 64 * 1024 ** 3, 3 * 1024 ** 4, 1024 ** 5]
  const shown = ["0 bytes", "1023 bytes", "1.0 KB", "976.6 KB", "5.0 MB", "64.0 GB", "3.0 TB", "1024.0 TB"]
  expect(sizes.map(shownBytes)).toEqual(shown)
})
