/**
 * The writes of the contract as operations. Every one runs inside a transaction that already may write, so what it
 * read holds until it is committed (I1, I7).
 *
 * An operation answers with an Exit. Where that is a failure, the caller undoes what it wrote.
 */
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { Change, Notify, RunPatch } from "../Journal.ts"
import { committed, counts, releases } from "../Journal.ts"
import type {
  Claim,
  ClaimOptions,
  ClaimReadyOptions,
  Commit,
  LeaseLost,
  PersistenceService,
  Pruned,
  RunRows
} from "../Persistence.ts"
import {
  NotWaiting,
  PersistenceError,
  RunAlreadyEnded,
  RunAlreadyExists,
  type RunAlreadyOwned,
  RunNotFound,
  type SeqConflict,
  type StoredDefinition
} from "../Persistence.ts"
import type {
  EngineId,
  EngineRecord,
  InboxMessage,
  InboxRow,
  ItemRecord,
  RunId,
  RunRecord,
  StepRecord
} from "../Records.ts"
import { outputName } from "../OutputStore.ts"
import { isEnded } from "../Records.ts"
import type { Fence, Ownership } from "../Rules.ts"
import {
  claimRun,
  engineMemory,
  fenceCommit,
  fenceOwner,
  fenceReopen,
  isHandedOn,
  isOwnedBy,
  leaseLost,
  statusAfter
} from "../Rules.ts"
import { encodeItemData, encodeStepData } from "./Compact.ts"
import type { Dialect } from "./Dialect.ts"
import type { Fences } from "./Fences.ts"
import { readFence, writeFence } from "./Fences.ts"
import type { Operation, Statement } from "./Operation.ts"
import { first, query } from "./Operation.ts"
import { decodeFence, decodeStep, encodePatch, encodeRun, runId } from "./Rows.ts"
import * as Sql from "./Statements.ts"

export type Write<A, E> = Operation<Exit.Exit<A, E | PersistenceError>>

type Options<K extends keyof PersistenceService> = PersistenceService[K] extends (options: infer A) => unknown
  ? A
  : never

/** `told`: others have something to look at. */
export function* commit(fences: Fences, write: Commit, told?: () => void): Write<void, LeaseLost | SeqConflict> {
  const { run, generation, expectedSeq, changes } = write
  const columns = patchColumns(changes)
  const params = [...columns.map(([, value]) => value), run, generation, expectedSeq]
  const isCounted = counts(changes)
  const [fenced] = yield isCounted
    ? { sql: countCommitOf(columns), params, counts: true }
    : { sql: Sql.selectOwned, params }
  if (fenced?.["changes"] !== 1) {
    const refused = fenceCommit(yield* readFence(fences, run), write)
    return Exit.fail(refused ?? leaseLost(write))
  }
  if (isCounted) fences.delete(run)
  return yield* applyChanges(fences, run, changes, told)
}

const countCommit = Sql.countCommit([])

const countCommitOf = (columns: Columns): string =>
  columns.length === 0 ? countCommit : Sql.countCommit(columns.map(([column]) => column))

/** The run's `Run` changes as one: the fold of `Journal.patchRun`, which only ever lets go. */
interface MergedPatch {
  readonly values: RunPatch
  readonly release: boolean
}

const runPatch = (changes: ReadonlyArray<Change>): MergedPatch | undefined =>
  changes.reduce<MergedPatch | undefined>((merged, change) => {
    if (change._tag !== "Run") return merged
    const release = merged?.release === true || releases(change.patch.status)
    return { values: { ...merged?.values, ...change.patch }, release }
  }, undefined)

type Columns = ReadonlyArray<readonly [column: string, value: string | number | null]>

const noColumns: Columns = []

/** What the `Run` changes set, beside `seq`. */
const patchColumns = (changes: ReadonlyArray<Change>): Columns => {
  const patch = runPatch(changes)
  if (patch === undefined) return noColumns
  const columns = encodePatch(patch.values)
  return patch.release ? [...columns, ["owner", null], ["ready_at", null]] : columns
}

/** All but the `Run` changes. */
function* applyChanges(
  fences: Fences,
  run: RunId,
  changes: ReadonlyArray<Change>,
  told?: () => void
): Write<void, never> {
  for (const change of changes) {
    switch (change._tag) {
      case "Run":
        break
      case "Step":
        yield putStep(run, change.step)
        break
      case "Item":
        yield putItem(run, change.item)
        break
      case "Consume":
        for (const id of change.ids) yield* query(Sql.deleteInbox, run, id)
        break
      case "Create": {
        const created = yield* createChild(fences, change.run)
        if (Exit.isFailure(created)) return created
        if (change.run.owner === null) told?.()
        break
      }
      case "Continue": {
        const continued = yield* continueAs(fences, run, change.run)
        if (Exit.isFailure(continued)) return continued
        break
      }
      case "Notify":
        yield* notify(fences, change, told)
    }
  }
  return Exit.void
}

const putStep = (run: RunId, step: StepRecord): Statement => {
  const { path, epoch, position, kind, name, status, superseded } = step
  const data = encodeStepData(run, step)
  const output = outputName(step.result.outputFile) ?? null
  const params = [run, path, epoch, position, kind, name, status, superseded ? 1 : 0, data, output]
  return { sql: Sql.putStep, params }
}

const putItem = (run: RunId, item: ItemRecord): Statement => {
  const { path, key, position, status } = item
  return { sql: Sql.putItem, params: [run, path, key, position, status, encodeItemData(item)] }
}

/** A child that exists under its own id was created by an earlier try; another one under its key is no child of ours. */
function* createChild(fences: Fences, run: RunRecord): Write<void, never> {
  const created = yield* create(fences, run)
  const failure = Exit.isFailure(created) && created.cause._tag === "Fail" ? created.cause.error : undefined
  if (failure === undefined) return Exit.void
  if (failure._tag === "PersistenceError") return Exit.fail(failure)
  if (failure.run === run.id) return Exit.void
  const message = `runs: child ${run.id} cannot be created: run ${failure.run} has its idempotency key`
  return Exit.fail(new PersistenceError({ reason: "Corrupt", message }))
}

function* continueAs(fences: Fences, run: RunId, next: RunRecord): Write<void, never> {
  yield* query(Sql.continueRun, next.id, run)
  const created = yield* createChild(fences, next)
  if (Exit.isSuccess(created)) yield* query(Sql.handOnInbox, next.id, run)
  return created
}

export function* create(
  fences: Fences,
  run: RunRecord,
  changes?: ReadonlyArray<Change>,
  told?: () => void
): Write<void, RunAlreadyExists> {
  const record = changes === undefined ? run : committed(run, changes)
  const [inserted] = yield { sql: Sql.insertRun, params: encodeRun(record), counts: true }
  if (inserted?.["changes"] !== 1) {
    const { workflow, idempotencyKey } = run
    return Exit.fail(
      new RunAlreadyExists({ workflow, idempotencyKey: idempotencyKey ?? "", run: yield* existing(run) })
    )
  }
  fences.delete(run.id)
  return changes === undefined ? Exit.void : yield* applyChanges(fences, run.id, changes, told)
}

export function* createTree(fences: Fences, runs: ReadonlyArray<RunRows>): Write<void, RunAlreadyExists> {
  for (const { run, steps, items } of runs) {
    const created = yield* create(fences, run)
    if (Exit.isFailure(created)) return created
    for (const step of steps) yield putStep(run.id, step)
    for (const item of items) yield putItem(run.id, item)
  }
  return Exit.void
}

/** The run that has this one's id, or else its idempotency key. */
function* existing({ id, workflow, idempotencyKey }: RunRecord): Operation<RunId> {
  if ((yield* first(Sql.selectFence, id)) !== undefined) return id
  const row = yield* first(Sql.selectRunByKey, workflow, idempotencyKey)
  return runId(row?.["id"])
}

function* notify(fences: Fences, change: Notify, told?: () => void): Operation<void> {
  const fence = yield* readFence(fences, change.run)
  if (fence === undefined || isOwnedBy(fence, change.unless)) return
  if (!isEnded(fence.status)) {
    yield* deliver(fences, fence, change.message, change.at)
    told?.()
  } else if (isHandedOn(change.message)) {
    const next = (yield* first(Sql.selectNext, change.run))?.["continued_as"]
    if (next !== null && next !== undefined)
      yield* notify(fences, { ...change, run: runId(next), unless: undefined }, told)
  }
}

function* deliver(fences: Fences, fence: Fence, message: InboxMessage, at: number): Operation<InboxRow> {
  const { id: run } = fence
  const path = "path" in message ? message.path : null
  const row = yield* first(Sql.insertInbox, run, message._tag, path, JSON.stringify(message), at)
  const status = statusAfter(fence, message)
  if (status !== fence.status) yield* query(Sql.wakeRunAs, at, status, run)
  // An owner is told by the row, and cannot let the run go without having seen it.
  else if (fence.owner === null) yield* query(Sql.wakeRun, at, run)
  writeFence(fences, { ...fence, status })
  return { id: Number(row?.["id"]), run, message, createdAt: at }
}

export function* send(
  fences: Fences,
  run: RunId,
  message: InboxMessage,
  now: number
): Write<InboxRow, RunNotFound | RunAlreadyEnded | NotWaiting> {
  const fence = yield* readFence(fences, run)
  if (fence === undefined) return Exit.fail(missing(run))
  if (isEnded(fence.status)) return Exit.fail(new RunAlreadyEnded({ run, status: fence.status }))
  const refused = message._tag === "Answer" ? yield* refusedAnswer(run, message.path) : undefined
  return refused === undefined ? Exit.succeed(yield* deliver(fences, fence, message, now)) : Exit.fail(refused)
}

function* refusedAnswer(run: RunId, path: string): Operation<NotWaiting | undefined> {
  if ((yield* first(Sql.selectAnswer, run, path)) !== undefined) return new NotWaiting({ run, path, answered: true })
  const row = yield* first(Sql.selectLiveStep, run, path)
  const step = row === undefined ? undefined : decodeStep(row)
  const answered = step !== undefined && step.gate !== null && step.gate.answer !== null
  return !answered && step?.status === "waiting" ? undefined : new NotWaiting({ run, path, answered })
}

export function* renewEngine(engine: EngineRecord): Write<void, never> {
  const known = yield* first(Sql.selectEngine, engine.id)
  const { id, host, boot, pid, processStart, leaseUntil } = engine
  yield* query(Sql.putEngine, id, host, boot, pid, processStart, leaseUntil)
  if (known === undefined) yield* query(Sql.forgetEngines, leaseUntil - engineMemory)
  return Exit.void
}

export function* expireEngine(engine: EngineId, leaseUntil: number): Write<void, never> {
  yield* query(Sql.expireEngine, engine, leaseUntil)
  return Exit.void
}

function* leaseOf(owner: EngineId | null): Operation<number | undefined> {
  if (owner === null) return undefined
  const row = yield* first(Sql.selectLease, owner)
  return row === undefined ? undefined : Number(row["lease_until"])
}

export function* claim(
  fences: Fences,
  run: RunId,
  options: ClaimOptions
): Write<Claim, RunNotFound | RunAlreadyOwned | RunAlreadyEnded> {
  const fence = yield* readFence(fences, run)
  if (fence === undefined) return Exit.fail(missing(run))
  const decided = claimRun(fence, yield* leaseOf(fence.owner), options)
  if (Either.isLeft(decided)) return Exit.fail(decided.left)
  yield* own(run, decided.right)
  const { owner, generation, recoveries } = decided.right
  writeFence(fences, { ...fence, owner, generation, recoveries })
  return Exit.succeed({ run, generation })
}

function* own(run: RunId, ownership: Ownership): Operation<void> {
  const { owner, generation, recoveries, readyAt } = ownership
  yield* query(Sql.updateOwner, owner, generation, recoveries, readyAt, run)
}

/** Those of lost owners first: they have waited without a `readyAt`. */
export function* claimReady(
  dialect: Dialect,
  fences: Fences,
  options: ClaimReadyOptions
): Write<ReadonlyArray<Claim>, never> {
  const claims: Array<Claim> = []
  for (const fence of yield* claimables(dialect, options)) {
    const claimed = yield* claim(fences, fence, options)
    if (Exit.isSuccess(claimed)) claims.push(claimed.value)
  }
  return Exit.succeed(claims)
}

/** Whom `claimReady` would claim. */
export function* claimables(dialect: Dialect, options: ClaimReadyOptions): Operation<ReadonlyArray<RunId>> {
  const lost: Array<RunId> = []
  for (const owner of yield* query(Sql.selectLostOwners, options.engine, options.now)) {
    const { sql, params } = Sql.selectRunsOf(dialect, String(owner["id"]), options)
    for (const row of yield* query(sql, ...params)) lost.push(decodeFence(row).id)
  }
  const { sql, params } = Sql.selectReady(dialect, options)
  const ready = yield* query(sql, ...params)
  return [...lost.sort(), ...ready.map((row) => decodeFence(row).id)].slice(0, options.limit)
}

export function* release(fences: Fences, options: Options<"release">): Write<boolean, LeaseLost> {
  const fence = yield* readFence(fences, options.run)
  const refused = fenceOwner(fence, options)
  if (fence === undefined || refused !== undefined) return Exit.fail(refused ?? leaseLost(options))
  const newest = yield* first(Sql.selectNewestInbox, options.run)
  if (newest !== undefined && Number(newest["id"]) > (options.lastInbox ?? 0)) return Exit.succeed(false)
  yield* query(Sql.releaseRun, options.readyAt, options.run)
  writeFence(fences, { ...fence, owner: null })
  return Exit.succeed(true)
}

export function* reopen(
  fences: Fences,
  options: Options<"reopen">
): Write<Claim, RunNotFound | SeqConflict | RunAlreadyOwned> {
  const { run, engine, changes } = options
  const fence = yield* readFence(fences, run)
  if (fence === undefined) return Exit.fail(missing(run))
  const refused = fenceReopen(fence, yield* leaseOf(fence.owner), options)
  if (refused !== undefined) return Exit.fail(refused)
  const generation = fence.generation + 1
  yield* own(run, { owner: engine, generation, recoveries: fence.recoveries, readyAt: null })
  const columns: Columns = [["seq", fence.seq + 1], ...patchColumns(changes)]
  yield* query(Sql.updateRun(columns.map(([column]) => column)), ...columns.map(([, value]) => value), run)
  fences.delete(run)
  const applied = yield* applyChanges(fences, run, changes)
  return Exit.as(applied, { run, generation })
}

export function* setDismissed(fences: Fences, run: RunId, dismissed: boolean): Write<void, RunNotFound> {
  if ((yield* readFence(fences, run)) === undefined) return Exit.fail(missing(run))
  yield* query(Sql.dismissRun, dismissed ? 1 : 0, run)
  return Exit.void
}

export function* storeDefinition(definition: StoredDefinition, now: number): Write<void, never> {
  yield* query(Sql.putDefinition, definition.key, definition.json, now)
  return Exit.void
}

export function* pruneDefinitions(options: Options<"pruneDefinitions">): Write<ReadonlyArray<string>, never> {
  const keys = yield* unnamedDefinitions(options)
  for (const key of keys) yield* query(Sql.deleteDefinition, key)
  return Exit.succeed(keys)
}

/** What `pruneDefinitions` would delete. */
export function* unnamedDefinitions({
  storedBefore,
  limit
}: Options<"pruneDefinitions">): Operation<ReadonlyArray<string>> {
  const rows = yield* query(Sql.selectUnnamedDefinitions, storedBefore, limit)
  return rows.map((row) => String(row["key"]))
}

export function* prune(
  dialect: Dialect,
  fences: Fences,
  options: Options<"prune">
): Write<ReadonlyArray<Pruned>, never> {
  const pruned = yield* prunable(dialect, options)
  for (const { root, children } of pruned) for (const id of [root, ...children]) yield* deleteRun(fences, id)
  return Exit.succeed(pruned)
}

/** What `prune` would delete. */
export function* prunable(dialect: Dialect, options: Options<"prune">): Operation<ReadonlyArray<Pruned>> {
  const pruned: Array<Pruned> = []
  let size = 0
  for (const root of yield* prunableRoots(dialect, options)) {
    const below = yield* query(Sql.selectBelow, root)
    pruned.push({ root, children: below.map((child) => runId(child["id"])) })
    size += 1 + below.length
    if (size >= options.limit) break
  }
  return pruned
}

function* prunableRoots(dialect: Dialect, options: Options<"prune">): Operation<ReadonlySet<RunId>> {
  const { asOf = Number.MAX_SAFE_INTEGER, endedBefore, keep, limit } = options
  const last = keep === undefined ? undefined : yield* first(Sql.selectKeepLimit(dialect), asOf, keep)
  const beyond = last === undefined ? [] : yield* query(Sql.selectBeyond(dialect), runId(last["id"]), asOf, limit)
  const aged =
    endedBefore === undefined ? [] : yield* query(Sql.selectAged(dialect), Math.min(endedBefore, asOf + 1), limit)
  return new Set([...beyond, ...aged].map((row) => runId(row["id"])))
}

function* deleteRun(fences: Fences, run: RunId): Operation<void> {
  for (const sql of Sql.deleteRunRows) yield* query(sql, run)
  fences.delete(run)
}

const missing = (run: RunId): RunNotFound => new RunNotFound({ run })
