/**
 * The tables, by version. A released migration never changes; the next one is added below it.
 *
 * `steps` keeps its row ids: rows are far larger than a twentieth of a page, and without them a commit of 900-byte
 * rows took 27 µs instead of 22.
 */
import { PersistenceError } from "../Persistence.ts"
import type { Dialect } from "./Dialect.ts"
import type { Operation } from "./Operation.ts"
import { query } from "./Operation.ts"

/** "MLRC": marks a file as ours. */
export const applicationId = 0x4d4c5243

/** Literals, so that the planner sees that a query fits a partial index. */
export const ended = "status IN ('completed', 'failed', 'cancelled')"
export const below = "parent_run IS NOT NULL"
export const notCompleted = "status <> 'completed'"
export const claimable = "status NOT IN ('completed', 'failed', 'cancelled', 'needs_resume')"

const initial = (dialect: Dialect): ReadonlyArray<string> => [
  `CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    workflow TEXT NOT NULL,
    title TEXT NOT NULL,
    definition TEXT NOT NULL,
    parent_run TEXT,
    parent_path TEXT,
    root TEXT NOT NULL,
    depth INTEGER NOT NULL,
    status TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    started_by TEXT NOT NULL,
    inputs TEXT NOT NULL,
    payload TEXT,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    summary TEXT,
    error TEXT,
    cancel_reason TEXT,
    result TEXT,
    blocked_on TEXT NOT NULL,
    iteration INTEGER NOT NULL,
    totals TEXT NOT NULL,
    target TEXT,
    idempotency_key TEXT,
    owner TEXT,
    generation INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    ready_at BIGINT,
    recoveries INTEGER NOT NULL,
    dismissed INTEGER NOT NULL
  )`,
  "CREATE UNIQUE INDEX runs_key ON runs (workflow, idempotency_key) WHERE idempotency_key IS NOT NULL",
  `CREATE INDEX runs_ready ON runs (ready_at, id, workflow) WHERE owner IS NULL AND ready_at IS NOT NULL AND ${claimable}`,
  "CREATE INDEX runs_owner ON runs (owner, id) WHERE owner IS NOT NULL",
  "CREATE INDEX runs_root ON runs (root, status)",
  "CREATE INDEX runs_parent ON runs (parent_run, id)",
  "CREATE INDEX runs_status ON runs (status, id)",
  "CREATE INDEX runs_workflow ON runs (workflow, id)",
  "CREATE INDEX runs_created ON runs (created_at, id)",
  `CREATE INDEX runs_ended ON runs (parent_run, ended_at) WHERE ${ended}`,
  `CREATE TABLE steps (
    run TEXT NOT NULL,
    path TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    superseded INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run, path, epoch)
  )`,
  `CREATE TABLE items (
    run TEXT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run, path, key)
  )`,
  `CREATE TABLE inbox (
    id ${dialect.risingKey},
    run TEXT NOT NULL,
    kind TEXT NOT NULL,
    path TEXT,
    message TEXT NOT NULL,
    created_at BIGINT NOT NULL
  )`,
  "CREATE INDEX inbox_run ON inbox (run, id)",
  `CREATE TABLE engines (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    boot TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_start TEXT NOT NULL,
    lease_until BIGINT NOT NULL
  )`,
  "CREATE INDEX engines_lease ON engines (lease_until)",
  "CREATE TABLE definitions (key TEXT NOT NULL PRIMARY KEY, json TEXT NOT NULL)"
]

/** What is needed to find out what nothing refers to any more: kept outputs and stored definitions. */
const references = (dialect: Dialect): ReadonlyArray<string> => [
  "ALTER TABLE steps ADD COLUMN output TEXT",
  `UPDATE steps SET output = ${dialect.keptOutput("data")} WHERE data LIKE '%/outputs/%'`,
  "CREATE INDEX steps_output ON steps (output) WHERE output IS NOT NULL",
  "ALTER TABLE definitions ADD COLUMN stored_at BIGINT NOT NULL DEFAULT 0",
  "CREATE INDEX definitions_stored ON definitions (stored_at, key)",
  "CREATE INDEX runs_definition ON runs (definition)"
]

/** Runs that continue as new ones. */
const chains = (): ReadonlyArray<string> => [
  "ALTER TABLE runs ADD COLUMN continues TEXT",
  "ALTER TABLE runs ADD COLUMN continued_as TEXT"
]

/**
 * Fewer pages for each run that begins and ends, which is most of what a short one costs: an index is for what few runs
 * are. Most are roots with nothing below them, and have completed.
 */
const narrowIndexes = (): ReadonlyArray<string> => [
  "DROP INDEX runs_root",
  `CREATE INDEX runs_below ON runs (root, status) WHERE ${below}`,
  "DROP INDEX runs_status",
  `CREATE INDEX runs_status ON runs (status, id) WHERE ${notCompleted}`,
  "DROP INDEX runs_ended"
]

/** Ids rise with time, so that a list since then needs no index of its own: a page less for each new run. */
const listByTime = (): ReadonlyArray<string> => ["DROP INDEX runs_created"]

/**
 * From this version on settings, totals and items are written without their usual values, which older programs would
 * miss. How a run below another one stands is told by its row: an index that has it too is written once more for each
 * that begins and ends.
 */
const leanRows = (): ReadonlyArray<string> => [
  "DROP INDEX runs_below",
  `CREATE INDEX runs_below ON runs (root) WHERE ${below}`
]

const migrations: ReadonlyArray<(dialect: Dialect) => ReadonlyArray<string>> = [
  initial,
  references,
  chains,
  narrowIndexes,
  listByTime,
  leanRows
]

/** The newest version of the tables that this program reads and writes. */
export const version = migrations.length

/** Brings the tables from a version to a later one, the newest, inside the caller's transaction. */
export function* migrate(dialect: Dialect, from: number, to: number = version): Operation<void> {
  for (const migration of migrations.slice(from, to)) {
    for (const statement of migration(dialect)) yield* query(statement)
  }
}

/** Records written by a newer, incompatible version are refused, not guessed at (spec/engine.md, "Durability", 5). */
export const newerVersion = (database: string, found: number): PersistenceError =>
  new PersistenceError({
    reason: "NewerVersion",
    message: `${database} was written by a newer millrace: it has version ${found}, this program knows up to ${version}`
  })
