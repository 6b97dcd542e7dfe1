/**
 * The SQL of writes and queries, apart from DDL and `ListStatement`. Partial indexes are used only where a query repeats their condition
 * word for word; `test/persistence/QueryPlan` holds each query to its index.
 */
import type { ClaimReadyOptions } from "../Persistence.ts"
import type { Dialect } from "./Dialect.ts"
import { below, claimable, ended } from "./Migrations.ts"
import type { Statement } from "./Operation.ts"
import { runColumnNames } from "./Rows.ts"
import { handedOn } from "../Rules.ts"

const marks = (count: number): string => Array.from({ length: count }, () => "?").join(", ")

export const fenceColumns = "id, status, owner, generation, seq, recoveries"
export const selectFence = `SELECT ${fenceColumns} FROM runs WHERE id = ?`

export const insertRun = `INSERT INTO runs (${runColumnNames.join(", ")}) VALUES (${marks(runColumnNames.length)})
  ON CONFLICT DO NOTHING`
export const selectRun = "SELECT * FROM runs WHERE id = ?"
export const selectRuns = (dialect: Dialect) => `SELECT * FROM runs WHERE ${dialect.isIn("id")}`
export const selectRunByKey =
  "SELECT * FROM runs WHERE workflow = ? AND idempotency_key = ? AND idempotency_key IS NOT NULL"
/** Two rows tell whether a prefix is unique; the full id sorts first. */
export const selectRunsByPrefix = "SELECT * FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
/** Above every id that starts with the prefix. */
export const prefixEnd = (prefix: string): string => `${prefix}\u{10ffff}`

/** Changes nothing where the writer is no longer the owner, or is at another commit (I7). */
export const countCommit = (columns: ReadonlyArray<string>) =>
  `UPDATE runs SET ${columns.map((column) => `${column} = ?, `).join("")}seq = seq + 1
  WHERE id = ? AND generation = ? AND seq = ? AND owner IS NOT NULL`
/** The same condition, of a commit that does not count. */
export const selectOwned =
  "SELECT 1 AS changes FROM runs WHERE id = ? AND generation = ? AND seq = ? AND owner IS NOT NULL"
export const updateRun = (columns: ReadonlyArray<string>) =>
  `UPDATE runs SET ${columns.map((column) => `${column} = ?`).join(", ")} WHERE id = ?`
/** Its key is free for the run that goes on from it, which is inserted behind this. */
export const continueRun = "UPDATE runs SET idempotency_key = NULL, continued_as = ? WHERE id = ?"
export const selectNext = "SELECT continued_as FROM runs WHERE id = ?"
export const handOnInbox = `UPDATE inbox SET run = ? WHERE run = ? AND kind IN (${handedOn
  .map((kind) => `'${kind}'`)
  .join(", ")})`
export const updateOwner = "UPDATE runs SET owner = ?, generation = ?, recoveries = ?, ready_at = ? WHERE id = ?"
export const releaseRun = "UPDATE runs SET owner = NULL, ready_at = ? WHERE id = ?"
export const wakeRun = "UPDATE runs SET ready_at = ? WHERE id = ?"
export const wakeRunAs = "UPDATE runs SET ready_at = ?, status = ? WHERE id = ?"
export const dismissRun = "UPDATE runs SET dismissed = ? WHERE id = ?"

export const putStep = `INSERT INTO steps (run, path, epoch, position, kind, name, status, superseded, data, output)
  VALUES (${marks(10)})
  ON CONFLICT (run, path, epoch) DO UPDATE SET position = excluded.position, kind = excluded.kind,
    name = excluded.name, status = excluded.status, superseded = excluded.superseded, data = excluded.data,
    output = excluded.output`
const stepColumns = "run, path, epoch, position, kind, name, status, superseded, data"
export const selectSteps = `SELECT ${stepColumns} FROM steps WHERE run = ? ORDER BY position, epoch`
export const selectLiveStep = `SELECT ${stepColumns} FROM steps WHERE run = ? AND path = ? AND superseded = 0`

export const putItem = `INSERT INTO items (run, path, key, position, status, data) VALUES (${marks(6)})
  ON CONFLICT (run, path, key) DO UPDATE SET position = excluded.position, status = excluded.status,
    data = excluded.data`
export const selectItems =
  "SELECT run, path, key, position, status, data FROM items WHERE run = ? ORDER BY path, position"

const inboxColumns = "id, run, message, created_at"
export const insertInbox = `INSERT INTO inbox (run, kind, path, message, created_at) VALUES (${marks(5)}) RETURNING id`
export const deleteInbox = "DELETE FROM inbox WHERE run = ? AND id = ?"
export const selectInbox = `SELECT ${inboxColumns} FROM inbox WHERE run = ? ORDER BY id`
export const selectAnswer = "SELECT id FROM inbox WHERE run = ? AND kind = 'Answer' AND path = ? LIMIT 1"
export const selectNewestInbox = "SELECT id FROM inbox WHERE run = ? ORDER BY id DESC LIMIT 1"
/** From the newest rows, which are few: not by the runs that the engine owns, which may be many. And the newest id. */
export const selectOwnedInbox = `SELECT ${inboxColumns} FROM inbox
  WHERE id > ? AND (SELECT owner FROM runs WHERE runs.id = inbox.run) = ?
  UNION ALL SELECT max(id), NULL, NULL, NULL FROM inbox`

export const putEngine = `INSERT INTO engines (id, host, boot, pid, process_start, lease_until) VALUES (${marks(6)})
  ON CONFLICT (id) DO UPDATE SET host = excluded.host, boot = excluded.boot, pid = excluded.pid,
    process_start = excluded.process_start, lease_until = excluded.lease_until`
export const selectEngine = "SELECT id FROM engines WHERE id = ?"
export const selectLease = "SELECT lease_until FROM engines WHERE id = ?"
export const selectEngines = "SELECT * FROM engines ORDER BY id"
export const expireEngine = "UPDATE engines SET lease_until = 0 WHERE id = ? AND lease_until = ?"
export const forgetEngines =
  "DELETE FROM engines WHERE lease_until < ? AND NOT EXISTS (SELECT 1 FROM runs WHERE owner = engines.id)"

/** Each owner once, however many runs it has, without the ones whose lease holds. */
export const selectLostOwners = `WITH RECURSIVE owners (id) AS (
    SELECT min(owner) FROM runs WHERE owner IS NOT NULL
    UNION ALL
    SELECT (SELECT min(owner) FROM runs WHERE owner > owners.id) FROM owners WHERE owners.id IS NOT NULL
  )
  SELECT owners.id AS id FROM owners LEFT JOIN engines ON engines.id = owners.id
  WHERE owners.id IS NOT NULL AND owners.id <> ? AND (engines.lease_until IS NULL OR engines.lease_until <= ?)`

/** Few runs are ready; the indexes by workflow and root would go through all that ever were. */
const claimFilter = (dialect: Dialect, options: ClaimReadyOptions): Statement => {
  const { except, only, root } = options
  const id = dialect.unindexed("id")
  const filters = [knownFilter(dialect, options)]
  if (root !== undefined)
    filters.push({ sql: ` AND (${dialect.unindexed("root")} = ? OR ${id} = ?)`, params: [root, root] })
  if (only !== undefined) filters.push({ sql: ` AND ${dialect.isIn(id)}`, params: [JSON.stringify(only)] })
  if (except !== undefined) filters.push({ sql: ` AND NOT (${dialect.isIn(id)})`, params: [JSON.stringify(except)] })
  return { sql: filters.map(({ sql }) => sql).join(""), params: filters.flatMap(({ params }) => params) }
}

/** As `isKnown` in `Rules`. */
const knownFilter = (dialect: Dialect, { workflows, definitions }: ClaimReadyOptions): Statement => {
  if (workflows === undefined && definitions === undefined) return { sql: "", params: [] }
  const wanted = (definitions ?? []).map((key) =>
    key.endsWith(":") ? `substr(definition, 1, length(?)) = ?` : "definition = ?"
  )
  const either = [dialect.isIn(dialect.unindexed("workflow")), ...wanted].join(" OR ")
  return {
    sql: ` AND (${either})`,
    params: [
      JSON.stringify(workflows ?? []),
      ...(definitions ?? []).flatMap((key) => (key.endsWith(":") ? [key, key] : [key]))
    ]
  }
}

export const selectRunsOf = (dialect: Dialect, owner: string, options: ClaimReadyOptions): Statement => {
  const filter = claimFilter(dialect, options)
  return {
    sql: `SELECT ${fenceColumns} FROM runs WHERE owner = ? AND owner IS NOT NULL AND ${claimable}${filter.sql}
      ORDER BY id LIMIT ?`,
    params: [owner, ...filter.params, options.limit]
  }
}

const ready = `owner IS NULL AND ready_at IS NOT NULL AND ${claimable}`

export const selectReady = (dialect: Dialect, options: ClaimReadyOptions): Statement => {
  const filter = claimFilter(dialect, options)
  return {
    sql: `SELECT ${fenceColumns} FROM runs WHERE ${ready} AND ready_at <= ?${filter.sql} ORDER BY ready_at, id LIMIT ?`,
    params: [options.now, ...filter.params, options.limit]
  }
}

export const selectNextReady = `SELECT ready_at FROM runs WHERE ${ready} AND ready_at > ? ORDER BY ready_at LIMIT 1`

export const putDefinition = `INSERT INTO definitions (key, json, stored_at) VALUES (?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET stored_at = excluded.stored_at WHERE definitions.stored_at < excluded.stored_at`
export const selectDefinition = "SELECT key, json FROM definitions WHERE key = ?"
export const selectUnnamedDefinitions = `SELECT key FROM definitions WHERE stored_at < ?
  AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.definition = definitions.key) ORDER BY stored_at, key LIMIT ?`
export const deleteDefinition = "DELETE FROM definitions WHERE key = ?"

export const selectKnown = (dialect: Dialect) => `SELECT id FROM runs WHERE ${dialect.isIn("id")}`
export const selectNamedOutputs = (dialect: Dialect) =>
  `SELECT DISTINCT output FROM steps WHERE output IS NOT NULL AND ${dialect.isIn("output")}`

const endedRoot = `parent_run IS NULL AND ${ended}`
const allBelowEnded = `NOT EXISTS (SELECT 1 FROM runs AS other WHERE other.root = runs.id AND other.${below}
    AND other.status IN ('pending', 'running', 'waiting', 'cancelling', 'needs_resume'))`
/** The newest of those beyond the `keep` newest. */
export const selectKeepLimit = (dialect: Dialect) => `SELECT id FROM runs
  WHERE ${endedRoot} AND ${dialect.unindexed("ended_at")} <= ? ORDER BY id DESC LIMIT 1 OFFSET ?`
export const selectBeyond = (dialect: Dialect) => `SELECT id FROM runs
  WHERE ${endedRoot} AND id <= ? AND ${dialect.unindexed("ended_at")} <= ? AND ${allBelowEnded} ORDER BY id LIMIT ?`
export const selectAged = (dialect: Dialect) => `SELECT id FROM runs
  WHERE ${endedRoot} AND ${dialect.unindexed("ended_at")} < ? AND ${allBelowEnded} ORDER BY id LIMIT ?`
export const selectBelow = `SELECT id FROM runs WHERE root = ? AND ${below} ORDER BY id`
export const deleteRunRows = [
  "DELETE FROM inbox WHERE run = ?",
  "DELETE FROM items WHERE run = ?",
  "DELETE FROM steps WHERE run = ?",
  "DELETE FROM runs WHERE id = ?"
]
