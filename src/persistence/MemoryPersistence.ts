/**
 * The contract in memory: synchronous, deterministic, without timers or a clock of its own, so that a simulation on a
 * virtual clock may use it; and copied at any moment, so that a crash test may go on from there.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Change, LoadedRun, Notify } from "./Journal.ts"
import { apply, counts, emptyJournal } from "./Journal.ts"
import type { MemorySnapshot, MemoryStore, StoredRun } from "./MemoryStore.ts"
import { definition, namedOutputs, prune, pruneDefinitions, storeDefinition } from "./MemoryPrune.ts"
import {
  byId,
  childrenOf,
  deliver,
  emptyStore,
  existing,
  insertRun,
  records,
  runKey,
  snapshotOf
} from "./MemoryStore.ts"
import * as OutputFiles from "./OutputFiles.ts"
import type { OutputStore } from "./OutputStore.ts"
import type {
  Claim,
  ClaimOptions,
  ClaimReadyOptions,
  Commit,
  NewInbox,
  PersistenceService,
  RunFilter,
  RunRows
} from "./Persistence.ts"
import type { LeaseLost } from "./Persistence.ts"
import {
  NotWaiting,
  Persistence,
  PersistenceError,
  RunAlreadyEnded,
  RunAlreadyExists,
  RunNotFound
} from "./Persistence.ts"
import type {
  EngineId,
  EngineRecord,
  InboxMessage,
  InboxRow,
  ItemRecord,
  RunId,
  RunRecord,
  StepRecord
} from "./Records.ts"
import { isEnded } from "./Records.ts"
import {
  anyValueHas,
  claimRun,
  engineMemory,
  fenceCommit,
  fenceOwner,
  fenceReopen,
  isHandedOn,
  isLive,
  isOwnedBy,
  isWanted,
  leaseLost
} from "./Rules.ts"

export interface MemoryPersistence {
  readonly service: PersistenceService
  /** The whole store at this moment, for `make({ from })`. */
  readonly snapshot: () => MemorySnapshot
}

/** A store of its own, empty or as it was when a snapshot was taken. */
export const make = (options: { readonly from?: MemorySnapshot } = {}): Effect.Effect<MemoryPersistence> =>
  Effect.map(PubSub.sliding<void>(1), (hints) => {
    const store = options.from === undefined ? emptyStore() : options.from.copy()
    return {
      service: service(store, hints),
      snapshot: () => snapshotOf(store)
    }
  })

export const layer: Layer.Layer<Persistence> = Layer.effect(
  Persistence,
  Effect.map(make(), (memory) => memory.service)
)

type Result<A, E> = Either.Either<A, E>

/** Output files in a temporary folder that is deleted with the scope; dies where there can be none. */
export const layerOutputs: Layer.Layer<OutputStore> = Layer.orDie(OutputFiles.layerTemporary)

const service = (store: MemoryStore, hints: PubSub.PubSub<void>): PersistenceService => {
  const hint = () => hints.unsafeOffer(undefined)
  const write = <A, E>(body: () => Result<A, E>) => Effect.suspend(body)
  const committing = <A, E>(body: (told: () => void) => Result<A, E>) =>
    Effect.suspend(() => {
      let isTold = false
      const result = body(() => (isTold = true))
      if (isTold && Either.isRight(result)) hint()
      return result
    })
  const waking = <A, E>(body: () => Result<A, E>) =>
    committing((told) => {
      told()
      return body()
    })
  const read = <A>(body: () => A) => Effect.sync(body)
  return Persistence.of({
    commit: (commit) => committing((told) => commitChanges(store, commit, told)),
    create: (run) => (run.owner === null ? waking : write)(() => create(store, run)),
    createTree: (runs) => waking(() => createTree(store, runs)),
    createWith: (run, changes) => committing((told) => create(store, run, changes, told)),
    renewEngine: (engine) => read(() => renewEngine(store, engine)),
    expireEngine: (engine, leaseUntil) => read(() => expireEngine(store, engine, leaseUntil)),
    claim: (run, options) => write(() => claim(store, run, options)),
    claimReady: (options) => read(() => claimReady(store, options)),
    release: (options) => (options.readyAt === null ? write : waking)(() => release(store, options)),
    reopen: (options) => write(() => reopen(store, options)),
    send: (run, message, now) => waking(() => send(store, run, message, now)),
    setDismissed: (run, dismissed) => write(() => Either.map(found(store, run), (it) => patch(it, { dismissed }))),
    storeDefinition: (definition, now) => read(() => storeDefinition(store, definition, now)),
    prune: (options) => read(() => prune(store, options)),
    pruneDefinitions: (options) => read(() => pruneDefinitions(store, options)),
    get: (run) => write(() => Either.map(found(store, run), (it) => it.journal.run)),
    find: (prefix) => write(() => find(store, prefix)),
    findByKey: (workflow, key) => read(() => recordOf(store, store.keys.get(runKey(workflow, key)))),
    load: (run) => write(() => Either.map(found(store, run), load)),
    steps: (run) => read(() => steps(store.runs.get(run))),
    items: (run) => read(() => items(store.runs.get(run))),
    list: (filter) => read(() => list(store, filter)),
    inbox: (engine, after) => read(() => inbox(store, engine, after)),
    engines: read(() => Array.from(store.engines.values())),
    definition: (key) => read(() => definition(store, key)),
    known: (runs) => read(() => runs.filter((run) => store.runs.has(run))),
    namedOutputs: (names) => read(() => namedOutputs(store, names)),
    claimable: (options) => read(() => claimable(store, options)),
    nextReadyAt: (after) => read(() => nextReadyAt(store, after)),
    changes: Stream.fromPubSub(hints)
  })
}

const recordOf = (store: MemoryStore, id: RunId | undefined): RunRecord | undefined =>
  id === undefined ? undefined : store.runs.get(id)?.journal.run

const found = (store: MemoryStore, run: RunId): Result<StoredRun, RunNotFound> => {
  const stored = store.runs.get(run)
  return stored === undefined ? Either.left(new RunNotFound({ run })) : Either.right(stored)
}

const patch = (stored: StoredRun, values: Partial<RunRecord>): void => {
  stored.journal.run = { ...stored.journal.run, ...values }
}

const leaseOf = (store: MemoryStore, run: RunRecord): number | undefined =>
  run.owner === null ? undefined : store.engines.get(run.owner)?.leaseUntil

/** Every refusal is found before the first change is applied (I1). */
const commitChanges = (store: MemoryStore, commit: Commit, told: () => void) => {
  const stored = store.runs.get(commit.run)
  const refused = fenceCommit(stored?.journal.run, commit) ?? refusedChildren(store, commit.changes)
  if (stored === undefined || refused !== undefined) return Either.left(refused ?? leaseLost(commit))
  applyAll(store, stored, commit.changes, told)
  return Either.right(undefined)
}

/** A child that exists under its own id was created by an earlier try; another one under its key is no child of ours. */
const refusedChildren = (store: MemoryStore, changes: ReadonlyArray<Change>): PersistenceError | undefined => {
  const created = new Map<string, RunId>()
  for (const change of changes) {
    if (change._tag !== "Create") continue
    const { run } = change
    const key = run.idempotencyKey === null ? undefined : runKey(run.workflow, run.idempotencyKey)
    const other = existing(store, run) ?? (key === undefined ? undefined : created.get(key))
    if (other !== undefined && other !== run.id) {
      const message = `runs: child ${run.id} cannot be created: run ${other} has its idempotency key`
      return new PersistenceError({ reason: "Corrupt", message })
    }
    if (key !== undefined) created.set(key, run.id)
  }
  return undefined
}

/** One commit; `told` where others have something to look at. */
const applyAll = (store: MemoryStore, stored: StoredRun, changes: ReadonlyArray<Change>, told?: () => void): void => {
  for (const change of changes) {
    if (change._tag === "Continue") continueAs(store, stored, change.run)
    apply(stored.journal, change)
    if (change._tag === "Consume") for (const id of change.ids) stored.inbox.delete(id)
    if (change._tag === "Create" && !store.runs.has(change.run.id)) {
      insertRun(store, change.run)
      if (change.run.owner === null) told?.()
    }
    if (change._tag === "Notify") notify(store, change, told)
  }
  if (counts(changes)) patch(stored, { seq: stored.journal.run.seq + 1 })
}

const continueAs = (store: MemoryStore, stored: StoredRun, next: RunRecord): void => {
  if (store.runs.has(next.id)) return
  insertRun(store, next)
  const target = store.runs.get(next.id)
  for (const [id, row] of stored.inbox) {
    if (!isHandedOn(row.message)) continue
    stored.inbox.delete(id)
    target?.inbox.set(id, { ...row, run: next.id })
  }
}

const notify = (store: MemoryStore, change: Notify, told?: () => void): void => {
  const target = store.runs.get(change.run)
  if (target === undefined) return
  const { run } = target.journal
  if (isOwnedBy(run, change.unless)) return
  if (!isEnded(run.status)) {
    deliver(store, target, change.message, change.at)
    told?.()
  } else if (run.continuedAs !== null && isHandedOn(change.message)) {
    notify(store, { ...change, run: run.continuedAs, unless: undefined }, told)
  }
}

const create = (
  store: MemoryStore,
  run: RunRecord,
  first?: ReadonlyArray<Change>,
  told?: () => void
): Result<void, RunAlreadyExists | PersistenceError> => {
  const other = existing(store, run)
  if (other !== undefined) return Either.left(alreadyExists(run, other))
  const refused = refusedChildren(store, first ?? [])
  if (refused !== undefined) return Either.left(refused)
  const stored = insertRun(store, run)
  if (first !== undefined) applyAll(store, stored, first, told)
  return Either.right(undefined)
}

const createTree = (store: MemoryStore, runs: ReadonlyArray<RunRows>): Result<void, RunAlreadyExists> => {
  for (const { run } of runs) {
    const other = existing(store, run)
    if (other !== undefined) return Either.left(alreadyExists(run, other))
  }
  for (const { items, run, steps } of runs) {
    const { journal } = insertRun(store, run)
    for (const step of steps) apply(journal, { _tag: "Step", step })
    for (const item of items) apply(journal, { _tag: "Item", item })
  }
  return Either.right(undefined)
}

const alreadyExists = ({ idempotencyKey, workflow }: RunRecord, run: RunId): RunAlreadyExists =>
  new RunAlreadyExists({ workflow, idempotencyKey: idempotencyKey ?? "", run })

const renewEngine = (store: MemoryStore, engine: EngineRecord): void => {
  const known = store.engines.has(engine.id)
  store.engines.set(engine.id, engine)
  if (known) return
  const owners = new Set(records(store).map((run) => run.owner))
  for (const { id, leaseUntil } of store.engines.values()) {
    if (leaseUntil < engine.leaseUntil - engineMemory && !owners.has(id)) store.engines.delete(id)
  }
}

const expireEngine = (store: MemoryStore, id: EngineId, leaseUntil: number): void => {
  const engine = store.engines.get(id)
  if (engine !== undefined && engine.leaseUntil === leaseUntil) store.engines.set(id, { ...engine, leaseUntil: 0 })
}

const claim = (store: MemoryStore, id: RunId, options: ClaimOptions) =>
  Either.flatMap(found(store, id), (stored) => {
    const { run } = stored.journal
    return Either.map(claimRun(run, leaseOf(store, run), options), (ownership): Claim => {
      patch(stored, ownership)
      return { run: id, generation: ownership.generation }
    })
  })

const claimReady = (store: MemoryStore, options: ClaimReadyOptions): ReadonlyArray<Claim> =>
  claimable(store, options).flatMap((run) =>
    Either.match(claim(store, run.id, options), { onLeft: () => [], onRight: (it) => [it] })
  )

/** Those of lost owners first: they have waited without a `readyAt`. */
const claimable = (store: MemoryStore, options: ClaimReadyOptions): ReadonlyArray<RunRecord> => {
  const wanted = (run: RunRecord) =>
    isLive(run.status) &&
    isWanted(run, options) &&
    (run.owner === null
      ? run.readyAt !== null && run.readyAt <= options.now
      : run.owner !== options.engine && (leaseOf(store, run) ?? 0) <= options.now)
  const order = (run: RunRecord) => (run.owner === null && run.readyAt !== null ? run.readyAt : -Infinity)
  return records(store)
    .filter(wanted)
    .sort((a, b) => (order(a) === order(b) ? byId(a, b) : order(a) - order(b)))
    .slice(0, options.limit)
}

const release = (
  store: MemoryStore,
  options: Parameters<PersistenceService["release"]>[0]
): Result<boolean, LeaseLost> => {
  const stored = store.runs.get(options.run)
  const refused = fenceOwner(stored?.journal.run, options)
  if (stored === undefined || refused !== undefined) return Either.left(refused ?? leaseLost(options))
  const newest = Array.from(stored.inbox.keys()).at(-1) ?? 0
  if (newest > (options.lastInbox ?? 0)) return Either.right(false)
  patch(stored, { owner: null, readyAt: options.readyAt })
  return Either.right(true)
}

const reopen = (store: MemoryStore, options: Parameters<PersistenceService["reopen"]>[0]) =>
  Either.flatMap(found(store, options.run), (stored) => {
    const { run } = stored.journal
    const refused = fenceReopen(run, leaseOf(store, run), options) ?? refusedChildren(store, options.changes)
    if (refused !== undefined) return Either.left(refused)
    const generation = run.generation + 1
    patch(stored, { owner: options.engine, generation, readyAt: null })
    applyAll(store, stored, options.changes)
    return Either.right<Claim>({ run: options.run, generation })
  })

const send = (
  store: MemoryStore,
  id: RunId,
  message: InboxMessage,
  now: number
): Result<InboxRow, RunNotFound | RunAlreadyEnded | NotWaiting> =>
  Either.flatMap(found(store, id), (stored): Result<InboxRow, RunAlreadyEnded | NotWaiting> => {
    const { status } = stored.journal.run
    if (isEnded(status)) return Either.left(new RunAlreadyEnded({ run: id, status }))
    const refused = message._tag === "Answer" ? refusedAnswer(stored, message.path) : undefined
    return refused === undefined ? Either.right(deliver(store, stored, message, now)) : Either.left(refused)
  })

const refusedAnswer = (stored: StoredRun, path: string): NotWaiting | undefined => {
  const sent = Array.from(stored.inbox.values()).some(
    (row) => row.message._tag === "Answer" && row.message.path === path
  )
  const step = Array.from(stored.journal.steps.values()).find((it) => it.path === path && !it.superseded)
  const answered = sent || (step !== undefined && step.gate !== null && step.gate.answer !== null)
  if (!answered && step?.status === "waiting") return undefined
  return new NotWaiting({ run: stored.journal.run.id, path, answered })
}

const find = (store: MemoryStore, prefix: string): Result<RunRecord, RunNotFound> => {
  const matches = records(store).filter((run) => prefix !== "" && run.id.startsWith(prefix))
  const run = matches.find((it) => it.id === prefix) ?? (matches.length === 1 ? matches[0] : undefined)
  return run === undefined ? Either.left(new RunNotFound({ run: prefix })) : Either.right(run)
}

/** In the order of positions, as from any store: what a resume iterates over must not depend on the backend. */
const load = (stored: StoredRun): LoadedRun => {
  const journal = emptyJournal(stored.journal.run)
  for (const step of steps(stored)) apply(journal, { _tag: "Step", step })
  for (const item of items(stored)) apply(journal, { _tag: "Item", item })
  return { journal, inbox: Array.from(stored.inbox.values()) }
}

const steps = (stored: StoredRun | undefined): ReadonlyArray<StepRecord> =>
  Array.from(stored?.journal.steps.values() ?? []).sort((a, b) => a.position - b.position || a.epoch - b.epoch)

const items = (stored: StoredRun | undefined): ReadonlyArray<ItemRecord> =>
  Array.from(stored?.journal.items.values() ?? [])
    .flatMap((byKey) => Array.from(byKey.values()))
    .sort((a, b) => (a.path === b.path ? a.position - b.position : a.path < b.path ? -1 : 1))

const list = (store: MemoryStore, filter: RunFilter): ReadonlyArray<RunRecord> => {
  const { status, workflow, since, text, parent, dismissed, before } = filter
  const wanted = (run: RunRecord) =>
    (status === undefined || status.includes(run.status)) &&
    (workflow === undefined || run.workflow === workflow) &&
    (since === undefined || run.createdAt >= since) &&
    (text === undefined || anyValueHas(run.inputs, text)) &&
    (parent === undefined || (run.parent?.run ?? null) === parent) &&
    (dismissed === undefined || run.dismissed === dismissed) &&
    (before === undefined || run.id < before)
  const candidates = parent === undefined || parent === null ? records(store) : childrenOf(store, parent)
  return candidates
    .filter(wanted)
    .sort((a, b) => byId(b, a))
    .slice(0, filter.limit)
}

const inbox = (store: MemoryStore, engine: EngineId, after: number): NewInbox => ({
  rows: Array.from(store.runs.values())
    .filter((stored) => stored.journal.run.owner === engine)
    .flatMap((stored) => Array.from(stored.inbox.values()))
    .filter((row) => row.id > after)
    .sort((a, b) => a.id - b.id),
  last: store.lastInbox
})

const nextReadyAt = (store: MemoryStore, after: number): number | undefined =>
  records(store).reduce<number | undefined>((nearest, run) => {
    if (run.owner !== null || run.readyAt === null || run.readyAt <= after || !isLive(run.status)) return nearest
    return nearest === undefined ? run.readyAt : Math.min(nearest, run.readyAt)
  }, undefined)
