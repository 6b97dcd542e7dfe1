/**
 * The state of the memory backend, and copies of it.
 *
 * Owns: where records are. What a write means is `MemoryPersistence`'s. Records are immutable and shared with
 * callers; the containers never are.
 */
import type { RunJournal } from "./Journal.ts"
import { emptyJournal } from "./Journal.ts"
import type { StoredDefinition } from "./Persistence.ts"
import type { EngineId, EngineRecord, InboxMessage, InboxRow, RunId, RunRecord } from "./Records.ts"
import { statusAfter } from "./Rules.ts"

/** A run with all its rows. */
export interface StoredRun {
  readonly journal: RunJournal
  readonly inbox: Map<number, InboxRow>
}

export interface MemoryStore {
  /** In order of creation. */
  readonly runs: Map<RunId, StoredRun>
  /** Those directly below a run, in order of creation. */
  readonly children: Map<RunId, Set<RunId>>
  /** By `runKey`. */
  readonly keys: Map<string, RunId>
  readonly engines: Map<EngineId, EngineRecord>
  readonly definitions: Map<string, StoredDefinition & { readonly storedAt: number }>
  lastInbox: number
}

/** The whole store at one moment, unaffected by what follows. */
export interface MemorySnapshot {
  readonly _tag: "MemorySnapshot"
  /** A copy that may be written to. */
  readonly copy: () => MemoryStore
}

export const records = (store: MemoryStore): Array<RunRecord> =>
  Array.from(store.runs.values(), (run) => run.journal.run)

export const childrenOf = (store: MemoryStore, parent: RunId): Array<RunRecord> =>
  Array.from(store.children.get(parent) ?? []).flatMap((id) => store.runs.get(id)?.journal.run ?? [])

/** Ids are ULIDs: their order is the order of creation. */
export const byId = (a: RunRecord, b: RunRecord): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

export const emptyStore = (): MemoryStore => ({
  runs: new Map(),
  children: new Map(),
  keys: new Map(),
  engines: new Map(),
  definitions: new Map(),
  lastInbox: 0
})

export const snapshotOf = (store: MemoryStore): MemorySnapshot => {
  const frozen = copyStore(store)
  return { _tag: "MemorySnapshot", copy: () => copyStore(frozen) }
}

const copyStore = (store: MemoryStore): MemoryStore => ({
  runs: new Map(
    Array.from(store.runs, ([id, run]) => [id, { journal: copyJournal(run.journal), inbox: new Map(run.inbox) }])
  ),
  children: new Map(Array.from(store.children, ([id, below]) => [id, new Set(below)])),
  keys: new Map(store.keys),
  engines: new Map(store.engines),
  definitions: new Map(store.definitions),
  lastInbox: store.lastInbox
})

const copyJournal = (journal: RunJournal): RunJournal => ({
  run: journal.run,
  steps: new Map(journal.steps),
  items: new Map(Array.from(journal.items, ([path, items]) => [path, new Map(items)]))
})

/** The run that has this one's id or idempotency key. */
export const existing = (store: MemoryStore, run: RunRecord): RunId | undefined => {
  if (store.runs.has(run.id)) return run.id
  return run.idempotencyKey === null ? undefined : store.keys.get(runKey(run.workflow, run.idempotencyKey))
}

export const insertRun = (store: MemoryStore, run: RunRecord): StoredRun => {
  const stored: StoredRun = { journal: emptyJournal(run), inbox: new Map() }
  store.runs.set(run.id, stored)
  if (run.parent !== null) {
    const siblings = store.children.get(run.parent.run) ?? new Set()
    store.children.set(run.parent.run, siblings.add(run.id))
  }
  if (run.idempotencyKey !== null) store.keys.set(runKey(run.workflow, run.idempotencyKey), run.id)
  return stored
}

export const deleteRun = (store: MemoryStore, id: RunId): void => {
  const run = store.runs.get(id)?.journal.run
  store.runs.delete(id)
  store.children.delete(id)
  if (run === undefined) return
  if (run.parent !== null) store.children.get(run.parent.run)?.delete(id)
  if (run.idempotencyKey !== null) store.keys.delete(runKey(run.workflow, run.idempotencyKey))
}

/** Inserts a message and wakes its run. */
export const deliver = (store: MemoryStore, target: StoredRun, message: InboxMessage, at: number): InboxRow => {
  const row: InboxRow = { id: ++store.lastInbox, run: target.journal.run.id, message, createdAt: at }
  target.inbox.set(row.id, row)
  const { run } = target.journal
  // An owner is told by the row, and cannot let the run go without having seen it.
  if (run.owner === null) target.journal.run = { ...run, status: statusAfter(run, message), readyAt: at }
  return row
}

export const runKey = (workflow: string, idempotencyKey: string): string => JSON.stringify([workflow, idempotencyKey])
