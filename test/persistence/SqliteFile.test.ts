import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { noResult } from "../../src/persistence/Records.ts"
import { applicationId, version } from "../../src/persistence/sql/Migrations.ts"
import type { SqliteOptions } from "../../src/persistence/SqlitePersistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { commitTo, engineId, runId, runRecord, stepRecord } from "../../src/testing/SampleRecords.ts"
import {
  asOfVersion,
  makeReadOnly,
  mayMount,
  scriptProcess,
  smallDisk,
  temporaryDatabase,
  temporaryFolder
} from "./support.ts"

const open = (filename: string, options: Partial<SqliteOptions> = {}) =>
  Layer.build(SqlitePersistence.layer({ filename, ...options }))

const refused = (filename: string, options: Partial<SqliteOptions> = {}) =>
  Effect.flip(Effect.scoped(open(filename, options)))

const edit = (filename: string, sql: string): void => {
  const database = new Database(filename)
  database.exec(sql)
  database.close()
}

describe("a database that has been closed", () => {
  it.scoped("refuses what is asked of it, and what is written", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const store = Context.get(yield* Effect.scoped(open(filename)), Persistence)
      const closed = { _tag: "PersistenceError", message: "the database has been closed" }
      expect(yield* Effect.flip(store.get(runId("A")))).toMatchObject(closed)
      expect(yield* Effect.flip(store.load(runId("A")))).toMatchObject(closed)
      expect(yield* Effect.flip(store.create(runRecord("A")))).toMatchObject(closed)
    })
  )
})

describe("opening a database", () => {
  it.effect("is refused for a name that is no path, with what to give instead", () =>
    Effect.gen(function* () {
      expect((yield* refused(":memory:")).message).toContain('":memory:" is no path of a file: give a path; a program')
      expect((yield* refused(":memory:")).message).toContain("MemoryPersistence.layer")
      expect((yield* refused("file:runs.db")).message).toContain('"file:runs.db" is no path of a file: give the path')
    })
  )

  it.scoped("creates it and its folder for the user alone, with its journal", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder((it) => it)
      const filename = NodePath.join(folder, "deep", "er", "runs.db")
      yield* open(filename)
      const mode = (path: string) => NodeFs.statSync(path).mode & 0o777
      expect(mode(NodePath.dirname(filename))).toBe(0o700)
      expect([mode(filename), mode(`${filename}-wal`)]).toEqual([0o600, 0o600])
      const database = new Database(filename, { readonly: true })
      const pragma = (name: string) => database.pragma(name, { simple: true })
      expect([pragma("application_id"), pragma("user_version")]).toEqual([applicationId, version])
      expect(pragma("journal_mode")).toBe("wal")
      database.close()
    })
  )

  it.scoped("finds in it what was written before", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const write = Effect.flatMap(Persistence, (store) => store.create(runRecord("A")))
      const read = Effect.flatMap(Persistence, (store) => store.get(runId("A")))
      yield* Effect.provide(write, SqlitePersistence.layer({ filename }))
      const run = yield* Effect.provide(read, SqlitePersistence.layer({ filename }))
      expect(run).toEqual(runRecord("A"))
    })
  )

  it.scoped("brings what an older version wrote up to date, and knows what its rows name", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const kept = "a1".repeat(32)
      const outputFile = `${filename}-files/outputs/${kept}`
      const run = runRecord("A", { definition: "wf:1", owner: engineId("ann"), generation: 1 })
      const steps = [
        stepRecord("/kept", { result: { ...noResult, outputFile } }),
        stepRecord("/log", { result: { ...noResult, outputFile: `${filename}-files/logs/outputs/x` } }),
        stepRecord("/broken", { error: "/outputs/" })
      ]
      const write = Effect.gen(function* () {
        const store = yield* Persistence
        yield* store.storeDefinition({ key: "wf:1", json: "{}" }, 1)
        yield* store.storeDefinition({ key: "wf:2", json: "{}" }, 1)
        yield* store.create(run)
        yield* store.commit(commitTo(run, ...steps.map((step) => ({ _tag: "Step", step }) as const)))
      })
      yield* Effect.provide(write, SqlitePersistence.layer({ filename }))
      asOfVersion(filename, 1)
      edit(filename, "UPDATE steps SET data = '{/outputs/' WHERE path = '/broken'")
      const read = Effect.gen(function* () {
        const store = yield* Persistence
        expect(yield* store.namedOutputs([kept, "b2".repeat(32)])).toEqual([kept])
        expect(yield* store.get(run.id)).toEqual(run)
        const unnamed = store.pruneDefinitions({ storedBefore: 1, limit: 9, dryRun: true })
        expect(yield* unnamed).toEqual(["wf:2"])
      })
      yield* Effect.provide(read, SqlitePersistence.layer({ filename }))
    })
  )

  it.scoped("refuses what a newer version wrote, and leaves it as it is", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* Effect.scoped(open(filename))
      edit(filename, `PRAGMA user_version = ${version + 1}`)
      const error = yield* refused(filename)
      expect(error.reason).toBe("NewerVersion")
      expect(error.message).toContain(`version ${version + 1}, this program knows up to ${version}`)
    })
  )

  it.scoped("refuses another program's database, and leaves it as it is", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      edit(filename, "CREATE TABLE photos (id INTEGER)")
      const before = NodeFs.readFileSync(filename)
      const error = yield* refused(filename)
      expect([error.reason, error.message]).toEqual([
        "NotADatabase",
        `${filename} is a SQLite database of another program`
      ])
      expect(NodeFs.readFileSync(filename).equals(before)).toBe(true)
    })
  )

  it.scoped("refuses a file that is no database, and leaves it as it is", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const text = "a text file that is longer than the header of a database\n".repeat(20)
      NodeFs.writeFileSync(filename, text)
      const error = yield* refused(filename)
      expect(error.reason).toBe("NotADatabase")
      expect(error.message).toContain(filename)
      expect(NodeFs.readFileSync(filename, "utf8")).toBe(text)
    })
  )

  it.scoped("refuses a folder, a path below a file, and what is no path", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder((it) => it)
      NodeFs.writeFileSync(NodePath.join(folder, "file"), "")
      for (const filename of [folder, NodePath.join(folder, "file", "runs.db"), ":memory:", "file:runs.db", ""]) {
        expect((yield* refused(filename)).reason).toBe("Other")
      }
    })
  )

  it.scoped.skipIf(!mayMount)(
    `says that a disk is read-only${mayMount ? "" : " (skipped: needs the right to mount)"}`,
    () =>
      Effect.gen(function* () {
        const disk = yield* smallDisk(4_000_000)
        const filename = NodePath.join(disk, "runs.db")
        yield* Effect.scoped(open(filename))
        makeReadOnly(disk)
        expect((yield* refused(filename)).reason).toBe("ReadOnly")
        expect((yield* refused(NodePath.join(disk, "other", "runs.db"))).reason).toBe("ReadOnly")
      })
  )

  it.scoped("takes a damaged page for what it is", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* Effect.scoped(open(filename))
      const bytes = NodeFs.readFileSync(filename)
      bytes.fill(0xff, 100, 4096)
      NodeFs.writeFileSync(filename, bytes)
      expect((yield* refused(filename)).reason).toBe("Corrupt")
    })
  )

  it.scoped("waits for another process that holds it, while the event loop goes on", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* Effect.scoped(open(filename))
      const holder = yield* scriptProcess(holdFor(1_000), filename)
      yield* holder.ready
      const loop = countTicks()
      yield* open(filename)
      loop.stop()
      expect(loop.elapsed()).toBeGreaterThan(300)
      expect(loop.ticks()).toBeGreaterThan(loop.elapsed() / 50)
      expect((yield* holder.exit).stderr).toBe("")
    })
  )

  it.scoped("says that it is busy when others hold it for too long", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      yield* Effect.scoped(open(filename))
      const holder = yield* scriptProcess(holdFor(60_000), filename)
      yield* holder.ready
      const error = yield* refused(filename, { busyTimeout: "200 millis" })
      expect([error.reason, error.transient]).toEqual(["Busy", true])
    })
  )

  it.scoped("is waited for by a write, while the event loop goes on", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const store = Context.get(yield* open(filename), Persistence)
      const holder = yield* scriptProcess(holdFor(1_500), filename)
      yield* holder.ready
      const loop = countTicks()
      yield* Effect.all([store.create(runRecord("A")), store.create(runRecord("B"))], { concurrency: "unbounded" })
      loop.stop()
      expect(loop.elapsed()).toBeGreaterThan(700)
      expect(loop.ticks()).toBeGreaterThan(loop.elapsed() / 50)
      expect((yield* store.list({ limit: 10 })).length).toBe(2)
    })
  )

  it.scoped("fails a write with Busy when others hold it for too long, and goes on afterwards", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const store = Context.get(yield* open(filename, { busyTimeout: "100 millis" }), Persistence)
      const holder = yield* scriptProcess(holdFor(1_000), filename)
      yield* holder.ready
      const error = yield* Effect.flip(store.create(runRecord("A")))
      expect(error).toMatchObject({ _tag: "PersistenceError", reason: "Busy" })
      expect(yield* Effect.flip(store.get(runId("A")))).toMatchObject({ _tag: "RunNotFound" })
      yield* holder.exit
      yield* store.create(runRecord("A"))
    })
  )
})

/** A script that keeps others from writing for so long (ms). */
const holdFor = (duration: number): string => `
  const database = new Database(process.argv.at(-1))
  database.exec("BEGIN EXCLUSIVE")
  console.log("holding")
  setTimeout(() => { database.exec("ROLLBACK"); database.close() }, ${duration})
`

/** How often a timer of 10 ms fires in real time. */
const countTicks = () => {
  const start = performance.now()
  let ticks = 0
  let end = start
  const timer = setInterval(() => (ticks += 1), 10)
  return {
    ticks: () => ticks,
    elapsed: () => end - start,
    stop: () => {
      end = performance.now()
      clearInterval(timer)
    }
  }
}
