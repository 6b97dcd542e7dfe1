import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { SqliteOptions } from "../../src/persistence/SqlitePersistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { checkpoint } from "../../src/persistence/sql/SpaceOnDisk.ts"
import { commitTo, iterated, engineId, runRecord, stepRecord } from "../../src/testing/SampleRecords.ts"
import { walFrames } from "../../src/testing/WalPrefix.ts"
import Database from "better-sqlite3"
import { temporaryDatabase } from "./support.ts"

const run = runRecord("A", { owner: engineId("ann"), generation: 1, readyAt: null })

const opened = (filename: string, options: Partial<SqliteOptions> = {}) =>
  Effect.map(Layer.build(SqlitePersistence.layer({ filename, ...options })), (services) =>
    Context.get(services, Persistence)
  )

/** Commits of a run, from the first on. */
const commits = (store: typeof Persistence.Service, from: number, to: number) =>
  Effect.forEach(
    Array.from({ length: to - from }, (_, n) => from + n),
    (seq) => store.commit(commitTo({ ...run, seq }, iterated(seq), { _tag: "Step", step: stepRecord(`/s${seq}`) })),
    { discard: true }
  )

/** The log's length, and how much of it its frames take, bytes. */
const logOf = (filename: string) => {
  const bytes = NodeFs.readFileSync(`${filename}-wal`)
  const taken = walFrames(bytes).at(-1)?.end ?? 0
  return { length: bytes.length, taken, rest: bytes.subarray(taken) }
}

describe("the room in the log", () => {
  it.scoped("is zeros behind what was written, which commits take before the log gets longer", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const store = yield* opened(filename)
      yield* store.create(run)
      const before = logOf(filename)
      expect(before.length - before.taken).toBeGreaterThan(64 * 1024)
      expect(before.rest.every((byte) => byte === 0)).toBe(true)
      yield* commits(store, 0, 5)
      const after = logOf(filename)
      expect(after.taken).toBeGreaterThan(before.taken)
      expect(after.length).toBe(before.length)
    })
  )

  it.scoped("is made anew whenever it is used up, and after the log was cut", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const store = yield* opened(filename)
      yield* store.create(run)
      yield* commits(store, 0, 300)
      const grown = logOf(filename)
      expect(grown.taken).toBeGreaterThan(1024 * 1024)
      expect(grown.length).toBeGreaterThan(grown.taken)
      const other = new Database(filename)
      checkpoint(other)
      expect(logOf(filename).length).toBe(0)
      yield* commits(store, 300, 301)
      const anew = logOf(filename)
      expect(anew.taken).toBeGreaterThan(0)
      expect(anew.length).toBeGreaterThan(anew.taken)
      expect(other.pragma("integrity_check", { simple: true })).toBe("ok")
      other.close()
    })
  )

  it.scoped("is not made where commits are not synced one by one", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const store = yield* opened(filename, { synchronous: "NORMAL" })
      yield* store.create(run)
      const { length, taken } = logOf(filename)
      expect(length).toBe(taken)
    })
  )

  it.scoped("is no log yet where a crash left nothing else in it", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* Effect.scoped(Effect.flatMap(opened(filename), (store) => store.create(run)))
      NodeFs.writeFileSync(`${filename}-wal`, Buffer.alloc(128 * 1024))
      const store = yield* opened(filename)
      yield* commits(store, 0, 1)
      expect((yield* store.get(run.id)).seq).toBe(1)
    })
  )
})
