/**
 * The SQL of a list of runs: a walk over one index from the newest run on, which the limit ends.
 *
 * An index gives the runs that have one value, newest first. Which value is chosen here, since the planner knows
 * nothing of how many runs have it; several statuses are as many walks, merged. The other conditions are looked at run
 * by run, so they may not make the planner take another index and sort what it finds: they are `unindexed`.
 */
import type { RunFilter } from "../Persistence.ts"
import type { RunStatus } from "../Records.ts"
import { isLive } from "../Rules.ts"
import { timeOf } from "../Ulid.ts"
import type { Dialect } from "./Dialect.ts"
import { notCompleted } from "./Migrations.ts"
import type { SqlValue, Statement } from "./Operation.ts"

/** `filter.status` is absent or names at least one. */
export const selectList = (dialect: Dialect, filter: RunFilter): Statement => {
  const statuses = [...new Set(filter.status ?? [])]
  const isOneWalk = filter.status === undefined || isOfParent(filter)
  const walks = isOneWalk ? [walk(dialect, filter, statuses)] : statuses.map((it) => walk(dialect, filter, [it]))
  const [only] = walks
  if (only !== undefined && walks.length === 1) return only
  return {
    sql: `${walks.map(({ sql }) => `SELECT * FROM (${sql})`).join(" UNION ALL ")} ORDER BY id DESC LIMIT ?`,
    params: [...walks.flatMap(({ params }) => params), filter.limit]
  }
}

type Driver = "parent" | "status" | "workflow" | undefined

/** Children of one run and runs that have not ended are few; ended ones, and roots, may be nearly all; most complete. */
const driverOf = (filter: RunFilter, status: RunStatus | undefined): Driver => {
  if (isOfParent(filter)) return "parent"
  if (status !== undefined && (isLive(status) || status === "needs_resume")) return "status"
  if (filter.workflow !== undefined) return "workflow"
  if (filter.parent === null) return "parent"
  return status === undefined || status === "completed" ? undefined : "status"
}

const isOfParent = ({ parent }: RunFilter): boolean => parent !== undefined && parent !== null

/** By how much a run's `created_at` may be later than its id, ms: a clock is set, a child that lives elsewhere held up. */
const slack = 3_600_000

/** Ids rise with time: with the least that such a run can have the walk from the newest ends where older ones begin. */
const leastSince = (since: number): string => timeOf(Math.max(0, since - slack))

/** Several statuses are no driver of a walk. */
const walk = (dialect: Dialect, filter: RunFilter, statuses: ReadonlyArray<RunStatus>): Statement => {
  const conditions: Array<string> = []
  const params: Array<SqlValue> = []
  const where = (condition: string, ...values: ReadonlyArray<SqlValue>) => {
    conditions.push(condition)
    params.push(...values)
  }
  const [status] = statuses
  const driver = driverOf(filter, status)
  const column = (name: string, as: Driver) => (driver === as ? name : dialect.unindexed(name))
  const { before, dismissed, limit, parent, since, text, workflow } = filter
  if (before !== undefined) where("id < ?", before)
  if (since !== undefined) where("created_at >= ? AND id >= ?", since, leastSince(since))
  if (statuses.length > 0) {
    where(`${column("status", "status")} IN (${statuses.map(() => "?").join(", ")})`, ...statuses)
    if (driver === "status") where(notCompleted)
  }
  if (workflow !== undefined) where(`${column("workflow", "workflow")} = ?`, workflow)
  if (parent === null) where(`${column("parent_run", "parent")} IS NULL`)
  else if (parent !== undefined) where(`${column("parent_run", "parent")} = ?`, parent)
  if (dismissed !== undefined) where("dismissed = ?", dismissed ? 1 : 0)
  if (text !== undefined) where(dialect.anyValueHas("inputs"), text)
  const clause = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`
  return { sql: `SELECT * FROM runs${clause} ORDER BY id DESC LIMIT ?`, params: [...params, limit] }
}
