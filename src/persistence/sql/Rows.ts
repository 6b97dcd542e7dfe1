/**
 * Rows as records, and back. A row that someone tampered with gives a `Corrupt` error that names table and key.
 *
 * Runs are columns throughout, so that a patch is one UPDATE of what it changes. Steps and items are one JSON text
 * beside the columns that queries need; all are checked (`Guard`) rather than decoded.
 */
import * as Either from "effect/Either"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { problemsOf } from "../../workflow/SchemaProblems.ts"
import type { RunPatch } from "../Journal.ts"
import type { StoredDefinition } from "../Persistence.ts"
import type { EngineId, InboxRow, RunId } from "../Records.ts"
import { EngineRecord, InboxMessage, ItemRecord, RunRecord, RunStatus, StepRecord } from "../Records.ts"
import type { Fence } from "../Rules.ts"
import {
  encodeSettings,
  encodeTotals,
  expandItemData,
  expandSettings,
  expandStepData,
  expandTotals
} from "./Compact.ts"
import { guardOf } from "./Guard.ts"
import type { Row, SqlValue } from "./Operation.ts"
import { corrupt } from "./Operation.ts"

interface Column {
  readonly name: string
  readonly encode: (run: RunRecord) => SqlValue
}

const json = (value: unknown): string | null => JSON.stringify(value) ?? null
const flag = (value: boolean): number => (value ? 1 : 0)

const runColumns: ReadonlyArray<Column> = [
  { name: "id", encode: (run) => run.id },
  { name: "workflow", encode: (run) => run.workflow },
  { name: "title", encode: (run) => run.title },
  { name: "definition", encode: (run) => run.definition },
  { name: "parent_run", encode: (run) => run.parent?.run ?? null },
  { name: "parent_path", encode: (run) => run.parent?.path ?? null },
  { name: "root", encode: (run) => run.root },
  { name: "depth", encode: (run) => run.depth },
  { name: "status", encode: (run) => run.status },
  { name: "dry_run", encode: (run) => flag(run.dryRun) },
  { name: "started_by", encode: (run) => run.trigger },
  { name: "inputs", encode: (run) => json(run.inputs) },
  { name: "payload", encode: (run) => json(run.payload) },
  { name: "settings", encode: (run) => encodeSettings(run.settings) },
  { name: "created_at", encode: (run) => run.createdAt },
  { name: "started_at", encode: (run) => run.startedAt },
  { name: "ended_at", encode: (run) => run.endedAt },
  { name: "summary", encode: (run) => run.summary },
  { name: "error", encode: (run) => run.error },
  { name: "cancel_reason", encode: (run) => run.cancelReason },
  { name: "result", encode: (run) => json(run.result) },
  { name: "blocked_on", encode: (run) => json(run.blockedOn) },
  { name: "iteration", encode: (run) => run.iteration },
  { name: "totals", encode: (run) => encodeTotals(run.totals) },
  { name: "target", encode: (run) => run.target },
  { name: "idempotency_key", encode: (run) => run.idempotencyKey },
  { name: "owner", encode: (run) => run.owner },
  { name: "generation", encode: (run) => run.generation },
  { name: "epoch", encode: (run) => run.epoch },
  { name: "seq", encode: (run) => run.seq },
  { name: "ready_at", encode: (run) => run.readyAt },
  { name: "recoveries", encode: (run) => run.recoveries },
  { name: "dismissed", encode: (run) => flag(run.dismissed) },
  { name: "continues", encode: (run) => (run.continues === null ? null : json(run.continues)) },
  { name: "continued_as", encode: (run) => run.continuedAs }
]

export const runColumnNames: ReadonlyArray<string> = runColumns.map((column) => column.name)

export const encodeRun = (run: RunRecord): ReadonlyArray<SqlValue> => runColumns.map((column) => column.encode(run))

/** The columns that a patch sets, with their values. */
export const encodePatch = (patch: RunPatch): ReadonlyArray<readonly [column: string, value: SqlValue]> => {
  const set: Array<readonly [string, SqlValue]> = []
  if (patch.status !== undefined) set.push(["status", patch.status])
  if (patch.settings !== undefined) set.push(["settings", encodeSettings(patch.settings)])
  if (patch.startedAt !== undefined) set.push(["started_at", patch.startedAt])
  if (patch.endedAt !== undefined) set.push(["ended_at", patch.endedAt])
  if (patch.summary !== undefined) set.push(["summary", patch.summary])
  if (patch.error !== undefined) set.push(["error", patch.error])
  if (patch.cancelReason !== undefined) set.push(["cancel_reason", patch.cancelReason])
  if ("result" in patch) set.push(["result", json(patch.result)])
  if (patch.blockedOn !== undefined) set.push(["blocked_on", json(patch.blockedOn)])
  if (patch.iteration !== undefined) set.push(["iteration", patch.iteration])
  if (patch.totals !== undefined) set.push(["totals", encodeTotals(patch.totals)])
  if (patch.epoch !== undefined) set.push(["epoch", patch.epoch])
  if (patch.recoveries !== undefined) set.push(["recoveries", patch.recoveries])
  return set
}

const isRun = guardOf(RunRecord)

export const decodeRun = (row: Row): RunRecord => {
  const key = keyOf(row["id"])
  const parsed = (column: string) => parse("runs", key, column, row[column])
  const run = {
    id: row["id"],
    workflow: row["workflow"],
    title: row["title"],
    definition: row["definition"],
    parent: row["parent_run"] === null ? null : { run: row["parent_run"], path: row["parent_path"] },
    root: row["root"],
    depth: row["depth"],
    status: row["status"],
    dryRun: row["dry_run"] === 1,
    trigger: row["started_by"],
    inputs: parsed("inputs"),
    payload: row["payload"] === null ? undefined : parsed("payload"),
    settings: expandSettings(parsed("settings")),
    createdAt: row["created_at"],
    startedAt: row["started_at"],
    endedAt: row["ended_at"],
    summary: row["summary"],
    error: row["error"],
    cancelReason: row["cancel_reason"],
    result: row["result"] === null ? undefined : parsed("result"),
    blockedOn: parsed("blocked_on"),
    iteration: row["iteration"],
    totals: expandTotals(parsed("totals")),
    target: row["target"],
    idempotencyKey: row["idempotency_key"],
    owner: row["owner"],
    generation: row["generation"],
    epoch: row["epoch"],
    seq: row["seq"],
    readyAt: row["ready_at"],
    recoveries: row["recoveries"],
    dismissed: row["dismissed"] === 1,
    continues: row["continues"] === null ? null : parsed("continues"),
    continuedAs: row["continued_as"]
  }
  if (!isRun(run)) throw corrupt("runs", key, problemOf(RunRecord, run))
  return run
}

const isStep = guardOf(StepRecord)
const isItem = guardOf(ItemRecord)

export const decodeStep = (row: Row): StepRecord => {
  const { run, path, position, kind, name } = row
  const key = `${keyOf(run)} ${keyOf(path)}#${keyOf(row["epoch"])}`
  const columns = { run, path, position, kind, name, superseded: row["superseded"] === 1 }
  const step = expandStepData(parse("steps", key, "data", row["data"]), columns)
  if (!isStep(step)) throw corrupt("steps", key, problemOf(StepRecord, step))
  if (step.epoch !== row["epoch"] || step.status !== row["status"]) {
    throw corrupt("steps", key, "data and columns do not agree")
  }
  return step
}

export const decodeItem = (row: Row): ItemRecord => {
  const { path, position } = row
  const key = `${keyOf(row["run"])} ${keyOf(path)} ${keyOf(row["key"])}`
  const item = expandItemData(parse("items", key, "data", row["data"]), { path, position })
  if (!isItem(item)) throw corrupt("items", key, problemOf(ItemRecord, item))
  if (item.key !== row["key"] || item.status !== row["status"]) {
    throw corrupt("items", key, "data and columns do not agree")
  }
  return item
}

/** A key whose value was undefined is not in its JSON. */
const lenient = { exact: false } as const

const problemOf = <A, I>(schema: Schema.Schema<A, I>, value: unknown): string =>
  Either.match(Schema.decodeUnknownEither(schema, lenient)(value), {
    onLeft: reasonOf,
    onRight: () => "the data has the wrong shape"
  })

const isMessage = guardOf(InboxMessage)

export const decodeInbox = (row: Row): InboxRow => {
  const key = keyOf(row["id"])
  const { id, run, created_at: createdAt } = row
  const message = parse("inbox", key, "message", row["message"])
  if (!isMessage(message)) throw corrupt("inbox", key, problemOf(InboxMessage, message))
  if (typeof id !== "number" || typeof run !== "string" || typeof createdAt !== "number") {
    throw corrupt("inbox", key, "a column has the wrong type")
  }
  return { id, run: runId(run), message, createdAt }
}

const isStatus = guardOf(RunStatus)

/** The columns that fence a write. */
export const decodeFence = (row: Row): Fence => {
  const { id, status, owner, generation, seq, recoveries } = row
  if (!isStatus(status)) throw corrupt("runs", keyOf(id), `status is ${String(status)}`)
  if (typeof generation !== "number" || typeof seq !== "number" || typeof recoveries !== "number") {
    throw corrupt("runs", keyOf(id), "generation, seq or recoveries is no number")
  }
  return { id: runId(id), status, owner: owner === null ? null : engineId(owner), generation, seq, recoveries }
}

const isEngine = guardOf(EngineRecord)

export const decodeEngine = (row: Row): EngineRecord => {
  const { id, host, boot, pid, process_start: processStart, lease_until: leaseUntil } = row
  const engine = { id, host, boot, pid, processStart, leaseUntil }
  if (!isEngine(engine)) throw corrupt("engines", keyOf(id), problemOf(EngineRecord, engine))
  return engine
}

export const decodeDefinition = (row: Row): StoredDefinition => {
  const { key, json: text } = row
  if (typeof key !== "string" || typeof text !== "string") throw corrupt("definitions", keyOf(key), "json is no text")
  return { key, json: text }
}

export const decodeReadyAt = (row: Row): number => {
  const readyAt = row["ready_at"]
  if (typeof readyAt !== "number") throw corrupt("runs", "?", "ready_at is no number")
  return readyAt
}

export const decodeId = (row: Row): RunId => runId(row["id"])

export const decodeOutput = (row: Row): string => String(row["output"])

// SAFETY: only ids that were written as such are in id columns.
export const runId = (id: unknown): RunId => String(id) as RunId

// SAFETY: as for runId.
const engineId = (id: unknown): EngineId => String(id) as EngineId

/** The first problem, with where it is; not the whole type. */
const reasonOf = (error: ParseError): string => {
  const [problem = "it has the wrong shape"] = problemsOf(error)
  return problem
}

const parse = (table: string, key: string, column: string, text: unknown): unknown => {
  if (typeof text !== "string") throw corrupt(table, key, `${column} is no text`)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw corrupt(table, key, `${column} is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

const keyOf = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? `${value}` : "?")
