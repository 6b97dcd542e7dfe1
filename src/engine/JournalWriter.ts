/**
 * The one writer of a run's journal in the engine that owns it.
 *
 * Owns: live state (`journal`, `live`), the run's `seq`, and the order of its commits.
 * Neighbours: `Persistence` makes commits durable; `RunContext` decides what is written.
 * - I1, I2 Changes appended in one turn travel in one commit; `flush` returns when all appended so far are durable.
 * - E1 Events are published after the commit that carries their change.
 * - I6 With `checkInvariants`, live state and the store are compared with the fold of all commits after each of them.
 * - I7 When the lease is lost, or the store refuses for good, nothing more is written and the run is told once.
 */
import type * as Clock from "effect/Clock"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import type * as Scheduler from "effect/Scheduler"
import type { Change, LoadedRun, RunJournal } from "../persistence/Journal.ts"
import * as Journal from "../persistence/Journal.ts"
import {
  LeaseLost,
  PersistenceError,
  type PersistenceService,
  type RunAlreadyExists,
  type SeqConflict
} from "../persistence/Persistence.ts"
import { type RunRecord, stepKey, type StepPath, type StepRecord } from "../persistence/Records.ts"
import { isObject } from "../workflow/Json.ts"
import type { EngineEvent } from "./Events.ts"
import type { SilentReason } from "./StopReason.ts"

/** Of a run that its first commit creates. */
export interface Creation {
  readonly run: RunRecord
  /** Told once how that ended. */
  readonly done: (exit: Exit.Exit<void, RunAlreadyExists | PersistenceError>) => void
}

/** Tries before a new run is given up: its caller may start it again. */
const creationTries = 5

export interface WriterOptions {
  readonly persistence: PersistenceService
  readonly runtime: Runtime.Runtime<never>
  readonly clock: Clock.Clock
  readonly generation: number
  readonly loaded: LoadedRun
  /** Present: the run is not in the store yet. */
  readonly creation?: Creation
  readonly checkInvariants: boolean
  /** Whether the engine's own lease still holds, by the monotonic clock. */
  readonly leaseHolds: () => boolean
  readonly publish: (events: ReadonlyArray<EngineEvent>) => void
  readonly lost: (reason: SilentReason) => void
  /** The store does not hold what was written to it. */
  readonly violated: (message: string) => void
}

export class JournalWriter {
  readonly journal: RunJournal
  /** The rows that are part of the journal, by path: superseded ones are not. */
  readonly live = new Map<StepPath, StepRecord>()
  /** Rows that an explicit resume superseded, the newest by path. */
  readonly superseded = new Map<StepPath, StepRecord>()
  #seq: number
  #changes: Array<Change> = []
  #events: Array<EngineEvent> = []
  #waiting: Array<() => void> = []
  /** Somebody writes. */
  #busy = false
  /** A fiber that writes is on its way. */
  #scheduled = false
  readonly #scheduler: Scheduler.Scheduler
  #lost = false
  #creation: Creation | undefined
  readonly #durable: RunJournal | undefined

  constructor(private readonly options: WriterOptions) {
    this.journal = options.loaded.journal
    this.#seq = this.journal.run.seq
    this.#creation = options.creation
    this.#scheduler = FiberRefs.getOrDefault(options.runtime.fiberRefs, FiberRef.currentScheduler)
    this.#durable = options.checkInvariants ? copyOf(this.journal) : undefined
    for (const step of this.journal.steps.values()) this.#index(step)
  }

  /** The commits that count and are durable. */
  get seq(): number {
    return this.#seq
  }

  get generation(): number {
    return this.options.generation
  }

  /** Adds to the next commit of this run, which leaves at the end of this turn; live state changes at once. */
  append(changes: ReadonlyArray<Change>, events: ReadonlyArray<EngineEvent> = []): void {
    if (this.#lost) return
    for (const change of changes) {
      Journal.apply(this.journal, change)
      if (change._tag === "Step") this.#index(change.step)
      this.#changes.push(change)
    }
    for (const event of events) this.#events.push(event)
    this.#start()
  }

  /** Whether nothing more will be written. */
  get isLost(): boolean {
    return this.#lost
  }

  /** Writes nothing more. */
  abandon(): void {
    this.#lost = true
    this.#changes = []
    this.#events = []
    this.#created(Exit.fail(notOwned))
  }

  /** Whether the run is to be created by its first commit, which has not been tried. */
  get isUncreated(): boolean {
    return this.#creation !== undefined && !this.#busy
  }

  /** Only the first time counts. */
  #created(exit: Exit.Exit<void, RunAlreadyExists | PersistenceError>): void {
    const creation = this.#creation
    this.#creation = undefined
    creation?.done(exit)
  }

  /**
   * As `flush`, by the calling fiber itself where no commit is on its way: a turn less than a fiber that does it, but
   * without waiting for what others append in this turn. To be called where it cannot be interrupted.
   */
  readonly flushNow: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#lost || this.#busy || !this.#isPending) return this.flush
    this.#busy = true
    return this.#writeOnce(() => {
      this.#busy = false
      if (this.#isPending || this.#waiting.length > 0) this.#start()
      return this.#lost ? Effect.interrupt : Effect.void
    })
  })

  /** Waits until everything appended so far is durable; interrupts its fiber if that will never be. */
  readonly flush: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#lost) return Effect.interrupt
    if (!this.#busy && !this.#isPending) return Effect.void
    return Effect.async<void>((resume) => {
      // The fiber may have given way since, and the last commit been made.
      if (!this.#busy && !this.#isPending) return resume(this.#lost ? Effect.interrupt : Effect.void)
      this.#waiting.push(() => resume(this.#lost ? Effect.interrupt : Effect.void))
    })
  })

  #index(step: StepRecord): void {
    if (step.superseded) {
      if (this.live.get(step.path)?.epoch === step.epoch) this.live.delete(step.path)
      const known = this.superseded.get(step.path)
      if (known === undefined || known.epoch <= step.epoch) this.superseded.set(step.path, step)
    } else this.live.set(step.path, step)
  }

  get #isPending(): boolean {
    return this.#changes.length > 0 || this.#events.length > 0
  }

  /** Sees to it that somebody writes: a fiber of its own, unless a `flushNow` comes before it. */
  #start(): void {
    if (this.#busy || this.#scheduled) return
    this.#scheduled = true
    // A fiber that was resumed in this turn goes on first: it may write itself.
    this.#scheduler.scheduleTask(() => this.#scheduler.scheduleTask(() => this.#begin(), 0), 0)
  }

  #begin(): void {
    this.#scheduled = false
    if (this.#busy || (!this.#isPending && this.#waiting.length === 0)) return
    this.#busy = true
    Runtime.runFork(this.options.runtime)(this.#writeAll)
  }

  readonly #writeAll: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.#lost && this.#isPending) return this.#writeOnce(() => this.#writeAll)
    this.#busy = false
    this.#release()
    return Effect.void
  })

  /** Writes what has been appended, tells those who wait for it, and goes on with `then`. */
  #writeOnce(then: () => Effect.Effect<void>): Effect.Effect<void> {
    const changes = this.#changes
    const events = this.#events
    const waiting = this.#waiting
    this.#changes = []
    this.#events = []
    this.#waiting = []
    const done = () => {
      if (!this.#lost) this.options.publish(events)
      for (const wake of waiting) wake()
      return then()
    }
    return changes.length === 0 ? done() : this.#commit(Journal.withoutReplaced(changes), done)
  }

  #release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  #commit(changes: ReadonlyArray<Change>, then: () => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.flatMap(this.#attempt(changes, false, 0), (reason) => {
      if (reason !== undefined) {
        this.#lose(reason)
        return then()
      }
      this.#created(Exit.void)
      if (Journal.counts(changes)) this.#seq += 1
      // It was durable in time, but what follows it is too late.
      if (!this.options.leaseHolds()) this.#lose({ _tag: "LeaseLost" })
      return this.#durable === undefined ? then() : Effect.flatMap(this.#check(this.#durable, changes), then)
    })
  }

  /** Tries until it is written or will never be; `unsure`: an earlier try may have been written. */
  #attempt(changes: ReadonlyArray<Change>, unsure: boolean, failures: number): Effect.Effect<SilentReason | undefined> {
    if (this.#lost) return Effect.succeed({ _tag: "LeaseLost" })
    const { persistence, generation } = this.options
    const run = this.journal.run.id
    const creation = this.#creation
    const commit = Effect.suspend((): Effect.Effect<void, CommitError> => {
      // In the turn in which the store is asked: the process may stand still between two turns.
      if (!this.options.leaseHolds()) return Effect.fail(new LeaseLost({ run, generation }))
      return creation === undefined
        ? persistence.commit({ run, generation, expectedSeq: this.#seq, changes })
        : persistence.createWith(creation.run, changes)
    })
    const onFailure = (cause: Cause.Cause<CommitError>): Effect.Effect<SilentReason | undefined> => {
      const failure = Cause.failureOption(cause)
      if (failure._tag === "Some") return this.#failed(changes, failure.value, unsure, failures)
      const message = `defect of the store: ${Cause.pretty(cause)}`
      const error = new PersistenceError({ reason: "Other", message })
      return Effect.succeed({ _tag: "StorageFailed", error })
    }
    return Effect.matchCauseEffect(commit, { onFailure, onSuccess: () => written })
  }

  #failed(
    changes: ReadonlyArray<Change>,
    error: CommitError,
    unsure: boolean,
    failures: number
  ): Effect.Effect<SilentReason | undefined> {
    switch (error._tag) {
      case "LeaseLost":
        return Effect.succeed({ _tag: "LeaseLost" })
      case "SeqConflict":
        // The generation still holds, so only this writer can have made the commit after the expected one.
        return Effect.succeed(unsure && error.actual === this.#seq + 1 ? undefined : { _tag: "LeaseLost" })
      case "RunAlreadyExists":
        // Under its own id it was created by an earlier try, with these changes.
        if (error.run === this.journal.run.id) return written
        this.#created(Exit.fail(error))
        return Effect.succeed({ _tag: "LeaseLost" })
      case "PersistenceError": {
        const isHopeless = this.#creation !== undefined && failures + 1 >= creationTries
        if (!error.transient || isHopeless) return Effect.succeed({ _tag: "StorageFailed", error })
        const delay = Math.min(1_000, 10 * 2 ** Math.min(failures, 7))
        return Effect.zipRight(
          this.#report(error, failures),
          Effect.zipRight(
            Effect.sleep(Duration.millis(delay)),
            Effect.suspend(() => this.#attempt(changes, true, failures + 1))
          )
        )
      }
    }
  }

  #report(error: PersistenceError, failures: number): Effect.Effect<void> {
    return Effect.sync(() => {
      if (failures % 8 !== 0) return
      const timestamp = this.options.clock.unsafeCurrentTimeMillis()
      const message = `${error.message}; trying again`
      this.options.publish([{ _tag: "StorageTrouble", timestamp, run: this.journal.run.id, message }])
    })
  }

  #lose(reason: SilentReason): void {
    if (this.#lost) return
    if (reason._tag === "StorageFailed") this.#created(Exit.fail(reason.error))
    this.abandon()
    this.options.lost(reason)
  }

  #check(durable: RunJournal, changes: ReadonlyArray<Change>): Effect.Effect<void> {
    for (const change of changes) Journal.apply(durable, change)
    const run = this.journal.run.id
    const seq = this.#seq
    // What was appended meanwhile is not durable yet, or never will be.
    const isSettled = this.#changes.length === 0 && !this.#lost
    const live = isSettled ? firstDifference(comparable(durable), comparable(this.journal)) : undefined
    if (live !== undefined) this.options.violated(`I6: run ${run} at commit ${seq}: live state differs: ${live}`)
    const checked = Effect.map(this.options.persistence.load(run), ({ journal }) => {
      // Taken up, or opened again, by somebody else meanwhile: that is another journal.
      if (journal.run.seq !== seq || journal.run.generation !== this.options.generation) return
      const difference = firstDifference(comparable(durable), comparable(journal))
      if (difference !== undefined) this.options.violated(`I6: run ${run} at commit ${seq}: ${difference}`)
    })
    return Effect.catchAll(checked, (error) =>
      Effect.logWarning(`I6 of run ${run} could not be checked: ${error.message}`)
    )
  }
}

type CommitError = LeaseLost | SeqConflict | RunAlreadyExists | PersistenceError

const notOwned = new PersistenceError({
  reason: "Busy",
  message: "the run was not created: the engine's lease has ended; it is renewed when the store answers"
})

const written: Effect.Effect<undefined> = Effect.succeed(undefined)

const copyOf = (journal: RunJournal): RunJournal => ({
  run: journal.run,
  steps: new Map(journal.steps),
  items: new Map([...journal.items].map(([path, items]) => [path, new Map(items)]))
})

/** What the owner writes; ownership and `seq` are the store's own. */
const comparable = (journal: RunJournal): ReadonlyMap<string, unknown> => {
  const { owner: _o, generation: _g, seq: _s, readyAt: _r, recoveries: _c, dismissed: _d, ...run } = journal.run
  const rows = new Map<string, unknown>([["run", run]])
  for (const step of journal.steps.values()) rows.set(`step ${stepKey(step)}`, step)
  for (const items of journal.items.values()) {
    for (const item of items.values()) rows.set(`item ${item.path} ${item.key}`, item)
  }
  return rows
}

const firstDifference = (
  expected: ReadonlyMap<string, unknown>,
  actual: ReadonlyMap<string, unknown>
): string | undefined => {
  for (const [key, row] of expected) {
    const stored = actual.get(key)
    if (!isSame(row, stored)) return `${key}: wrote ${canonical(row)}, read ${canonical(stored)}`
  }
  for (const key of actual.keys()) if (!expected.has(key)) return `${key}: read, but never written`
  return undefined
}

/** A memory store holds the very rows, and rows that were changed have most fields in common. */
const isSame = (one: unknown, other: unknown): boolean => {
  if (one === other) return true
  if (!isObject(one) || !isObject(other)) return canonical(one) === canonical(other)
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  for (const name of names)
    if (one[name] !== other[name] && canonical(one[name]) !== canonical(other[name])) return false
  return true
}

/** JSON with sorted keys. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner
  ) ?? "undefined"
