import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ClaimReadyOptions, RunFilter } from "../../src/persistence/Persistence.ts"
import { sqlite } from "../../src/persistence/sql/Dialect.ts"
import * as Sql from "../../src/persistence/sql/Statements.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import { engineId, runId } from "../../src/testing/SampleRecords.ts"
import { temporaryDatabase } from "./support.ts"

const claim = { engine: engineId("ann"), now: 1, limit: 10 }
const claims: ReadonlyArray<ClaimReadyOptions> = [
  claim,
  { ...claim, workflows: ["build"] },
  { ...claim, root: runId("A") },
  { ...claim, definitions: ["wf:", "code:order@1"] },
  { ...claim, root: runId("A"), workflows: ["build"] }
]

const filters: ReadonlyArray<Partial<RunFilter>> = [
  { status: ["failed"] },
  { status: ["failed", "completed"] },
  { workflow: "build" },
  { since: 1 },
  { parent: null },
  { parent: runId("A") },
  { before: runId("A") },
  { parent: null, dismissed: false, before: runId("A") }
]

const constants = Object.entries(Sql).flatMap(([name, value]): ReadonlyArray<readonly [string, string]> => {
  if (Array.isArray(value)) return value.map((sql, index) => [`${name} ${index}`, sql])
  return typeof value === "string" && name !== "fenceColumns" ? [[name, value]] : []
})

const statements: ReadonlyArray<readonly [name: string, sql: string]> = [
  ...constants,
  ["countCommit", Sql.countCommit(["status"])],
  ["updateRun", Sql.updateRun(["status", "seq"])],
  ...claims.map((options) => ["selectRunsOf", Sql.selectRunsOf(sqlite, "ann", options).sql] as const),
  ...claims.map((options) => ["selectReady", Sql.selectReady(sqlite, options).sql] as const),
  ...filters.map(
    (filter) => [`selectList ${JSON.stringify(filter)}`, Sql.selectList({ limit: 10, ...filter }).sql] as const
  )
]

const planOf = (database: Database.Database, sql: string): ReadonlyArray<string> => {
  const params = Array.from(sql.match(/\?/g) ?? [], () => "1")
  const rows: ReadonlyArray<unknown> = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...params)
  return rows.map((row) => (typeof row === "object" && row !== null && "detail" in row ? String(row.detail) : ""))
}

/** Few rows, all wanted; the table of engines is kept small. */
const wholeOnPurpose = new Set(["selectEngines"])

const withDatabase = <A>(use: (database: Database.Database) => A) =>
  Effect.gen(function* () {
    const filename = yield* temporaryDatabase
    yield* Effect.scoped(Layer.build(SqlitePersistence.layer({ filename })))
    const database = new Database(filename)
    yield* Effect.addFinalizer(() => Effect.sync(() => database.close()))
    return use(database)
  })

describe("no query goes through a whole table", () => {
  it.scoped("but the list of engines", () =>
    withDatabase((database) => {
      const scans = statements.flatMap(([name, sql]) => {
        const steps = planOf(database, sql).filter((step) =>
          /^SCAN (runs|steps|items|inbox|engines|definitions)/.test(step)
        )
        return wholeOnPurpose.has(name) ? [] : steps.map((step) => `${name}: ${step}`)
      })
      expect(scans).toEqual([])
      expect(statements.length).toBeGreaterThan(50)
    })
  )

  it.scoped("and those that watchdogs repeat read only what is ready, in its order", () =>
    withDatabase((database) => {
      for (const sql of [Sql.selectNextReady, ...claims.map((options) => Sql.selectReady(sqlite, options).sql)]) {
        const plan = planOf(database, sql)
        expect(plan[0]).toContain("SEARCH runs USING INDEX runs_ready (ready_at>?")
        expect(plan.join()).not.toContain("ORDER BY")
      }
      for (const options of claims) {
        const plan = planOf(database, Sql.selectRunsOf(sqlite, "ann", options).sql)
        expect(plan[0]).toContain("SEARCH runs USING INDEX runs_owner (owner=?)")
        expect(plan.join()).not.toContain("ORDER BY")
      }
    })
  )

  it.scoped("and a list without a filter is a walk from the newest that its limit ends", () =>
    withDatabase((database) => {
      for (const filter of [{}, { dismissed: false }, { text: "main" }]) {
        const plan = planOf(database, Sql.selectList({ limit: 10, ...filter }).sql)
        expect(plan).toEqual(["SCAN runs USING INDEX sqlite_autoindex_runs_1"])
      }
      expect(planOf(database, Sql.selectAged)[0]).toContain("runs_ended (parent_run=? AND ended_at<?)")
    })
  )
})
