/**
 * A run that is resident in an engine: what its primitives share.
 *
 * Owns: what is awaited (`park`), which messages have arrived, how many branches are active, and with them whether the
 * run waits. Neighbours: `JournalWriter` writes; `Branch` names paths; `RunMain` takes the run through its phases.
 * - I3 what a primitive decides is a row before anything acts on it.
 * - W1 A run waits when each of its live branches waits durably; only then may it be let go.
 * - Z2 While a run is paused what would begin is parked (`Branch.unpaused`), and items left to dispatch do not count.
 */
import * as Effect from "effect/Effect"
import type { Change, OwnedBy } from "../persistence/Journal.ts"
import type { PersistenceError } from "../persistence/Persistence.ts"
import type {
  BlockedOn,
  InboxMessage,
  InboxRow,
  RunId,
  RunRecord,
  StepKind,
  StepPath,
  StepRecord
} from "../persistence/Records.ts"
import { isTerminal, blankStep, noResult, stepId } from "../persistence/Records.ts"
import { redactorFor, shownText } from "../persistence/Redaction.ts"
import type { Redactor } from "../workflow/Redactor.ts"
import { joined, type Secrets } from "../workflow/Secrets.ts"
import type { Branch } from "./Branch.ts"
import type { EngineSettings } from "./EngineConfig.ts"
import type { EngineEvent } from "./Events.ts"
import type { JournalWriter } from "./JournalWriter.ts"
import { bodyOf, type Origin, originOf } from "./Origin.ts"
import { pausedOn, withPause } from "./Pause.ts"
import { forkPath, isOfBody } from "./Phases.ts"
import { Places } from "./Places.ts"
import { passedOver, RecordedRows } from "./RecordedRows.ts"
import type { RunHost } from "./RunHost.ts"
import type { SilentReason } from "./StopReason.ts"

export type { Children, RunHost } from "./RunHost.ts"

/** A durable wait of one branch. */
export interface Wait {
  /** What a record shows; empty while what is awaited is at work (a child that runs). */
  readonly blockedOn: ReadonlyArray<BlockedOn>
  /** Wall-clock time at which the wait has to be looked at again; null: only a message ends it. */
  readonly wakeAt: number | null
}

interface Parked {
  readonly wait: Wait
  wake: () => void
}

export class RunContext {
  /** Set once; overrides every other reason. */
  silent: SilentReason | undefined
  /** Messages that arrived and that no primitive has consumed, in order. */
  readonly inbox: Array<InboxRow> = []
  lastInbox: number | null = null
  /** Children that have left the engine since their steps last looked at them. */
  readonly left = new Set<RunId>()
  /** Rows written as started by a block, whose step has not begun yet: not the trace of a crash. */
  readonly announced = new Set<StepPath>()
  /** The body has a clock and chance of its own, which primitives must not meet. */
  hasOwnServices = false
  /** How often somebody asked for this run by its id: what is parked below it is tried again once for each. */
  timesAsked = 0
  /** Children elsewhere have not heard yet that the run is paused. */
  isUntold = false
  #isPaused = false
  #isReplaying: boolean
  #isWarned: boolean
  #active = 1
  #queued = 0
  #iteration = 0
  readonly #places: Places
  #recorded: RecordedRows | undefined
  #origin: Origin | null | undefined
  #held = 0
  readonly #parked = new Set<Parked>()
  readonly #limits = new Map<object, number>()
  readonly #onSilent = new Set<() => void>()
  #onPark: (() => void) | undefined
  readonly #listeners = new Map<string, Set<() => void>>()

  constructor(
    readonly id: RunId,
    readonly writer: JournalWriter,
    readonly host: RunHost,
    inbox: ReadonlyArray<InboxRow>
  ) {
    this.#places = new Places(writer)
    this.#isReplaying = this.rows > 0
    this.#isWarned = this.rows >= this.manyRows
    for (const row of inbox) this.deliver(row)
    const { secrets } = this.record.settings
    if (secrets !== undefined) host.secrets(secrets.values)
  }

  get record(): RunRecord {
    return this.writer.journal.run
  }

  get settings(): EngineSettings {
    return this.host.settings
  }

  /** What hides the run's secrets; undefined where it has none. */
  get redactor(): Redactor | undefined {
    return redactorFor(this.record)
  }

  /** A text as records and messages may hold it: errors, reasons. What feeds later steps is recorded as it is. */
  shown(text: string): string {
    return shownText(this.record, text)
  }

  /** Hides more from now on: the secrets of a child, those of a record that was made without them. */
  learn(secrets: Secrets | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { settings } = this.record
      const all = joined(settings.secrets, secrets)
      if (all === undefined || all === settings.secrets) return Effect.void
      const { maxSecrets } = this.settings
      if (all.values.length > maxSecrets) {
        return Effect.logWarning(
          `run ${this.id} hides no more than ${maxSecrets} values: it may show secrets of others`
        )
      }
      this.append([{ _tag: "Run", patch: { settings: { ...settings, secrets: all } } }])
      this.host.secrets(all.values)
      return Effect.void
    })
  }

  /** Wall-clock time, ms. */
  now(): number {
    return this.host.clock.unsafeCurrentTimeMillis()
  }

  /** The place of a new row. */
  positionOf(path: StepPath): number {
    this.live()
    return this.placeInReplay(path)
  }

  /** The same for a row that a replay adds on its way: it goes on. */
  placeInReplay(path: StepPath): number {
    this.#warnOfLimit()
    return this.#places.of(path)
  }

  /** What was recorded before this execution, when it is first asked for: before the execution records anything. */
  get recorded(): RecordedRows {
    return (this.#recorded ??= new RecordedRows(this.writer))
  }

  /** What its body's chance is drawn from, and when that began (`Origin`). */
  get body(): ReturnType<typeof bodyOf> {
    if (this.#origin === undefined) {
      const row = this.writer.live.get(forkPath)
      this.#origin = (row === undefined ? undefined : originOf([row])) ?? null
    }
    return bodyOf(this.record, this.#origin ?? undefined)
  }

  /** Whether the journal has as many rows as it may have. */
  get isFull(): boolean {
    return this.rows >= this.settings.maxJournalRows
  }

  /** Rows of the journal, superseded ones included. */
  get rows(): number {
    return this.writer.journal.steps.size
  }

  /** From so many rows on a run should come to its end, or continue as new. */
  get manyRows(): number {
    return Math.floor(this.settings.maxJournalRows * 0.8)
  }

  #warnOfLimit(): void {
    if (this.#isWarned || this.rows + 1 < this.manyRows) return
    this.#isWarned = true
    const message = `its journal has ${this.manyRows} rows, of ${this.settings.maxJournalRows} that it may have`
    this.append([], [{ _tag: "RunWarning", timestamp: this.now(), run: this.id, message }])
  }

  /** Whether the program is still on its way through what is in the journal: it is not interrupted there. */
  get isReplaying(): boolean {
    return this.#isReplaying
  }

  /** A primitive has reached something that the journal does not hold. */
  live(): void {
    if (!this.#isReplaying) return
    this.#isReplaying = false
    this.#recordIteration()
  }

  /** The innermost loop is in this round; 0: none is. What a replay comes through is in the record already. */
  showIteration(iteration: number): void {
    this.#iteration = iteration
    if (!this.#isReplaying) this.#recordIteration()
  }

  #recordIteration(): void {
    const iteration = this.#iteration
    if (this.record.iteration !== iteration) this.append([{ _tag: "Run", patch: { iteration } }])
  }

  /** Calls `listener` as soon as a branch waits, until the returned function is called; one at a time. */
  onPark(listener: () => void): () => void {
    this.#onPark = listener
    return () => {
      if (this.#onPark === listener) this.#onPark = undefined
    }
  }

  /** The row of the journal at a path, which the program has come to. */
  row(path: StepPath): StepRecord | undefined {
    const row = this.writer.live.get(path)
    if (row !== undefined) this.#places.pass(row)
    return row
  }

  /**
   * Journals changes, unless the run is being let go: a primitive that a message wakes then, before the interruption
   * has reached it, leaves the message to whoever takes the run up again.
   */
  append(changes: ReadonlyArray<Change>, events: ReadonlyArray<EngineEvent> = []): void {
    if (this.silent?._tag === "LetGo") return
    const { status, recoveries } = this.record
    const resumes = status === "waiting" && changes.some(isProgress)
    const recovered = recoveries > 0 && changes.some(isEnd)
    this.writer.append(
      resumes || recovered
        ? [...(resumes ? this.goingOn() : []), ...changes, ...(recovered ? [noRecoveries] : [])]
        : changes,
      events
    )
  }

  put(step: StepRecord, events: ReadonlyArray<EngineEvent> = []): void {
    this.append([{ _tag: "Step", step }], events)
  }

  /** Replaces a row by one that says more, and is no progress: a run that waits goes on waiting. */
  remark(step: StepRecord): void {
    this.writer.append([{ _tag: "Step", step }])
  }

  /** What records that a waiting run is at work again. */
  goingOn(blockedOn: ReadonlyArray<BlockedOn> = this.#isPaused ? [pausedOn(this.id)] : []): ReadonlyArray<Change> {
    const running: Change = { _tag: "Run", patch: { status: "running", blockedOn } }
    return [running, ...this.tellParent((path) => ({ _tag: "ChildRunning", child: this.id, path }))]
  }

  /** C2: a message to the parent, in the commit that it tells of; no row where the parent is still owned so. */
  tellParent(message: (path: StepPath) => InboxMessage, unless?: OwnedBy): ReadonlyArray<Change> {
    const { parent } = this.record
    if (parent === null) return []
    return [{ _tag: "Notify", run: parent.run, message: message(parent.path), at: this.now(), unless }]
  }

  get flush(): Effect.Effect<void> {
    return this.writer.flush
  }

  /** As `flush`, at once where no other branch is at work that would write in the same turn. */
  get flushNow(): Effect.Effect<void> {
    return this.#active === 1 ? this.writer.flushNow : this.writer.flush
  }

  stepId(step: { readonly path: StepPath; readonly epoch: number }): string {
    return stepId(this.id, step)
  }

  /** The head of an event of a step. */
  about(step: StepRecord) {
    return {
      timestamp: this.now(),
      run: this.id,
      stepId: this.stepId(step),
      path: step.path,
      step: step.name
    } as const
  }

  /** Parks the run (design.md, "A replay that does not fit"); the calling fiber is interrupted. */
  misfit(message: string): Effect.Effect<never> {
    return Effect.zipRight(
      Effect.sync(() => this.stopSilently({ _tag: "Misfit", message })),
      Effect.interrupt
    )
  }

  /** What a primitive does itself, whatever clock and chance the code has that calls it. */
  inProcess<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.hasOwnServices ? this.host.asProcess(effect) : effect
  }

  /** Stops the run where it is: the store cannot be used. */
  storageFailed(error: PersistenceError): Effect.Effect<never> {
    return Effect.zipRight(
      Effect.sync(() => this.stopSilently({ _tag: "StorageFailed", error })),
      Effect.interrupt
    )
  }

  /** Stops the run as it is; after the loss of its lease or store nothing more is written. */
  stopSilently(reason: SilentReason): void {
    if (reason._tag === "LeaseLost" || reason._tag === "StorageFailed") this.writer.abandon()
    if (this.silent !== undefined) return
    this.silent = reason
    for (const listener of [...this.#onSilent]) listener()
    this.#onSilent.clear()
    this.host.interrupt(this)
  }

  /** Calls `listener` when the run is stopped silently, until the returned function is called. */
  onSilent(listener: () => void): () => void {
    if (this.silent !== undefined) listener()
    else this.#onSilent.add(listener)
    return () => this.#onSilent.delete(listener)
  }

  /** Somebody asked for the run by its id: waits look again at what they wait for. */
  ask(): void {
    this.timesAsked += 1
    this.#wakeAll()
  }

  /** Whether nothing may begin (Z2). */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Waits look again: those that would end while the run is paused wait for that, too. */
  setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return
    this.#isPaused = isPaused
    this.#wakeAll()
  }

  #wakeAll(): void {
    for (const parked of [...this.#parked]) parked.wake()
  }

  // ---- messages

  /** Takes in a message that is a row of the run's inbox; one seen before is ignored. */
  deliver(row: InboxRow): void {
    if (this.lastInbox !== null && row.id <= this.lastInbox) return
    this.lastInbox = row.id
    this.inbox.push(row)
    this.#tell(topicOf(row.message))
  }

  /** A child of the step at this path has left the engine: as good as a message of its. */
  childLeft(child: RunId, path: StepPath): void {
    this.left.add(child)
    this.#tell(pathTopic(path))
  }

  #tell(topic: string): void {
    const listeners = this.#listeners.get(topic)
    if (listeners !== undefined) for (const listener of [...listeners]) listener()
  }

  /** The oldest message that fits, left in the inbox. */
  find<T extends InboxMessage["_tag"]>(
    tag: T,
    fits: (message: Extract<InboxMessage, { _tag: T }>) => boolean = () => true
  ): { readonly id: number; readonly message: Extract<InboxMessage, { _tag: T }> } | undefined {
    for (const { id, message } of this.inbox) {
      if (isTagged(message, tag) && fits(message)) return { id, message }
    }
    return undefined
  }

  /** The change that consumes messages; they leave the inbox of live state at once. */
  consume(ids: ReadonlyArray<number>): Change {
    for (const id of ids) {
      const at = this.inbox.findIndex((row) => row.id === id)
      if (at !== -1) this.inbox.splice(at, 1)
    }
    return { _tag: "Consume", ids }
  }

  /** Calls `listener` at each message on a topic (`topicOf`) until the returned function is called. */
  listen(topic: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners)
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(topic)
    }
  }

  // ---- activity

  /** The waits of the run's branches; they say when it has to go on. */
  get waits(): ReadonlyArray<Wait> {
    return [...this.#parked].map((parked) => parked.wait)
  }

  /** Times at which what a branch waits for is given up: the ends of the time that attempts have for their children. */
  get limits(): ReadonlyArray<number> {
    return [...this.#limits.values()]
  }

  /** Counts a time among the run's limits, also while it is let go, until the returned function is called. */
  limit(at: number): () => void {
    const key = {}
    this.#limits.set(key, at)
    return () => this.#limits.delete(key)
  }

  /** What the run is blocked on: what its branches wait for, and the pause. */
  get blockers(): ReadonlyArray<BlockedOn> {
    const blockedOn = this.waits.flatMap((wait) => wait.blockedOn)
    return this.#isPaused ? withPause(this.id, blockedOn) : blockedOn
  }

  /** Whether every live branch is parked. */
  get isIdle(): boolean {
    return this.#active === 0 && this.#parked.size > 0
  }

  /** W1: every live branch waits, for nothing that is at work, and none is left to start. */
  get isWaiting(): boolean {
    const isNoneLeft = this.#queued === 0 || this.#isPaused
    return this.isIdle && isNoneLeft && this.waits.every((wait) => wait.blockedOn.length > 0)
  }

  /** Whether the run must not be let go yet: something of its own is under way beside its branches. */
  get isHeld(): boolean {
    return this.#held > 0
  }

  /** Something begins that has to end before the run is let go (1), or has ended (-1). */
  hold(n: number): void {
    this.#held += n
    if (this.#held === 0 && this.isIdle) this.host.idle(this)
  }

  /** A fan-out has items left to dispatch (1), or no longer (-1): until then the run is at work. */
  addQueued(n: number): void {
    this.#queued += n
  }

  /** `n` branches start beside the one that waits for them, or that one goes on (-1 each). */
  addActive(n: number): void {
    this.#active += n
    if (this.#active === 0) this.host.idle(this)
  }

  /**
   * Waits until a message on one of the topics arrives or `wakeAt` has come; not at all if `ready` already. Interruptible
   * where its caller is.
   */
  park(wait: Wait, topics: ReadonlyArray<string>, ready: () => boolean): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      this.live()
      if (ready()) return resume(Effect.void)
      let unlisten: ReadonlyArray<() => void> = []
      let disarm: (() => void) | undefined
      const parked: Parked = {
        wait,
        wake: () => {
          leave()
          resume(Effect.void)
        }
      }
      const leave = () => {
        if (!this.#parked.delete(parked)) return
        disarm?.()
        for (const stop of unlisten) stop()
        this.addActive(1)
      }
      unlisten = topics.map((topic) => this.listen(topic, () => parked.wake()))
      this.#parked.add(parked)
      if (wait.wakeAt !== null) disarm = this.#armWall(wait.wakeAt, () => parked.wake())
      this.addActive(-1)
      this.#onPark?.()
      return Effect.sync(leave)
    })
  }

  /** Fires at a wall-clock time, however often the clock is set in between. */
  #armWall(at: number, fire: () => void): () => void {
    let disarm: () => void = () => undefined
    const arm = () => {
      const left = at - this.now()
      disarm = this.host.deadlines.arm(Math.min(Math.max(0, left), 60_000), () => (this.now() >= at ? fire() : arm()))
    }
    arm()
    return () => disarm()
  }
}

const noRecoveries: Change = { _tag: "Run", patch: { recoveries: 0 } }

/** A waiting run whose steps change no longer waits. */
const isProgress = (change: Change): boolean => change._tag === "Step" || change._tag === "Item"

/** The sign of progress that a recovered run gives. */
const isEnd = (change: Change): boolean => change._tag === "Step" && isTerminal(change.step.status)

const isTagged = <T extends InboxMessage["_tag"]>(
  message: InboxMessage,
  tag: T
): message is Extract<InboxMessage, { _tag: T }> => message._tag === tag

/** Of an answer or a child that a step waits for. */
export const pathTopic = (path: StepPath): string => `path:${path}`

/** What a message wakes: the wait for an answer or a child at a path, for a signal's name, or the run itself. */
export const topicOf = (message: InboxMessage): string => {
  switch (message._tag) {
    case "Answer":
    case "ChildEnded":
    case "ChildWaiting":
    case "ChildRunning":
      return pathTopic(message.path)
    case "Signal":
      return `signal:${message.name}`
    case "Cancel":
    case "Pause":
    case "Unpause":
      return "run"
  }
}

/** A row that is just being made: all its fields at once, since a copy of so many costs more than the step's logic. */
export const newRow = (
  run: RunContext,
  row: Pick<StepRecord, "path" | "kind" | "name" | "status"> & Partial<StepRecord>
): StepRecord => {
  const now = run.now()
  const { status } = row
  const isOpen = status === "running" || status === "waiting" || status === "pending"
  return {
    path: row.path,
    epoch: row.epoch ?? run.record.epoch,
    kind: row.kind,
    name: row.name,
    role: row.role ?? blankStep.role,
    canCommit: row.canCommit ?? blankStep.canCommit,
    position: row.position ?? run.positionOf(row.path),
    iteration: row.iteration ?? blankStep.iteration,
    status,
    superseded: row.superseded ?? false,
    startedAt: row.startedAt === undefined ? now : row.startedAt,
    endedAt: row.endedAt === undefined ? (isOpen ? null : now) : row.endedAt,
    attempts: row.attempts ?? [],
    result: row.result ?? noResult,
    error: row.error ?? blankStep.error,
    value: row.value ?? blankStep.value,
    condition: row.condition ?? blankStep.condition,
    conditionMet: row.conditionMet ?? blankStep.conditionMet,
    childRun: row.childRun ?? blankStep.childRun,
    gate: row.gate ?? blankStep.gate,
    fanOut: row.fanOut ?? blankStep.fanOut,
    group: row.group ?? blankStep.group,
    wakeAt: row.wakeAt ?? blankStep.wakeAt,
    idempotencyKey: row.idempotencyKey ?? idempotencyKeyOf(run, row.path)
  }
}

/** Kept over failures; a step done anew by `--from-step` or `--restart` has a new one. */
const idempotencyKeyOf = (run: RunContext, path: StepPath): string => {
  const before = run.writer.superseded.get(path)
  if (before === undefined) return `${run.id}${path}`
  const wasDone = before.status === "completed" || before.status === "skipped"
  return wasDone ? `${run.id}${path}#${run.record.epoch}` : before.idempotencyKey
}

/**
 * The row at a path, if it is of this kind and name; a row of another one is a replay that does not fit. Where there is
 * none something is about to begin: that parks the run when its journal is full, or when the branch has passed over what
 * was recorded, and waits while it is paused (Z2).
 */
export const journaled = (
  branch: Branch,
  path: StepPath,
  kind: StepKind,
  name: string
): Effect.Effect<StepRecord | undefined> => {
  const { run } = branch
  const row = run.row(path)
  if (row !== undefined) return fitting(run, row, kind, name)
  const isTooMany = run.isFull && isOfBody(path) && branch.stopReason === undefined
  if (isTooMany) return run.misfit(fullMessage(run))
  const { missed } = branch
  if (missed !== undefined) return run.misfit(passedOver(missed, `goes on to ${kind} '${name}'`))
  return branch.isHeld ? Effect.as(branch.unpaused(), undefined) : Effect.succeed(undefined)
}

/** A row of this kind and name; another one is a replay that does not fit. */
export const fitting = (run: RunContext, row: StepRecord, kind: StepKind, name: string): Effect.Effect<StepRecord> => {
  if (row.kind === kind && row.name === name) return Effect.succeed(row)
  return run.misfit(
    `${row.path} is recorded as ${row.kind} '${row.name}', but the workflow now has ${kind} '${name}' there`
  )
}

const fullMessage = (run: RunContext): string =>
  `its journal has ${run.rows} rows, the most that maxJournalRows allows: ` +
  "resume it with a higher limit, and let such runs continue as new (Workflow.continueAsNew)"
