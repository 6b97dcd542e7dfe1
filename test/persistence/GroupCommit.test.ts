import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Change } from "../../src/persistence/Journal.ts"
import type { PersistenceService } from "../../src/persistence/Persistence.ts"
import { Persistence, PersistenceError } from "../../src/persistence/Persistence.ts"
import type { SqliteOptions } from "../../src/persistence/SqlitePersistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import {
  commitTo,
  iterated,
  engineId,
  engineRecord,
  itemRecord,
  runId,
  runRecord,
  stepRecord
} from "../../src/testing/SampleRecords.ts"
import { programProcess, temporaryDatabase } from "./support.ts"

const open = (options: Partial<SqliteOptions> = {}) =>
  Effect.gen(function* () {
    const filename = yield* temporaryDatabase
    const services = yield* Layer.build(SqlitePersistence.layer({ filename, synchronous: "OFF", ...options }))
    const store = Context.get(services, Persistence)
    const { counts } = Context.get(services, SqlitePersistence.SqliteStats)
    return { store, counts, filename }
  })

const step = (path: string): Change => ({ _tag: "Step", step: stepRecord(path) })

const owned = (store: PersistenceService, id: string) => {
  const run = runRecord(id, { status: "running", owner: engineId("ann"), generation: 1, readyAt: null })
  return Effect.as(store.create(run), run)
}

const atOnce = { concurrency: "unbounded" } as const

describe("group commit", () => {
  it.scoped("writes what one turn enqueues in one transaction", () =>
    Effect.gen(function* () {
      const { store, counts } = yield* open()
      const runs = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => `R${n}`),
        (id) => owned(store, id),
        atOnce
      )
      const before = yield* counts
      expect(before.transactions).toBe(1)
      yield* Effect.forEach(runs, (run) => store.commit(commitTo(run, step("/one"))), atOnce)
      const after = yield* counts
      expect(after.transactions - before.transactions).toBe(1)
      expect(after.writers - before.writers).toBe(50)
      expect(after.statements - before.statements).toBe(2 + 50 * 2)
    })
  )

  it.scoped(
    "takes four statements for a commit that is alone: the fence is one of them, and counts it where it counts",
    () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const { store, counts } = yield* open({ hooks: { statement: (sql) => seen.push(sql.split(" ")[0] ?? "") } })
        const run = yield* owned(store, "A")
        const { statements } = yield* counts
        seen.length = 0
        yield* store.commit(commitTo(run, step("/one")))
        expect(seen).toEqual(["BEGIN", "SELECT", "INSERT", "COMMIT"])
        expect((yield* counts).statements - statements).toBe(4)
        seen.length = 0
        yield* store.commit(commitTo(run, step("/one"), iterated(1)))
        expect(seen).toEqual(["BEGIN", "UPDATE", "INSERT", "COMMIT"])
      })
  )

  it.scoped("puts the end of a step and the start of the next, sent in one turn, into one transaction", () =>
    Effect.gen(function* () {
      const { store, counts } = yield* open()
      const run = yield* owned(store, "A")
      const { transactions } = yield* counts
      const ending = yield* Effect.fork(store.commit(commitTo(run, step("/one"))))
      yield* Effect.yieldNow()
      yield* store.commit(commitTo(run, step("/two")))
      yield* Fiber.join(ending)
      expect((yield* counts).transactions - transactions).toBe(1)
    })
  )

  it.scoped("isolates a writer whose values the database cannot take", () =>
    Effect.gen(function* () {
      const { store } = yield* open()
      const [a, b] = [yield* owned(store, "A"), yield* owned(store, "B")]
      const unstorable = { ...stepRecord("/two"), position: Symbol("position") }
      // SAFETY: breaks the types on purpose, as a caller in JavaScript might.
      const bad = { _tag: "Step", step: unstorable } as unknown as Change
      const exits = yield* Effect.all(
        [
          Effect.exit(store.commit(commitTo(a, step("/one"), bad))),
          Effect.exit(store.commit(commitTo(b, step("/one"))))
        ],
        atOnce
      )
      expect(exits.map((exit) => exit._tag)).toEqual(["Failure", "Success"])
      expect(yield* store.steps(a.id)).toEqual([])
      expect((yield* store.get(a.id)).seq).toBe(0)
      yield* store.commit(commitTo(a, step("/one")))
    })
  )

  it.scoped("writes leases and cancellations before what was enqueued earlier", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const watched = ["INSERT INTO steps", "INSERT INTO engines", "INSERT INTO inbox"]
      const { store } = yield* open({
        maxBatch: 1,
        hooks: {
          statement: (sql) => watched.filter((it) => sql.startsWith(it)).forEach((it) => order.push(it.slice(12)))
        }
      })
      const [a, b] = [yield* owned(store, "A"), yield* owned(store, "B")]
      yield* Effect.all(
        [
          store.commit(commitTo(a, step("/one"))),
          store.commit(commitTo(b, step("/one"))),
          store.renewEngine(engineRecord("ann", 1)),
          store.send(b.id, { _tag: "Cancel", reason: "user", text: null }, 1)
        ],
        atOnce
      )
      expect(order).toEqual(["engines", "inbox", "steps", "steps"])
    })
  )

  it.scoped("does not let a cancellation overtake the creation of its run", () =>
    Effect.gen(function* () {
      const { store } = yield* open({ maxBatch: 1 })
      const run = yield* owned(store, "A")
      const cancel = (id: string) => store.send(runId(id), { _tag: "Cancel", reason: "user", text: null }, 1)
      const child: Change = { _tag: "Create", run: runRecord("C") }
      yield* Effect.all(
        [store.create(runRecord("B")), cancel("B"), store.commit(commitTo(run, child)), cancel("C")],
        atOnce
      )
      expect((yield* store.load(runId("C"))).inbox.length).toBe(1)
    })
  )

  it.scoped("writes what is enqueued although its fiber is interrupted", () =>
    Effect.gen(function* () {
      const { store } = yield* open()
      const run = yield* owned(store, "A")
      const fiber = yield* Effect.fork(store.commit(commitTo(run, step("/one"))))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      expect((yield* store.steps(run.id)).length).toBe(1)
    })
  )

  it.scoped("writes what is enqueued when it closes, and refuses what comes later", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(SqlitePersistence.layer({ filename }), scope)
      const store = Context.get(services, Persistence)
      const fiber = yield* Effect.fork(store.create(runRecord("A")))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(fiber)
      expect(yield* Effect.flip(store.create(runRecord("B")))).toMatchObject({ reason: "Other" })
      const again = Context.get(yield* Layer.build(SqlitePersistence.layer({ filename })), Persistence)
      expect((yield* again.list({ limit: 9 })).map((run) => run.id)).toEqual(["A"])
    })
  )

  it.scoped("keeps a commit whose answer was lost, and its repetition is recognised", () =>
    Effect.gen(function* () {
      const lost = new PersistenceError({ reason: "Io", message: "lost" })
      let armed = false
      const committed = () => {
        if (armed) throw lost
      }
      const { store } = yield* open({ hooks: { committed } })
      const run = yield* owned(store, "A")
      armed = true
      expect(yield* Effect.flip(store.commit(commitTo(run, step("/one"))))).toEqual(lost)
      expect(yield* Effect.flip(store.commit(commitTo(run, iterated(1))))).toEqual(lost)
      armed = false
      expect(yield* Effect.flip(store.commit(commitTo(run, iterated(1))))).toMatchObject({
        _tag: "SeqConflict",
        expected: 0,
        actual: 1
      })
      expect((yield* store.steps(run.id)).map(({ path }) => path)).toEqual(["/one"])
      yield* store.commit(commitTo({ ...run, seq: 1 }, step("/two")))
    })
  )

  it.scoped("I1: a commit that fails between any two of its statements leaves nothing behind", () =>
    Effect.gen(function* () {
      let failAt = Infinity
      const statement = (_sql: string, index: number) => {
        if (index === failAt) throw new Error("cut short")
      }
      const { store } = yield* open({ hooks: { statement } })
      const [a, b] = [yield* owned(store, "A"), yield* owned(store, "B")]
      const { id } = yield* store.send(a.id, { _tag: "Pause" }, 1)
      const before = yield* Effect.forEach([a.id, b.id], store.load)
      const child: Change = { _tag: "Create", run: runRecord("C") }
      const notify: Change = { _tag: "Notify", run: b.id, message: { _tag: "Pause" }, at: 2 }
      const item: Change = { _tag: "Item", item: itemRecord("/each", "a") }
      const end: Change = { _tag: "Run", patch: { status: "failed" } }
      const commit = commitTo(a, step("/one"), item, { _tag: "Consume", ids: [id] }, child, notify, end)
      for (failAt = 0; ; failAt++) {
        const exit = yield* Effect.exit(store.commit(commit))
        if (Exit.isSuccess(exit)) break
        expect(yield* Effect.forEach([a.id, b.id], store.load)).toEqual(before)
        expect(yield* Effect.flip(store.get(runId("C")))).toMatchObject({ _tag: "RunNotFound" })
      }
      expect(failAt).toBe(9)
      expect((yield* store.get(a.id)).status).toBe("failed")
    })
  )

  it.scoped("I1: a process killed between any two statements leaves nothing behind", () =>
    Effect.gen(function* () {
      for (const point of ["1", "3", "4", "5"]) {
        const { filename, store } = yield* open()
        const died = yield* programProcess("dying", filename, point)
        expect((yield* died.exit).signal).toBe("SIGKILL")
        const { journal } = yield* store.load(runId("A"))
        expect([journal.run.seq, journal.steps.size, journal.items.size]).toEqual([0, 0, 0])
        expect(yield* Effect.flip(store.get(runId("B")))).toMatchObject({ _tag: "RunNotFound" })
        yield* store.commit(commitTo(journal.run, step("/one")))
      }
    })
  )

  it.scoped("I1: a process killed after COMMIT leaves all of it behind", () =>
    Effect.gen(function* () {
      const { filename, store } = yield* open()
      const died = yield* programProcess("dying", filename, "committed")
      expect((yield* died.exit).signal).toBe("SIGKILL")
      const { journal } = yield* store.load(runId("A"))
      expect([journal.run.seq, journal.steps.size, journal.items.size]).toEqual([1, 1, 1])
      expect((yield* store.get(runId("B"))).id).toBe("B")
    })
  )
})
