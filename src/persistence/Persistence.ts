/**
 * The contract of every store of runs (design.md, "Persistence: one entry for writes").
 *
 * Owns: the service and its errors. A backend keeps these, and `testing/PersistenceContract` checks each:
 * - I1 one commit is atomic.
 * - I3, I5 everything that steers a run, wake-ups included, is a row: `load` returns all of it.
 * - I6 `load` after any commit gives the fold (`Journal.apply`) of all commits.
 * - I7 one owner per generation; a write with an old generation changes nothing.
 * Each write is one conditional transaction. What is written is durable when the effect succeeds.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Change, LoadedRun, RunPatch } from "./Journal.ts"
import type { EngineRecord, InboxMessage, InboxRow, ItemRecord, RunRecord, RunStatus, StepRecord } from "./Records.ts"
import { EngineId, RunId } from "./Records.ts"

/** The store could not do it. `Busy`, `Full` and `Io` may clear; the others need a person. */
export class PersistenceError extends Schema.TaggedError<PersistenceError>()("PersistenceError", {
  reason: Schema.Literal("Busy", "Full", "Io", "ReadOnly", "NotADatabase", "NewerVersion", "Corrupt", "Other"),
  message: Schema.String
}) {
  /** Whether trying again later may succeed. */
  get transient(): boolean {
    return this.reason === "Busy" || this.reason === "Full" || this.reason === "Io"
  }
}

/** The writer no longer owns the run; nothing was written. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", { run: RunId, generation: Schema.Number }) {
  override get message() {
    return `run ${this.run} is no longer owned by this engine`
  }
}

/** The run's `seq` is not the expected one; nothing was written. */
export class SeqConflict extends Schema.TaggedError<SeqConflict>()("SeqConflict", {
  run: RunId,
  expected: Schema.Number,
  actual: Schema.Number
}) {
  override get message() {
    return `run ${this.run} is at commit ${this.actual}, not ${this.expected}`
  }
}

export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", { run: Schema.String }) {
  override get message() {
    return `there is no run ${this.run}`
  }
}

/** Another engine owns the run, and its lease holds. */
export class RunAlreadyOwned extends Schema.TaggedError<RunAlreadyOwned>()("RunAlreadyOwned", {
  run: RunId,
  owner: EngineId,
  leaseUntil: Schema.Number
}) {
  override get message() {
    return `run ${this.run} is owned by engine ${this.owner}`
  }
}

export class RunAlreadyEnded extends Schema.TaggedError<RunAlreadyEnded>()("RunAlreadyEnded", {
  run: RunId,
  status: Schema.String
}) {
  override get message() {
    return `run ${this.run} has already ended: ${this.status}`
  }
}

/** A run with this idempotency key of this workflow exists. */
export class RunAlreadyExists extends Schema.TaggedError<RunAlreadyExists>()("RunAlreadyExists", {
  workflow: Schema.String,
  idempotencyKey: Schema.String,
  run: RunId
}) {
  override get message() {
    return `workflow ${this.workflow} already has run ${this.run} for key ${this.idempotencyKey}`
  }
}

/** The step named by a message does not wait (any longer), or has its answer. */
export class NotWaiting extends Schema.TaggedError<NotWaiting>()("NotWaiting", {
  run: RunId,
  path: Schema.String,
  answered: Schema.Boolean
}) {
  override get message() {
    return this.answered
      ? `${this.path} of run ${this.run} has been answered`
      : `${this.path} of run ${this.run} does not wait`
  }
}

export interface Commit {
  readonly run: RunId
  readonly generation: number
  /** The run's `seq` before this commit; it is one more after it, if the commit counts (`Journal.counts`). */
  readonly expectedSeq: number
  readonly changes: ReadonlyArray<Change>
}

export interface Claim {
  readonly run: RunId
  readonly generation: number
}

export interface ClaimOptions {
  readonly engine: EngineId
  readonly now: number
}

export interface ClaimReadyOptions extends ClaimOptions {
  /** Only runs of these workflows, or of these definitions; both absent: any. */
  readonly workflows?: ReadonlyArray<string>
  /** Keys of definitions; one that ends with `:` stands for all that begin with it. */
  readonly definitions?: ReadonlyArray<string>
  /** Only this run and those below it. */
  readonly root?: RunId
  /** Only these runs. */
  readonly only?: ReadonlyArray<RunId>
  /** Not these runs. */
  readonly except?: ReadonlyArray<RunId>
  readonly limit: number
}

export interface RunFilter {
  readonly status?: ReadonlyArray<RunStatus>
  readonly workflow?: string
  /** Created at or after, ms since the epoch. A run whose id was made an hour before that, or longer, may be left out. */
  readonly since?: number
  /**
   * In the value of an input, whatever the case of ASCII letters. Values that are secret are looked at too, as they are
   * in the records themselves: who shows what is found to people looks only at what they may see.
   */
  readonly text?: string
  /** Children of this run; absent: any run; null: only roots. */
  readonly parent?: RunId | null
  readonly dismissed?: boolean
  /** Newest first, those created before this run. */
  readonly before?: RunId
  readonly limit: number
}

/** A run with all its rows. */
export interface RunRows {
  readonly run: RunRecord
  readonly steps: ReadonlyArray<StepRecord>
  readonly items: ReadonlyArray<ItemRecord>
}

export interface StoredDefinition {
  /** The hash of its content, or a code workflow's name and version. */
  readonly key: string
  readonly json: string
}

/** A root run that is, or would be, deleted. */
export interface Pruned {
  readonly root: RunId
  /** Those below it. */
  readonly children: ReadonlyArray<RunId>
}

export interface PruneOptions {
  /** Those that ended before. */
  readonly endedBefore?: number
  /** Those beyond so many, the newest ones. */
  readonly keep?: number
  /** Runs that ended later do not count: a prune of several batches ends although runs go on ending. */
  readonly asOf?: number
  /** About so many runs in one transaction: the root that reaches it, with all the runs below it, is the last. */
  readonly limit: number
  /** Changes nothing, and does not hold up those who write. */
  readonly dryRun: boolean
}

export interface NewInbox {
  /** Rows after the one that was given, in order. */
  readonly rows: ReadonlyArray<InboxRow>
  /**
   * The newest row of any run: the one to go on from. What came before it for a run that the engine claims later is
   * found when that is loaded.
   */
  readonly last: number
}

export class Persistence extends Context.Tag("millrace/Persistence")<
  Persistence,
  {
    /** The one write of a run's owner: all changes or none (I1). Concurrent calls may share a transaction. */
    readonly commit: (commit: Commit) => Effect.Effect<void, LeaseLost | SeqConflict | PersistenceError>

    /** Inserts a run with its owner, generation and `seq` as given. */
    readonly create: (run: RunRecord) => Effect.Effect<void, RunAlreadyExists | PersistenceError>
    /** `create` and the first `commit` of its owner, with these changes, in one transaction. */
    readonly createWith: (
      run: RunRecord,
      changes: ReadonlyArray<Change>
    ) => Effect.Effect<void, RunAlreadyExists | PersistenceError>
    /** Inserts runs with the rows that they have from the start, all or none: a root and those below it. */
    readonly createTree: (runs: ReadonlyArray<RunRows>) => Effect.Effect<void, RunAlreadyExists | PersistenceError>

    /** Inserts or renews an engine's row. Inserting forgets those whose lease ended a day ago and that own no run. */
    readonly renewEngine: (engine: EngineRecord) => Effect.Effect<void, PersistenceError>
    /** Ends an engine's lease: at its shutdown, or when its process is gone. No-op if the row's lease changed since. */
    readonly expireEngine: (engine: EngineId, leaseUntil: number) => Effect.Effect<void, PersistenceError>

    /**
     * Makes the engine the owner: a free run, or one whose owner's lease expired, under a generation raised by one
     * (and `recoveries` too if an owner was lost); one's own unchanged. `readyAt` becomes null. Ended runs are refused;
     * `needs_resume` ones are claimed (only an explicit resume asks for them by id).
     */
    readonly claim: (
      run: RunId,
      options: ClaimOptions
    ) => Effect.Effect<Claim, RunNotFound | RunAlreadyOwned | RunAlreadyEnded | PersistenceError>
    /**
     * Claims up to `limit` runs that nobody runs, oldest `readyAt` first: unowned with `readyAt` at or before now, or
     * owned by an engine whose lease expired. Never ended or `needs_resume` ones.
     */
    readonly claimReady: (options: ClaimReadyOptions) => Effect.Effect<ReadonlyArray<Claim>, PersistenceError>
    /**
     * Lets a run go, claimable from `readyAt` on (null: when an inbox row says so). `lastInbox`: the newest inbox row
     * seen; false, and nothing written, if there is a newer one, so that no wake-up is lost.
     */
    readonly release: (options: {
      readonly run: RunId
      readonly generation: number
      readonly readyAt: number | null
      readonly lastInbox: number | null
    }) => Effect.Effect<boolean, LeaseLost | PersistenceError>
    /**
     * Opens a run that ended (or is parked) again, under the engine, generation and `seq` raised by one, with these
     * changes in the same transaction; `expectedSeq` guards the decision that the changes were made from.
     */
    readonly reopen: (options: {
      readonly run: RunId
      readonly engine: EngineId
      readonly expectedSeq: number
      readonly changes: ReadonlyArray<Change>
    }) => Effect.Effect<Claim, RunNotFound | SeqConflict | RunAlreadyOwned | PersistenceError>

    /**
     * Inserts into a run's inbox and, where nobody owns that, sets its `readyAt` to now. An `Answer` needs its step to
     * be a live row that waits and has no answer yet. Several pauses, unpauses or cancels are harmless. A `Cancel` to a
     * parked run that nobody owns makes it `cancelling`, so that `claimReady` finds it.
     */
    readonly send: (
      run: RunId,
      message: InboxMessage,
      now: number
    ) => Effect.Effect<InboxRow, RunNotFound | RunAlreadyEnded | NotWaiting | PersistenceError>
    readonly setDismissed: (run: RunId, dismissed: boolean) => Effect.Effect<void, RunNotFound | PersistenceError>
    /** Stores a definition, or notes that one that is there was stored again: a run is about to name it. */
    readonly storeDefinition: (definition: StoredDefinition, now: number) => Effect.Effect<void, PersistenceError>
    /**
     * Deletes ended root runs, with all below them, that fit either criterion; never one with a run below it that has
     * not ended. Returns the roots (to be) deleted, each with all the runs below it: those beyond `keep`, oldest first,
     * then the others in the order of their ends. Their logs are the caller's to remove (`OutputStore.remove`).
     */
    readonly prune: (options: PruneOptions) => Effect.Effect<ReadonlyArray<Pruned>, PersistenceError>
    /** Deletes up to `limit` definitions last stored before a time that no run names; their keys. */
    readonly pruneDefinitions: (options: {
      readonly storedBefore: number
      readonly limit: number
      readonly dryRun: boolean
    }) => Effect.Effect<ReadonlyArray<string>, PersistenceError>

    readonly get: (run: RunId) => Effect.Effect<RunRecord, RunNotFound | PersistenceError>
    /** Full id, or any prefix of one that is unique. */
    readonly find: (idOrPrefix: string) => Effect.Effect<RunRecord, RunNotFound | PersistenceError>
    readonly findByKey: (
      workflow: string,
      idempotencyKey: string
    ) => Effect.Effect<RunRecord | undefined, PersistenceError>
    /** Everything a resume needs, in one ordered read. */
    readonly load: (run: RunId) => Effect.Effect<LoadedRun, RunNotFound | PersistenceError>
    /** All rows of a run by position, superseded ones included. */
    readonly steps: (run: RunId) => Effect.Effect<ReadonlyArray<StepRecord>, PersistenceError>
    readonly items: (run: RunId) => Effect.Effect<ReadonlyArray<ItemRecord>, PersistenceError>
    /** Newest first. */
    readonly list: (filter: RunFilter) => Effect.Effect<ReadonlyArray<RunRecord>, PersistenceError>
    /** What is new in the inboxes of all runs that the engine owns. */
    readonly inbox: (engine: EngineId, after: number) => Effect.Effect<NewInbox, PersistenceError>
    readonly engines: Effect.Effect<ReadonlyArray<EngineRecord>, PersistenceError>
    readonly definition: (key: string) => Effect.Effect<StoredDefinition | undefined, PersistenceError>
    /** Those of these runs that are in the store. */
    readonly known: (runs: ReadonlyArray<RunId>) => Effect.Effect<ReadonlyArray<RunId>, PersistenceError>
    /** Those of these kept outputs (`OutputStore`) that a step of any run names. */
    readonly namedOutputs: (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, PersistenceError>
    /** The runs that `claimReady` would claim, in its order: for whoever has to look at a run before it is claimed. */
    readonly claimable: (options: ClaimReadyOptions) => Effect.Effect<ReadonlyArray<RunRecord>, PersistenceError>
    /** The nearest `readyAt` after a time of an unowned run, for the timer of a watchdog. */
    readonly nextReadyAt: (after: number) => Effect.Effect<number | undefined, PersistenceError>

    /** A hint, without content, that someone wrote: another process, or `send`, `create` and `Notify` in this one. */
    readonly changes: Stream.Stream<void>
  }
>() {}

export type PersistenceService = Context.Tag.Service<typeof Persistence>
export type { RunPatch }
