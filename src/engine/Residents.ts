/**
 * The runs that live in an engine: how they come, and how they leave (design.md, "Ownership").
 *
 * - O1 A run is resident only under a claim of this engine. Per run, taking up and leaving happen one after the other.
 * - O2 A claim is given back when a run ends, is let go, or the engine shuts down; a release that missed a message is
 *   no release: the run goes on here.
 * - O4 A claim that is held without the run being resident (an answer of the store was lost, the store failed, the
 *   lease ran out) is `stranded`, and looked for until it is resident again or somebody else's.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { emptyJournal, type LoadedRun, type OwnedBy } from "../persistence/Journal.ts"
import {
  type Claim,
  PersistenceError,
  type PersistenceService,
  type RunAlreadyExists,
  type RunNotFound
} from "../persistence/Persistence.ts"
import { type EngineId, type InboxRow, isEnded, type RunId, type RunRecord } from "../persistence/Records.ts"
import { shownText } from "../persistence/Redaction.ts"
import type { EngineSettings } from "./EngineConfig.ts"
import { shownEvents } from "./EventRedaction.ts"
import type { EventBus } from "./Events.ts"
import { type Creation, JournalWriter } from "./JournalWriter.ts"
import type { Lease } from "./Lease.ts"
import { Once } from "./Once.ts"
import { isToRest, rest } from "./Pause.ts"
import type { ProgramSource } from "./Program.ts"
import { RunContext, type RunHost } from "./RunContext.ts"
import { parkRun } from "./RunEnd.ts"
import { RunMain } from "./RunMain.ts"
import { andThen, made, matchCause, matchError } from "./Settled.ts"
import { type Crowd, Waiting } from "./Waiting.ts"

export interface Resident {
  readonly run: RunContext
  readonly main: RunMain
  readonly source: ProgramSource
  readonly waiting: Waiting
}

/** What the engine holds of one run. */
interface Slot {
  /** Undefined while the run is being taken up. */
  resident: Resident | undefined
  isLeaving: boolean
  /** Messages that arrived while the run was being taken up. */
  readonly early: Array<InboxRow>
  /** Tells its parent, which lives here and has been promised that, that it has left; `isWritten`: so is its end. */
  tellParent: ((isWritten: boolean) => void) | undefined
  /** Its children that have ended here while it was. */
  ended: Set<RunId> | undefined
  /** Done when the run is resident, or is not going to be; a new one each time that it is taken up. */
  settled: Once<void>
  /** Done when the run has left: with its record, if it ended here. */
  readonly gone: Once<RunRecord | undefined>
}

export interface ResidentsOptions {
  readonly id: EngineId
  readonly persistence: PersistenceService
  readonly settings: EngineSettings
  readonly clock: Clock.Clock
  readonly runtime: Runtime.Runtime<never>
  readonly lease: Lease
  readonly bus: EventBus
  readonly sources: ReadonlySet<ProgramSource>
  /** Sources that no run is taken up for any more, while their runs are being stopped. */
  readonly leaving: ReadonlySet<ProgramSource>
  readonly host: () => RunHost
  /** A run came: there is less room. */
  readonly came: () => void
  /** A run left; with its record, if it ended here. */
  readonly left: (run: RunId, ended: RunRecord | undefined) => void
  /** A claim may be held for a run that is not resident (O4). */
  readonly stranded: () => void
  readonly violated: (message: string) => void
}

export class Residents {
  readonly #slots = new Map<RunId, Slot>()
  /** Children that have ended here, until their parents, which live here, ask how, or leave. */
  readonly #ended = new Map<RunId, RunRecord>()
  /** Tell parents of runs that have left without knowing whether their end was written. */
  readonly #untold: Array<() => void> = []
  readonly #crowd: Crowd = { size: 0 }
  #isStopping = false

  constructor(private readonly options: ResidentsOptions) {}

  get isStopping(): boolean {
    return this.#isStopping
  }

  get(run: RunId): Resident | undefined {
    return this.#slots.get(run)?.resident
  }

  /** The record of a run that lives here, and has neither ended nor begun to leave. */
  live(run: RunId): RunRecord | undefined {
    const slot = this.#slots.get(run)
    if (slot?.resident === undefined || slot.isLeaving) return undefined
    const { record } = slot.resident.run
    return isEnded(record.status) || record.continuedAs !== null ? undefined : record
  }

  /** The record of a child that has ended here, once: its parent need not ask the store how. */
  takeEnded(run: RunId): RunRecord | undefined {
    const record = this.#ended.get(run)
    if (record === undefined) return undefined
    this.#ended.delete(run)
    if (record.parent !== null) this.#slots.get(record.parent.run)?.ended?.delete(run)
    return record
  }

  /**
   * C2: how the parent of a run that is about to end is owned, where it lives here: it is told when the run has left,
   * and is not let go before. Whether it is still owned so is asked by the commit that ends the run.
   */
  parentBeside(child: RunContext): OwnedBy | undefined {
    const slot = this.#slots.get(child.id)
    const { parent } = child.record
    const above = parent === null ? undefined : this.#slots.get(parent.run)
    if (parent === null || above?.resident === undefined || above.isLeaving) return undefined
    const { run } = above.resident
    if (run.silent !== undefined || child.silent !== undefined || slot?.resident?.run !== child) return undefined
    run.hold(1)
    const tell = () => {
      // It may have been taken up anew since.
      this.get(parent.run)?.run.childLeft(child.id, parent.path)
      run.hold(-1)
    }
    slot.tellParent = (isWritten) => {
      if (isWritten) return tell()
      this.#untold.push(tell)
      this.options.stranded()
    }
    return { engine: this.options.id, generation: run.writer.generation }
  }

  /** What was stranded has been looked for: the parents of those whose end may not have been written look for them, too. */
  rescued(): void {
    for (const tell of this.#untold.splice(0)) tell()
  }

  /** Whether the run is resident, coming or leaving. */
  has(run: RunId): boolean {
    return this.#slots.has(run)
  }

  get ids(): ReadonlyArray<RunId> {
    return [...this.#slots.keys()]
  }

  get all(): ReadonlyArray<Resident> {
    return [...this.#slots.values()].flatMap(({ resident }) => (resident === undefined ? [] : [resident]))
  }

  /** Those that have neither ended nor are let go, and do more than wait for others, whatever they are called. */
  get atWork(): ReadonlyArray<Resident> {
    return this.all.filter(({ run }) => run.silent?._tag !== "LetGo" && !run.isIdle && !isEnded(run.record.status))
  }

  // ---- coming

  /**
   * Makes a run resident under the claim that an effect makes; one that is resident goes on. `isAsked`: by its id,
   * which also tries a parked run again.
   */
  take<E>(
    run: RunId,
    claim: Effect.Effect<Claim, E>,
    isAsked: boolean
  ): Effect.Effect<void, E | RunNotFound | PersistenceError> {
    // A place that is made is also settled, whatever interrupts its maker.
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const slot = this.#slots.get(run)
        if (slot === undefined) return this.#isStopping ? Effect.interrupt : this.#enter(run, claim, isAsked)
        const { resident } = slot
        const again = Effect.suspend(() => this.take(run, claim, isAsked))
        if (resident === undefined && !slot.isLeaving) return restore(Effect.zipRight(slot.settled.await, again))
        if (resident === undefined || slot.isLeaving || isEnded(resident.run.record.status)) {
          return restore(Effect.zipRight(slot.gone.await, again))
        }
        if (isAsked) resident.run.ask()
        return Effect.void
      })
    )
  }

  /**
   * Makes a run resident under a claim that was made. If it is resident under an older one, that is lost: somebody
   * else had the run in between.
   */
  adopt(claim: Claim): Effect.Effect<void, RunNotFound | PersistenceError> {
    return Effect.suspend(() => {
      const resident = this.get(claim.run)
      const taken = this.take(claim.run, Effect.succeed(claim), false)
      if (resident === undefined || resident.run.writer.generation === claim.generation) return taken
      resident.run.stopSilently({ _tag: "LeaseLost" })
      return Effect.zipRight(this.untilGone(claim.run), taken)
    })
  }

  /** Takes in a message for a run; one for a run that is not here is found when that is loaded. */
  deliver(row: InboxRow): void {
    const slot = this.#slots.get(row.run)
    if (slot?.resident !== undefined && !slot.isLeaving) slot.resident.run.deliver(row)
    else slot?.early.push(row)
  }

  /** Makes a new run of this engine resident; its first commit creates it. Succeeds when that is durable. */
  begin(record: RunRecord): Effect.Effect<void, RunAlreadyExists | RunNotFound | PersistenceError> {
    return Effect.suspend(() => {
      if (this.#isStopping) return Effect.interrupt
      const created = new Once<void, RunAlreadyExists | PersistenceError>()
      const creation: Creation = { run: record, done: (exit) => created.done(exit) }
      return andThen(this.#enterNew(record, creation), () => created.await)
    }).pipe(Effect.uninterruptible)
  }

  /**
   * Makes a run resident that this engine's store has just been given, as its record says: there is nothing to load,
   * unless a message may have come for it since (`isUntold`). One that a look has found and taken up since goes on, or
   * has gone on. All is asked in the turn in which the run gets its place.
   */
  beginChild(record: RunRecord, isUntold: () => boolean): Effect.Effect<void, RunNotFound | PersistenceError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend((): Effect.Effect<void, RunNotFound | PersistenceError> => {
        if (this.#isStopping) return Effect.interrupt
        if (isUntold() && !this.#slots.has(record.id) && !this.#hasLeft(record))
          return this.#enterNew(record, undefined)
        const claim: Claim = { run: record.id, generation: record.generation }
        return restore(this.take(record.id, Effect.succeed(claim), false))
      })
    )
  }

  #hasLeft({ id, parent }: RunRecord): boolean {
    return parent !== null && this.get(parent.run)?.run.left.has(id) === true
  }

  #enterNew(record: RunRecord, creation: Creation | undefined): Effect.Effect<void, RunNotFound | PersistenceError> {
    const slot = this.#newSlot(record.id)
    const claim: Claim = { run: record.id, generation: record.generation }
    const loaded: LoadedRun = { journal: emptyJournal(record), inbox: [] }
    const entered = made(() => this.#settle(slot, claim, loaded, creation !== undefined, creation))
    return this.#settling(record.id, slot, entered)
  }

  #newSlot(run: RunId): Slot {
    const slot: Slot = {
      resident: undefined,
      isLeaving: false,
      early: [],
      tellParent: undefined,
      ended: undefined,
      settled: new Once(),
      gone: new Once()
    }
    this.#slots.set(run, slot)
    return slot
  }

  #enter<E>(
    run: RunId,
    claim: Effect.Effect<Claim, E>,
    isAsked: boolean
  ): Effect.Effect<void, E | RunNotFound | PersistenceError> {
    const slot = this.#newSlot(run)
    const entered = Effect.flatMap(claim, (claimed) => this.#load(slot, claimed, isAsked))
    return this.#settling(run, slot, entered)
  }

  /** To be run where it cannot be interrupted. */
  #settling<E>(run: RunId, slot: Slot, entered: Effect.Effect<void, E>): Effect.Effect<void, E> {
    const done = () => {
      slot.settled.done(Exit.void)
      return Effect.void
    }
    const failed = (cause: Cause.Cause<E>) => {
      // Whether the claim was made is not known after an error of the store.
      if (!isRefusal(cause)) this.options.stranded()
      this.#vacate(run, slot)
      slot.settled.done(Exit.void)
      return Effect.failCause(cause)
    }
    return matchCause(entered, { onFailure: failed, onSuccess: done })
  }

  #load(slot: Slot, claim: Claim, isAsked: boolean): Effect.Effect<void, RunNotFound | PersistenceError> {
    return Effect.flatMap(this.options.persistence.load(claim.run), (loaded) => {
      const { owner, generation } = loaded.journal.run
      // Lost again before it was loaded.
      if (owner !== this.options.id || generation !== claim.generation) {
        return Effect.sync(() => this.#vacate(claim.run, slot))
      }
      return this.#settle(slot, claim, loaded, isAsked)
    })
  }

  /** Makes a claimed run resident, or parks it; begins at once. */
  #settle(
    slot: Slot,
    claim: Claim,
    loaded: LoadedRun,
    isAsked: boolean,
    creation?: Creation
  ): Effect.Effect<void, RunNotFound | PersistenceError> {
    const { run: record } = loaded.journal
    const { leaving, settings, sources } = this.options
    const run = new RunContext(
      claim.run,
      this.#writer(slot, claim, loaded, creation),
      this.options.host(),
      loaded.inbox
    )
    if (isAsked) run.timesAsked = 1
    if (record.startedAt === null && run.find("Cancel") !== undefined) return this.#endUnstarted(slot, run)
    if (isToRest(run)) return this.#rest(slot, claim, run)
    // One that is to be cancelled makes nothing begin that could kill its process.
    const isExpected = record.status === "needs_resume" || run.find("Cancel") !== undefined
    if (record.recoveries > settings.maxRecoveries && !isExpected) {
      const message = `taken up ${record.recoveries} times without progress: its steps may kill their process`
      return this.#park(slot, run, message)
    }
    const source = [...sources].find((source) => source.accepts(record))
    if (source === undefined) {
      const wasKnown = [...leaving].some((it) => it.accepts(record))
      // An engine that knows nothing is not one that lacks something.
      const isForOthers = wasKnown || (sources.size === 0 && creation === undefined)
      return isForOthers ? this.#leaveAlone(slot, claim, run) : this.#park(slot, run, unknown(record))
    }
    return matchError(source.make(run), {
      onFailure: (error) =>
        error._tag === "PersistenceError" && error.transient
          ? Effect.fail(error)
          : this.#park(slot, run, error.message),
      onSuccess: (program) => {
        this.#reside(slot, new RunMain(run, program), source)
        return Effect.void
      }
    })
  }

  /** A run that has not begun can be cancelled by whoever takes it: it needs no program. */
  #endUnstarted(slot: Slot, run: RunContext): Effect.Effect<void> {
    const { main } = new RunMain(run, { body: () => Effect.interrupt })
    return Effect.zipRight(
      main,
      Effect.sync(() => this.#vacate(run.id, slot))
    )
  }

  /** Z4. The commit of a parked run releases it. */
  #rest(slot: Slot, claim: Claim, run: RunContext): Effect.Effect<void, RunNotFound | PersistenceError> {
    return Effect.flatMap(rest(run), (readyAt) =>
      run.record.owner === null ? Effect.sync(() => this.#vacate(run.id, slot)) : this.#letGo(slot, claim, run, readyAt)
    )
  }

  /** For whoever can run it: its source stopped while it was being taken up, or this engine knows nothing. */
  #leaveAlone(slot: Slot, claim: Claim, run: RunContext): Effect.Effect<void, RunNotFound | PersistenceError> {
    return Effect.suspend(() => {
      const readyAt = run.record.status === "needs_resume" ? null : run.now()
      if (!run.writer.isUncreated) return this.#letGo(slot, claim, run, readyAt)
      run.stopSilently({ _tag: "Shutdown" })
      run.writer.abandon()
      return Effect.sync(() => this.#vacate(run.id, slot))
    })
  }

  /** A run that was not made resident; one that a message reached meanwhile is looked at again. */
  #letGo(
    slot: Slot,
    claim: Claim,
    run: RunContext,
    readyAt: number | null
  ): Effect.Effect<void, RunNotFound | PersistenceError> {
    return Effect.suspend(() => {
      run.stopSilently({ _tag: "LetGo", readyAt, lastInbox: run.lastInbox })
      return Effect.flatMap(this.#release(run), (isReleased) =>
        isReleased ? Effect.sync(() => this.#vacate(run.id, slot)) : this.#load(slot, claim, false)
      )
    })
  }

  #park(slot: Slot, run: RunContext, message: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      parkRun(run, message)
      return Effect.ensuring(
        run.flush,
        Effect.sync(() => {
          if (run.writer.isLost) this.options.stranded()
          this.#vacate(run.id, slot)
        })
      )
    })
  }

  #reside(slot: Slot, main: RunMain, source: ProgramSource): void {
    const { run } = main
    const resident: Resident = { run, main, source, waiting: new Waiting(run, main, this.#crowd) }
    slot.resident = resident
    for (const row of slot.early.splice(0)) run.deliver(row)
    if (this.#isStopping || !this.options.sources.has(source)) run.stopSilently({ _tag: "Shutdown" })
    else if (!this.options.lease.holds) run.stopSilently({ _tag: "LeaseLost" })
    const left = Effect.suspend(() => this.#leave(slot, resident))
    Runtime.runFork(this.options.runtime)(Effect.zipRight(main.main, left), { immediate: false })
    this.options.came()
  }

  #writer(slot: Slot, claim: Claim, loaded: LoadedRun, creation: Creation | undefined): JournalWriter {
    const { journal } = loaded
    const { bus, clock, lease, persistence, runtime, settings, violated } = this.options
    return new JournalWriter({
      persistence,
      runtime,
      clock,
      generation: claim.generation,
      loaded,
      ...(creation === undefined ? {} : { creation }),
      checkInvariants: settings.checkInvariants,
      leaseHolds: () => lease.holds,
      publish: (events) => bus.publish(shownEvents(journal.run, events)),
      lost: (reason) => slot.resident?.run.stopSilently(reason),
      violated: (message) => violated(shownText(journal.run, message))
    })
  }

  // ---- leaving

  /** A run's fibers are gone: its claim is given back, unless the run ended or somebody else has it. */
  #leave(slot: Slot, { run, waiting }: Resident): Effect.Effect<void> {
    slot.isLeaving = true
    waiting.stop()
    // Stopped before its first commit: it is in no store.
    if (run.writer.isUncreated) run.writer.abandon()
    if (run.silent?._tag === "LeaseLost") this.#publishLoss(run)
    return andThen(this.#release(run), (isReleased) => {
      if (isReleased) {
        this.#vacate(run.id, slot, endedRecord(run))
        return Effect.void
      }
      // A message came while the run was being let go.
      slot.resident = undefined
      slot.isLeaving = false
      slot.settled = new Once()
      const loaded = this.#load(slot, { run: run.id, generation: run.writer.generation }, false)
      return Effect.catchAll(Effect.uninterruptible(this.#settling(run.id, slot, loaded)), (error) =>
        Effect.logWarning(`run ${run.id} could not be taken up again: ${error.message}`)
      )
    })
  }

  #publishLoss(run: RunContext): void {
    const expired = !this.options.lease.holds
    this.options.bus.publish([{ _tag: "LeaseLost", timestamp: run.now(), run: run.id, expired }])
  }

  /** Whether the run may be left (O2). */
  #release(run: RunContext): Effect.Effect<boolean> {
    const { silent, writer } = run
    if (writer.isLost) this.options.stranded()
    if (writer.isLost || (silent?._tag !== "LetGo" && silent?._tag !== "Shutdown")) return Effect.succeed(true)
    const released =
      silent._tag === "LetGo"
        ? Effect.flatMap(this.#giveBack(run, silent), (isReleased) =>
            isReleased || !this.#isStopping ? Effect.succeed(isReleased) : this.#giveBack(run, readyAtOnce(run))
          )
        : this.#giveBack(run, readyAtOnce(run))
    return Effect.catchTags(released, {
      LeaseLost: () => Effect.succeed(true),
      PersistenceError: (error) => {
        this.options.stranded()
        return Effect.as(Effect.logWarning(`run ${run.id} could not be released: ${error.message}`), true)
      }
    })
  }

  #giveBack(run: RunContext, as: { readonly readyAt: number | null; readonly lastInbox: number | null }) {
    const { readyAt, lastInbox } = as
    return this.options.persistence.release({ run: run.id, generation: run.writer.generation, readyAt, lastInbox })
  }

  #vacate(run: RunId, slot: Slot, ended?: RunRecord): void {
    if (this.#slots.get(run) === slot) this.#slots.delete(run)
    if (slot.ended !== undefined) for (const child of slot.ended) this.#ended.delete(child)
    if (ended !== undefined && ended.parent !== null) this.#keep(ended, ended.parent.run)
    slot.tellParent?.(ended !== undefined)
    slot.gone.done(Exit.succeed(ended))
    this.options.left(run, ended)
  }

  #keep(child: RunRecord, parent: RunId): void {
    const slot = this.#slots.get(parent)
    if (slot === undefined) return
    slot.ended ??= new Set()
    slot.ended.add(child.id)
    this.#ended.set(child.id, child)
  }

  /** Waits until a run is not here (any longer); its record, if it ended here meanwhile. */
  untilGone(run: RunId): Effect.Effect<RunRecord | undefined> {
    return Effect.suspend(() => {
      const slot = this.#slots.get(run)
      return slot === undefined ? Effect.succeed(undefined) : slot.gone.await
    })
  }

  /** All runs here are lost: nothing of them is written any more. */
  loseAll(): void {
    for (const { run } of this.all) run.stopSilently({ _tag: "LeaseLost" })
  }

  /** Stops the runs of a source as they are, to be resumed elsewhere, and waits until they have left. */
  stopSource(source: ProgramSource): Effect.Effect<void> {
    const left = Effect.suspend(() => this.#stop(this.all.filter((resident) => resident.source === source)))
    return Effect.zipRight(
      Effect.suspend(() => this.#untilSettled()),
      left
    )
  }

  /** Stops all runs as they are, and takes no more. */
  readonly stopAll: Effect.Effect<void> = Effect.suspend(() => {
    this.#isStopping = true
    // In the turn in which no child can be taken up any more, so that no parent takes that for a failure.
    const left = this.#stop(this.all)
    const others = Effect.suspend(() => this.#stop(this.all))
    return Effect.zipRight(left, Effect.zipRight(this.#untilSettled(), others))
  })

  #untilSettled(): Effect.Effect<void> {
    return Effect.forEach([...this.#slots.values()], (slot) => slot.settled.await, { discard: true })
  }

  /** What waits is let go, so that a restart does not touch it; the others are ready at once. */
  #stop(residents: ReadonlyArray<Resident>): Effect.Effect<void> {
    for (const { run, waiting } of residents) {
      waiting.letGo()
      run.stopSilently({ _tag: "Shutdown" })
    }
    return Effect.forEach(residents, ({ run }) => this.untilGone(run.id), { concurrency: "unbounded", discard: true })
  }
}

/** As the store has it: the end of a run is its last write. */
const endedRecord = ({ record, writer }: RunContext): RunRecord | undefined =>
  isEnded(record.status) && !writer.isLost ? { ...record, seq: writer.seq } : undefined

const unknown = ({ workflow }: RunRecord): string => `workflow '${workflow}' is not known here`

/** Whoever goes on finds the messages. */
const readyAtOnce = (run: RunContext) => ({ readyAt: run.now(), lastInbox: Number.MAX_SAFE_INTEGER })

const isRefusal = (cause: Cause.Cause<unknown>): boolean => {
  const failure = Cause.failureOption(cause)
  return failure._tag === "Some" && !(failure.value instanceof PersistenceError)
}
