import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PersistenceService } from "../../src/persistence/Persistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import {
  commitTo,
  engineId,
  engineRecord,
  gateRecord,
  itemRecord,
  runId,
  runRecord,
  stepPath,
  approved
} from "../../src/testing/SampleRecords.ts"
import { temporaryDatabase } from "./support.ts"

const ann = engineId("ann")
const id = runId("A")

/** A store with a row in each table, and another connection to tamper with them. */
const tampered = (sql: string) =>
  Effect.gen(function* () {
    const filename = yield* temporaryDatabase
    const services = yield* Layer.build(SqlitePersistence.layer({ filename }))
    const store = Context.get(services, Persistence)
    const run = runRecord("A", { status: "running", owner: ann, generation: 1, readyAt: null })
    yield* store.renewEngine(engineRecord("ann", 100))
    yield* store.create(run)
    const item = itemRecord("/each", "file:a")
    yield* store.commit(commitTo(run, { _tag: "Step", step: gateRecord("/gate") }, { _tag: "Item", item }))
    yield* store.send(id, { _tag: "Pause" }, 1)
    const database = new Database(filename)
    database.exec(sql)
    database.close()
    return store
  })

type Reading = (store: PersistenceService) => Effect.Effect<unknown, unknown>

const cases: ReadonlyArray<readonly [sql: string, read: Reading, message: string]> = [
  ["UPDATE steps SET data = '{'", (store) => store.load(id), "table steps, row A /gate#1: data is no JSON"],
  ["UPDATE steps SET data = x'00'", (store) => store.load(id), "table steps, row A /gate#1: data is no text"],
  ["UPDATE steps SET data = '[]'", (store) => store.steps(id), "table steps, row A /gate#1: "],
  ["UPDATE steps SET status = 'completed'", (store) => store.load(id), "row A /gate#1: data and columns do not agree"],
  ["UPDATE steps SET epoch = 2", (store) => store.load(id), "row A /gate#2: data and columns do not agree"],
  [
    `UPDATE steps SET data = json_set(data, '$.attempts', json('[{"number":1}]'))`,
    (store) => store.load(id),
    "table steps, row A /gate#1: attempts[0]."
  ],
  [
    "UPDATE steps SET data = '{'",
    (store) => store.send(id, { _tag: "Answer", path: stepPath("/gate"), answer: approved }, 1),
    "table steps, row A /gate#1: data is no JSON"
  ],
  ["UPDATE items SET key = 'file:b'", (store) => store.load(id), "table items, row A /each file:b: data and columns"],
  ["UPDATE items SET data = 'null'", (store) => store.items(id), "table items, row A /each file:a: "],
  [`UPDATE runs SET totals = '{"cost_usd":"much"}'`, (store) => store.get(id), "table runs, row A: totals.cost_usd: "],
  ["UPDATE runs SET totals = '[]'", (store) => store.get(id), "table runs, row A: totals"],
  ["UPDATE runs SET settings = '{}'", (store) => store.get(id), "table runs, row A: settings.stepTimeout: is missing"],
  ["UPDATE runs SET seq = 'many'", (store) => store.list({ limit: 1 }), "table runs, row A: seq: "],
  ["UPDATE runs SET settings = ''", (store) => store.find("A"), "table runs, row A: settings is no JSON"],
  ["UPDATE runs SET status = 'lost'", (store) => store.claim(id, { engine: ann, now: 1 }), "row A: status is lost"],
  ["UPDATE runs SET generation = 'x'", (store) => store.setDismissed(id, true), "row A: generation, seq or recoveries"],
  ['UPDATE inbox SET message = \'{"_tag":"Go"}\'', (store) => store.inbox(ann, 0), "table inbox, row 1: "],
  ["UPDATE inbox SET created_at = 'now'", (store) => store.load(id), "table inbox, row 1: a column has the wrong type"],
  ["UPDATE engines SET pid = 'x'", (store) => store.engines, "table engines, row ann: pid: "]
]

describe("a row of an earlier release", () => {
  it.scoped("is read where it lacks what was added since", () =>
    Effect.gen(function* () {
      const store = yield* tampered("UPDATE steps SET data = json_remove(data, '$.gate.notifiedAt')")
      const [step] = yield* store.steps(id)
      expect(step).toEqual(gateRecord("/gate"))
      expect(step?.gate).toMatchObject({ notifiedAt: null })
    })
  )
})

describe("a row that someone tampered with", () => {
  for (const [sql, read, message] of cases) {
    it.scoped(`is refused, with its table and key: ${sql}`, () =>
      Effect.gen(function* () {
        const store = yield* tampered(sql)
        const error = yield* Effect.flip(read(store))
        expect(error).toMatchObject({ _tag: "PersistenceError", reason: "Corrupt", transient: false })
        expect(error).toMatchObject({ message: expect.stringContaining(message) })
      })
    )
  }
})
