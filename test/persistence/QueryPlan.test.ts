import { describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ClaimReadyOptions, RunFilter } from "../../src/persistence/Persistence.ts"
import { sqlite } from "../../src/persistence/sql/Dialect.ts"
import { selectList } from "../../src/persistence/sql/ListStatement.ts"
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
  { ...claim, root: runId("A"), workflows: ["build"] },
  { ...claim, only: [runId("A")] },
  { ...claim, except: [runId("A")], definitions: ["wf:"] }
]

/** Of the filters, those that go through all runs, from the newest on. */
const walksOfAll = 5

/** A filter, and the index that its list walks; several for several statuses. */
const filters: ReadonlyArray<readonly [filter: Partial<RunFilter>, ...indexes: ReadonlyArray<string>]> = [
  [{}, "sqlite_autoindex_runs_1"],
  [{ dismissed: false }, "sqlite_autoindex_runs_1"],
  [{ text: "main" }, "sqlite_autoindex_runs_1"],
  // Most have.
  [{ status: ["completed"] }, "sqlite_autoindex_runs_1"],
  [{ status: ["completed", "failed"] }, "sqlite_autoindex_runs_1", "runs_status (status=?)"],
  [{ before: runId("A") }, "sqlite_autoindex_runs_1 (id<?)"],
  [{ since: 1, before: runId("A") }, "sqlite_autoindex_runs_1 (id>? AND id<?)"],
  [{ status: ["failed"] }, "runs_status (status=?)"],
  [{ workflow: "build" }, "runs_workflow (workflow=?)"],
  [{ workflow: "build", since: 1 }, "runs_workflow (workflow=? AND id>?)"],
  [{ parent: null }, "runs_parent (parent_run=?)"],
  [{ parent: runId("A") }, "runs_parent (parent_run=?)"],
  [{ parent: runId("A"), status: ["waiting"], workflow: "build" }, "runs_parent (parent_run=?)"],
  [{ parent: null, dismissed: false, before: runId("A") }, "runs_parent (parent_run=? AND id<?)"],
  // What has not ended is little; roots that have ended may be nearly all.
  [{ parent: null, status: ["waiting"], workflow: "build" }, "runs_status (status=?)"],
  [{ parent: null, status: ["needs_resume"] }, "runs_status (status=?)"],
  [{ parent: null, status: ["completed"] }, "runs_parent (parent_run=?)"],
  [{ parent: null, status: ["completed"], workflow: "build", text: "x" }, "runs_workflow (workflow=?)"],
  [{ status: ["failed", "waiting"] }, "runs_status (status=?)", "runs_status (status=?)"],
  [{ parent: null, status: ["failed", "waiting"] }, "runs_parent (parent_run=?)", "runs_status (status=?)"]
]

const constants = Object.entries(Sql).flatMap(([name, value]): ReadonlyArray<readonly [string, string]> => {
  if (Array.isArray(value)) return value.map((sql, index) => [`${name} ${index}`, sql])
  return typeof value === "string" && name !== "fenceColumns" ? [[name, value]] : []
})

const statements: ReadonlyArray<readonly [name: string, sql: string]> = [
  ...constants,
  ["countCommit", Sql.countCommit(["status"])],
  ["selectRuns", Sql.selectRuns(sqlite)],
  ["updateRun", Sql.updateRun(["status", "seq"])],
  ...claims.map((options) => ["selectRunsOf", Sql.selectRunsOf(sqlite, "ann", options).sql] as const),
  ...claims.map((options) => ["selectReady", Sql.selectReady(sqlite, options).sql] as const),
  ["selectKeepLimit", Sql.selectKeepLimit(sqlite)],
  ["selectBeyond", Sql.selectBeyond(sqlite)],
  ["selectAged", Sql.selectAged(sqlite)],
  ["selectKnown", Sql.selectKnown(sqlite)],
  ["selectNamedOutputs", Sql.selectNamedOutputs(sqlite)],
  ...filters
    .slice(walksOfAll)
    .map(
      ([filter]) => [`selectList ${JSON.stringify(filter)}`, selectList(sqlite, { limit: 10, ...filter }).sql] as const
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

  it.scoped("and a list is a walk over one index from the newest run on, that its limit ends", () =>
    withDatabase((database) => {
      for (const [filter, ...indexes] of filters) {
        const plan = planOf(database, selectList(sqlite, { limit: 10, ...filter }).sql)
        const walks = plan.filter((step) => /^(SCAN|SEARCH) runs /.test(step))
        const walked = walks.map((step) => step.replace(/^\w+ runs USING INDEX /, ""))
        expect({ filter, walked }).toEqual({ filter, walked: indexes })
        // What is merged is as little as the limit of each walk.
        const sorts = plan.filter((step) => step.includes("TEMP B-TREE")).length
        expect({ filter, sorts }).toEqual({ filter, sorts: indexes.length > 1 ? indexes.length : 0 })
      }
    })
  )

  it.scoped("and what is pruned comes in the order of an index", () =>
    withDatabase((database) => {
      const plans = {
        aged: planOf(database, Sql.selectAged(sqlite)),
        beyond: planOf(database, Sql.selectBeyond(sqlite)),
        keepLimit: planOf(database, Sql.selectKeepLimit(sqlite)),
        definitions: planOf(database, Sql.selectUnnamedDefinitions)
      }
      expect(plans.aged[0]).toContain("runs_parent (parent_run=?)")
      expect(plans.beyond[0]).toContain("runs_parent (parent_run=? AND id<?)")
      expect(plans.keepLimit[0]).toContain("runs_parent (parent_run=?)")
      expect(plans.definitions[0]).toContain("definitions_stored (stored_at<?)")
      for (const plan of Object.values(plans)) expect(plan.join("\n")).not.toMatch(/TEMP B-TREE FOR (?!LAST TERM)/)
    })
  )
})
