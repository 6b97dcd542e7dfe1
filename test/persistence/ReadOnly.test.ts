import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as NodeOs from "node:os"
import * as NodePath from "node:path"
import { OutputStore } from "../../src/persistence/OutputStore.ts"
import { Persistence, type PersistenceError } from "../../src/persistence/Persistence.ts"
import { version } from "../../src/persistence/sql/Migrations.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { engineId, engineRecord, runId, runRecord, stepPath } from "../../src/testing/SampleRecords.ts"
import { asOfVersion, makeReadOnly, mayMount, programProcess, smallDisk, temporaryDatabase } from "./support.ts"

const writable = (filename: string) =>
  Effect.map(Layer.build(SqlitePersistence.layer({ filename })), (services) => Context.get(services, Persistence))

const reading = (filename: string) =>
  Effect.map(Layer.build(SqlitePersistence.layerReadOnly({ filename })), (services) => ({
    store: Context.get(services, Persistence),
    outputs: Context.get(services, OutputStore)
  }))

const refused = (filename: string) => Effect.flip(Effect.scoped(reading(filename)))

const createTwo = (filename: string) =>
  Effect.scoped(
    Effect.flatMap(writable(filename), (store) =>
      Effect.forEach(["A", "B"], (id) => store.create(runRecord(id, { status: "completed", endedAt: 1 })))
    )
  )

const ids = (filename: string) =>
  Effect.scoped(
    Effect.flatMap(reading(filename), ({ store }) =>
      Effect.map(store.list({ limit: 9 }), (runs) => runs.map((run) => String(run.id)))
    )
  )

/** A place of its own for copies, so that those of other tests do not count. */
const ownTemporary = NodeFs.mkdtempSync(NodePath.join(NodeOs.tmpdir(), "millrace-test-"))
const usualTemporary = process.env["TMPDIR"]
beforeAll(() => {
  process.env["TMPDIR"] = ownTemporary
})
afterAll(() => {
  if (usualTemporary === undefined) delete process.env["TMPDIR"]
  else process.env["TMPDIR"] = usualTemporary
  NodeFs.rmSync(ownTemporary, { recursive: true, force: true })
})

const copies = () => NodeFs.readdirSync(NodeOs.tmpdir()).filter((name) => name.startsWith("millrace-copy-"))

const edit = (filename: string, sql: string): void => {
  const database = new Database(filename)
  database.exec(sql)
  database.close()
}

describe("a database that is only read", () => {
  it.scoped("refuses every write, and says which file it is", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* createTwo(filename)
      const { outputs, store } = yield* reading(filename)
      const log = { run: runId("A"), path: stepPath("/a"), epoch: 1, attempt: 1, stream: "stdout" } as const
      const writes: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
        store.create(runRecord("C")),
        store.createWith(runRecord("C"), []),
        store.renewEngine(engineRecord("ann", 1)),
        store.claim(runId("A"), { engine: engineId("ann"), now: 1 }),
        store.send(runId("A"), { _tag: "Pause" }, 1),
        store.setDismissed(runId("A"), true),
        store.storeDefinition({ key: "a", json: "{}" }, 1),
        store.prune({ keep: 0, limit: 1, dryRun: false }),
        store.pruneDefinitions({ storedBefore: 1, limit: 1, dryRun: false }),
        outputs.keep(filename),
        outputs.logFile(log),
        outputs.plainFile(log),
        outputs.remove([runId("A")]),
        outputs.discard([], 1)
      ]
      for (const write of writes) {
        const message = `${filename} was opened only to be read`
        expect(Either.flip(yield* Effect.either(write))).toMatchObject({ right: { reason: "ReadOnly", message } })
      }
      expect(yield* store.claimReady({ engine: engineId("ann"), now: 1, limit: 1 })).toEqual([])
      const wouldGo = yield* store.prune({ keep: 1, limit: 9, dryRun: true })
      expect(wouldGo).toEqual([{ root: runId("A"), children: [] }])
      expect(NodeFs.existsSync(`${filename}-files`)).toBe(false)
    })
  )

  it.scoped("shows what another process writes meanwhile", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* Effect.scoped(Effect.flatMap(writable(filename), (store) => store.create(runRecord("shared"))))
      const { store } = yield* reading(filename)
      expect((yield* store.list({ limit: 9 })).length).toBe(1)
      const other = yield* programProcess("writer", filename, "one", "20")
      expect(yield* other.exit).toMatchObject({ code: 0, stderr: "" })
      expect((yield* store.load(runId("one"))).journal.steps.size).toBe(20)
      expect(copies()).toEqual([])
    })
  )

  it.scoped("of an older version is brought up to date in a copy, which is gone afterwards", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* createTwo(filename)
      asOfVersion(filename, 1)
      const before = NodeFs.readFileSync(filename)
      const { store } = yield* reading(filename)
      expect((yield* store.list({ limit: 9 })).length).toBe(2)
      expect(yield* store.namedOutputs(["a"])).toEqual([])
      expect(copies().length).toBe(1)
      expect(NodeFs.readFileSync(filename).equals(before)).toBe(true)
      expect(version).toBeGreaterThan(1)
    }).pipe(
      Effect.scoped,
      Effect.tap(() => Effect.sync(() => expect(copies()).toEqual([])))
    )
  )

  it.scoped(
    "is refused as one that is written to: what is none, another program's, a newer one, one that is not there",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryDatabase
        const folder = NodePath.dirname(filename)
        yield* createTwo(filename)
        edit(filename, `PRAGMA user_version = ${version + 1}`)
        expect(yield* refused(filename)).toMatchObject({ reason: "NewerVersion" })
        NodeFs.writeFileSync(NodePath.join(folder, "text"), "no database at all, at length\n".repeat(200))
        expect(yield* refused(NodePath.join(folder, "text"))).toMatchObject({ reason: "NotADatabase" })
        edit(NodePath.join(folder, "photos"), "CREATE TABLE photos (id INTEGER)")
        expect(yield* refused(NodePath.join(folder, "photos"))).toMatchObject({ reason: "NotADatabase" })
        for (const name of ["none", "."]) expect((yield* refused(NodePath.join(folder, name))).reason).toBe("Other")
        expect(NodeFs.existsSync(NodePath.join(folder, "none"))).toBe(false)
      })
  )

  it.scoped("of an older version that somebody writes all the time is said to be busy, and no copy is left", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* createTwo(filename)
      edit(filename, "PRAGMA user_version = 1")
      const timer = setInterval(() => NodeFs.utimesSync(filename, new Date(), new Date()), 0)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(timer)))
      NodeFs.appendFileSync(filename, Buffer.alloc(30_000_000))
      const layer = SqlitePersistence.layerReadOnly({ filename, busyTimeout: "300 millis" })
      const error: PersistenceError = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      expect(error).toMatchObject({ reason: "Busy", message: `${filename} is being written` })
      expect(copies()).toEqual([])
    })
  )
})

const why = mayMount ? "" : " (skipped: needs the right to mount; the command line is tested without)"

describe.skipIf(!mayMount)("a database on a read-only disk", () => {
  it.scoped(`is read when it was closed well, from a copy${why}`, () =>
    Effect.gen(function* () {
      const disk = yield* smallDisk(8_000_000)
      const filename = NodePath.join(disk, "runs.db")
      yield* createTwo(filename)
      makeReadOnly(disk)
      expect(yield* ids(filename)).toEqual(["B", "A"])
      expect(copies()).toEqual([])
    })
  )

  it.scoped(`is read with what only its log holds, with and without the log's index${why}`, () =>
    Effect.gen(function* () {
      const [disk, other] = [yield* smallDisk(8_000_000), yield* smallDisk(8_000_000)]
      const filename = NodePath.join(disk, "runs.db")
      const dying = yield* programProcess("dying", filename, "committed")
      expect((yield* dying.exit).signal).toBe("SIGKILL")
      for (const part of ["", "-wal"]) NodeFs.copyFileSync(filename + part, NodePath.join(other, `runs.db${part}`))
      expect(NodeFs.existsSync(`${filename}-shm`)).toBe(true)
      for (const each of [disk, other]) {
        makeReadOnly(each)
        const { store } = yield* reading(NodePath.join(each, "runs.db"))
        expect((yield* store.load(runId("A"))).journal.steps.size).toBe(1)
        expect((yield* store.list({ limit: 9 })).map((run) => run.id)).toEqual(["B", "A"])
      }
      expect(copies().length).toBe(1)
    })
  )
})
