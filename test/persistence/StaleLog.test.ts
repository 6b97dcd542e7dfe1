/** Copies of a database that are put in its place, with and without what a crash left beside it. */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { runId, runRecord } from "../../src/testing/SampleRecords.ts"
import { integrityCheck } from "../../src/testing/WalPrefix.ts"
import { temporaryDatabase } from "./support.ts"

const open = (filename: string) =>
  Effect.map(
    Layer.build(SqlitePersistence.layer({ filename, synchronous: "OFF", walAutocheckpoint: 50 })),
    (services) => Context.get(services, Persistence)
  )

const withStore = <A, E>(filename: string, use: (store: PersistenceService) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(open(filename), use))

/** Large enough that some fill the log, which then begins anew. */
const createRuns = (store: PersistenceService, prefix: string, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => `${prefix}${n}`),
    (id) => store.create(runRecord(id, { inputs: { text: "x".repeat(3_000) } })),
    { discard: true }
  )

const ids = (store: PersistenceService) =>
  Effect.map(store.list({ limit: 1_000 }), (runs) => runs.map(({ id }) => String(id)))

/** The parts of a database as a killed process leaves them, under another name. */
const copyOpen = (filename: string, copy: string): void => {
  for (const part of ["", "-wal"]) NodeFs.copyFileSync(filename + part, copy + part)
}

/** A database with one run, its copy at that time, and the parts that a crash left of it when it had many more. */
const crashed = Effect.gen(function* () {
  const filename = yield* temporaryDatabase
  const [older, left] = [`${filename}.older`, `${filename}.left`]
  yield* withStore(filename, (store) => createRuns(store, "A", 1))
  NodeFs.copyFileSync(filename, older)
  yield* withStore(filename, (store) => createRuns(store, "B", 20))
  yield* withStore(filename, (store) =>
    Effect.zipRight(
      createRuns(store, "C", 40),
      Effect.sync(() => copyOpen(filename, left))
    )
  )
  return { older, left }
})

describe("an older copy of a database in its place", () => {
  it.scoped("is what goes on, where the database had been closed", () =>
    Effect.gen(function* () {
      const { left, older } = yield* crashed
      yield* withStore(left, ids)
      expect(NodeFs.existsSync(`${left}-wal`)).toBe(false)
      NodeFs.copyFileSync(older, left)
      yield* withStore(left, (store) =>
        Effect.gen(function* () {
          expect(yield* ids(store)).toEqual(["A0"])
          expect(yield* Effect.flip(store.get(runId("B0")))).toMatchObject({ _tag: "RunNotFound" })
          yield* createRuns(store, "D", 3)
        })
      )
      expect(yield* integrityCheck(left)).toEqual([])
    })
  )

  // SQLite wrote the pages of the log over those of the copy: what came out was damaged, and runs went on in it.
  it.scoped("beside the log of a crash is refused, with what to do, and left as it is", () =>
    Effect.gen(function* () {
      const { left, older } = yield* crashed
      NodeFs.copyFileSync(older, left)
      const parts = () => ["", "-wal"].map((part) => NodeFs.readFileSync(left + part).toString("base64"))
      const before = parts()
      const readOnly = SqlitePersistence.layerReadOnly({ filename: left })
      for (const opening of [Effect.asVoid(open(left)), Effect.asVoid(Layer.build(readOnly))]) {
        const error = yield* Effect.flip(Effect.scoped(opening))
        expect(error).toMatchObject({ reason: "Corrupt", transient: false })
        expect(error.message).toContain("runs.db.left-wal, belongs to a later state of it")
        expect(error.message).toContain("delete runs.db.left-wal and runs.db.left-shm")
      }
      expect(parts()).toEqual(before)
      NodeFs.rmSync(`${left}-wal`)
      expect(yield* withStore(left, ids)).toEqual(["A0"])
    })
  )

  it.scoped("is taken for the state before the log, where it is that very state", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* withStore(filename, (store) => createRuns(store, "A", 1))
      NodeFs.copyFileSync(filename, `${filename}.older`)
      yield* withStore(filename, (store) =>
        Effect.zipRight(
          createRuns(store, "B", 2),
          Effect.sync(() => copyOpen(filename, `${filename}.left`))
        )
      )
      NodeFs.copyFileSync(`${filename}.older`, `${filename}.left`)
      expect(yield* withStore(`${filename}.left`, ids)).toEqual(["B1", "B0", "A0"])
      expect(yield* integrityCheck(`${filename}.left`)).toEqual([])
    })
  )
})

describe("a log", () => {
  it.scoped("is never taken for another's, whenever the process that wrote it was killed", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      for (const session of ["A", "B", "C"]) {
        yield* withStore(filename, (store) =>
          Effect.forEach(
            Array.from({ length: 30 }, (_, n) => n),
            (n) =>
              Effect.gen(function* () {
                yield* createRuns(store, `${session}${n}-`, 1)
                copyOpen(filename, `${filename}.left`)
                const found = yield* withStore(`${filename}.left`, ids)
                expect(found).toContain(`${session}${n}-0`)
              }),
            { discard: true }
          )
        )
      }
    })
  )

  it.scoped("whose first page is damaged says nothing: SQLite ends it there itself", () =>
    Effect.gen(function* () {
      const { left } = yield* crashed
      const log = NodeFs.readFileSync(`${left}-wal`)
      const magic = log.indexOf("SQLite format 3", 0, "latin1")
      expect(magic).toBeGreaterThan(0)
      log.writeUInt32BE(0xffff_ffff, magic + 24)
      NodeFs.writeFileSync(`${left}-wal`, log)
      expect(yield* withStore(left, ids)).toContain("B0")
    })
  )
})
