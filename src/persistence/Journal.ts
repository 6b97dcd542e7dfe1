/**
 * What a commit may change, and the state those changes fold to.
 *
 * Owns: `Change`, `RunJournal` and the fold. `apply` is the only reading of a change: the memory backend and the
 * engine's live state both use it, and I6 says that rebuilding the journal from any backend gives the same state.
 */
import type { EngineId, InboxMessage, InboxRow, ItemRecord, RunId, RunRecord, StepRecord } from "./Records.ts"
import { stepKey } from "./Records.ts"

/** What the owner of a run may change in its own record. Ownership, generation and `seq` are the store's. */
export type RunPatch = Partial<
  Pick<
    RunRecord,
    | "status"
    | "settings"
    | "startedAt"
    | "endedAt"
    | "summary"
    | "error"
    | "cancelReason"
    | "result"
    | "blockedOn"
    | "iteration"
    | "totals"
    | "epoch"
    | "recoveries"
  >
>

export type Change =
  /** An end (`completed`, `failed`, `cancelled`) and `needs_resume` also release the lease, with `readyAt` null. */
  | { readonly _tag: "Run"; readonly patch: RunPatch }
  /** Inserts the row, or replaces the one of the same path and epoch. */
  | { readonly _tag: "Step"; readonly step: StepRecord }
  | { readonly _tag: "Item"; readonly item: ItemRecord }
  /** Deletes rows of the run's own inbox. */
  | { readonly _tag: "Consume"; readonly ids: ReadonlyArray<number> }
  /** Creates a child, as `Persistence.create` would. */
  | { readonly _tag: "Create"; readonly run: RunRecord }
  /**
   * Creates the run that goes on from this one's end. It takes over this run's idempotency key, and what `isHandedOn`
   * of its inbox. Only in a commit that ends the run.
   */
  | { readonly _tag: "Continue"; readonly run: RunRecord }
  /**
   * Inserts into another run's inbox and, where nobody owns that, sets its `readyAt` to `at` (now); nothing if that run
   * ended or is gone, or is owned as `unless` says: then it is told without a row. What `isHandedOn` goes to the run that
   * its chain has come to.
   */
  | Notify

export interface Notify {
  readonly _tag: "Notify"
  readonly run: RunId
  readonly message: InboxMessage
  readonly at: number
  readonly unless?: OwnedBy | undefined
}

/** An engine under one of its claims. */
export interface OwnedBy {
  readonly engine: EngineId
  readonly generation: number
}

/** A run as its owner holds it in memory: the fold of its journal. */
export interface RunJournal {
  run: RunRecord
  /** By `stepKey`, superseded ones included. */
  readonly steps: Map<string, StepRecord>
  /** By step path, then item key. */
  readonly items: Map<string, Map<string, ItemRecord>>
}

/** A journal with the inbox rows that wait to be consumed, in order. */
export interface LoadedRun {
  readonly journal: RunJournal
  readonly inbox: ReadonlyArray<InboxRow>
}

export const releases = (status: RunRecord["status"] | undefined): boolean =>
  status === "completed" || status === "failed" || status === "cancelled" || status === "needs_resume"

/** The record after a patch. */
export const patchRun = (run: RunRecord, patch: RunPatch): RunRecord =>
  releases(patch.status) ? { ...run, ...patch, owner: null, readyAt: null } : { ...run, ...patch }

/**
 * Whether a commit of these changes counts in the run's `seq`. One that only puts rows does not: written twice, because
 * an answer was lost, they are the same, and a run's record need not be written with each step.
 */
export const counts = (changes: ReadonlyArray<Change>): boolean =>
  changes.some(({ _tag }) => _tag !== "Step" && _tag !== "Item")

/** The changes of one commit, where they are many without the rows that later ones of it replace. */
export const withoutReplaced = (changes: ReadonlyArray<Change>): ReadonlyArray<Change> => {
  if (changes.length < many) return changes
  const seen = new Set<string>()
  const kept: Array<Change> = []
  for (const change of changes.toReversed()) {
    const key = rowKey(change)
    if (key !== undefined) {
      if (seen.has(key)) continue
      seen.add(key)
    }
    kept.push(change)
  }
  return kept.reverse()
}

const many = 8

const rowKey = (change: Change): string | undefined => {
  if (change._tag === "Step") return stepKey(change.step)
  return change._tag === "Item" ? `${change.item.path} ${change.item.key}` : undefined
}

/** The record after a commit of these changes. */
export const committed = (run: RunRecord, changes: ReadonlyArray<Change>): RunRecord =>
  changes.reduce(
    (record, change) => (change._tag === "Run" ? patchRun(record, change.patch) : record),
    counts(changes) ? { ...run, seq: run.seq + 1 } : run
  )

/** Applies a change to a run's own journal; messages, inbox rows and children are other records. */
export const apply = (journal: RunJournal, change: Change): void => {
  switch (change._tag) {
    case "Run":
      journal.run = patchRun(journal.run, change.patch)
      return
    case "Step":
      journal.steps.set(stepKey(change.step), change.step)
      return
    case "Item":
      return putItem(journal, change.item)
    case "Continue":
      journal.run = { ...journal.run, idempotencyKey: null, continuedAs: change.run.id }
      return
    case "Consume":
    case "Create":
    case "Notify":
      return
  }
}

const putItem = (journal: RunJournal, item: ItemRecord): void => {
  const items = journal.items.get(item.path)
  if (items === undefined) journal.items.set(item.path, new Map([[item.key, item]]))
  else items.set(item.key, item)
}

export const emptyJournal = (run: RunRecord): RunJournal => ({ run, steps: new Map(), items: new Map() })
