/**
 * Pausing a run (spec/engine.md, "Cancellation"): what its messages ask for, and what its record and children are told.
 *
 * - Z1 A pause is the row of its request: it stays in the inbox until it is taken back, so it survives anything (I5).
 * - Z2 While it stands no primitive begins in the body, nor do compensation and always; what is at work ends as usual,
 *   waits go on waiting, and deadlines count on. Once one of those two has begun the run is not paused, nor is one that
 *   is being cancelled.
 * - Z3 The children of this store are told in the commit that records a pause, or its end; those elsewhere before an
 *   end is recorded, so that none is left behind.
 * - Z4 A run that is paused when it is taken up is let go again without a replay: it needs no program.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Change } from "../persistence/Journal.ts"
import type {
  BlockedOn,
  InboxMessage,
  InboxRow,
  RunId,
  RunRecord,
  RunStatus,
  StepPath
} from "../persistence/Records.ts"
import { isContinuing } from "./Continue.ts"
import type { RunContext } from "./RunContext.ts"
import { bodyPath, deadlineOf, isOfEnding } from "./Phases.ts"

const pause: InboxMessage = { _tag: "Pause" }
const unpause: InboxMessage = { _tag: "Unpause" }

/** What a run is blocked on that is paused. */
export const pausedOn = (run: RunId): BlockedOn => ({
  _tag: "paused",
  run,
  // SAFETY: the run as a whole.
  path: "" as StepPath,
  name: "paused",
  kind: null,
  prompt: null,
  options: [],
  minApprovals: 0,
  until: null
})

const isOwn = (run: RunId) => (on: BlockedOn) => on._tag === "paused" && on.run === run

/** Whether a record says that the run itself is paused; while it is running, what is at work has not ended yet. */
export const isPaused = (run: Pick<RunRecord, "id" | "blockedOn">): boolean => run.blockedOn.some(isOwn(run.id))

/** Whether a run goes on only when it is woken: it waits, or was paused before it began. */
export const isAtRest = (run: RunRecord): boolean =>
  run.status === "waiting" || (run.status === "pending" && isPaused(run))

/** What a paused run is blocked on: the pause, then what its branches wait for. */
export const withPause = (run: RunId, blockedOn: ReadonlyArray<BlockedOn>): ReadonlyArray<BlockedOn> => [
  pausedOn(run),
  ...withoutPause(run, blockedOn)
]

export const withoutPause = (run: RunId, blockedOn: ReadonlyArray<BlockedOn>): ReadonlyArray<BlockedOn> =>
  blockedOn.filter((on) => !isOwn(run)(on))

export const isPauseRequest = ({ message }: InboxRow): boolean => message._tag === "Pause" || message._tag === "Unpause"

/** Whether the last word of an inbox is to pause. */
export const asksToPause = (inbox: ReadonlyArray<InboxRow>): boolean =>
  inbox.findLast(isPauseRequest)?.message._tag === "Pause"

/** Z2, as far as the journal tells. What continues as new is left to the next run. */
export const mayPause = (run: RunContext): boolean => {
  const { cancelReason, status } = run.record
  if (cancelReason !== null || status === "cancelling" || isContinuing(run)) return false
  if (run.row(bodyPath) === undefined) return (deadlineOf(run) ?? Number.POSITIVE_INFINITY) > run.now()
  return ![...run.writer.live.keys()].some(isOfEnding)
}

/** Whether a run that is taken up is to rest (Z4). */
export const isToRest = (run: RunContext): boolean =>
  asksToPause(run.inbox) && run.find("Cancel") === undefined && mayPause(run)

/** The children that are at work, or wait. */
export const openChildren = (run: RunContext): ReadonlyArray<RunId> => {
  const { journal, live } = run.writer
  const ofSteps = [...live.values()].map((step) => step.attempts.at(-1))
  const called = ofSteps.flatMap((attempt) => (attempt?.outcome === "running" ? [attempt.childRun] : []))
  const items = [...journal.items.values()].flatMap((items) => [...items.values()])
  const ofItems = items.flatMap((item) => (item.status === "running" ? [item.childRun] : []))
  return [...called, ...ofItems].filter((child) => child !== null)
}

/** Z3. */
const tellChildren = (run: RunContext, children: ReadonlyArray<RunId>, message: InboxMessage): ReadonlyArray<Change> =>
  children.map((child) => ({ _tag: "Notify", run: child, message, at: run.now() }))

/**
 * What is to be done for a run that is paused when it is taken up (Z4). Gives when it has to be looked at again: its own
 * deadline, or the next try where children elsewhere do not answer.
 */
export const rest = (run: RunContext): Effect.Effect<number | null> =>
  Effect.gen(function* () {
    recordRest(run)
    yield* run.flush
    const again = (yield* tellElsewhere(run)) ? null : run.now() + run.settings.resolverInterval
    const times = [deadlineOf(run), again].filter((time) => time !== null)
    return times.length === 0 ? null : Math.min(...times)
  })

/** Whether the children elsewhere have heard of it; nobody waits for a place that does not answer. */
const tellElsewhere = (run: RunContext): Effect.Effect<boolean> => {
  const told = run.host.children.sendElsewhere?.(openChildren(run), pause)
  if (told === undefined) return Effect.succeed(true)
  const within = Effect.timeoutOption(Effect.interruptible(told), run.settings.resolverInterval)
  return Effect.map(Effect.interruptible(within), Option.isSome)
}

/** Records the pause, unless the record says so already. */
const recordRest = (run: RunContext): void => {
  const { record } = run
  // What has not begun, or is parked, stays so.
  const status = record.status === "running" ? "waiting" : record.status
  const isKnown = isPaused(record)
  if (isKnown && status === record.status && status !== "needs_resume") return
  recordPause(run, status, isKnown ? [] : openChildren(run))
}

/** Records that a run is paused; one that does not wait yet goes on with what is at work. */
const recordPause = (run: RunContext, status: RunStatus, children: ReadonlyArray<RunId>): void => {
  const { id, record } = run
  const blockedOn = withPause(id, record.blockedOn)
  const changes: Array<Change> = [{ _tag: "Run", patch: { status, blockedOn } }, ...tellChildren(run, children, pause)]
  if (status === "running") return run.append(changes)
  const told = run.tellParent((path) => ({ _tag: "ChildWaiting", child: id, path, blockedOn }))
  const on = blockedOn.map(({ name }) => name)
  const waiting = { _tag: "RunWaiting", timestamp: run.now(), run: id, on, isPaused: true } as const
  run.append([...changes, ...told], [waiting])
}

/** The requests to pause a resident run, and to let it go on. */
export class PauseRequests {
  #cancelTelling: () => void = () => undefined

  constructor(private readonly run: RunContext) {}

  get #all(): ReadonlyArray<InboxRow> {
    return this.run.inbox.filter(isPauseRequest)
  }

  /** Does what the newest asks for. `isLive`: it came while the run was going on, so nobody has heard yet that it does. */
  take(isLive: boolean): void {
    const requests = this.#all
    if (requests.length === 0) return
    if (asksToPause(requests)) this.#pause(requests)
    else this.#unpause(isLive)
  }

  /** It is too late for them, or the run is to end. */
  drop(): void {
    const requests = this.#all
    if (requests.length === 0) return
    const { run } = this
    this.#cancelTelling()
    run.append([run.consume(requests.map(({ id }) => id)), ...this.#recordNoPause()])
    run.setPaused(false)
  }

  /** The newest request stays (Z1). */
  #pause(requests: ReadonlyArray<InboxRow>): void {
    const { run } = this
    const older = requests.slice(0, -1).map(({ id }) => id)
    if (older.length > 0) run.append([run.consume(older)])
    if (run.isPaused) return
    run.setPaused(true)
    const children = openChildren(run)
    if (!isPaused(run.record)) recordPause(run, run.record.status, children)
    const told = children.length === 0 ? undefined : run.host.children.sendElsewhere?.(children, pause)
    if (told !== undefined) this.#tell(told)
  }

  /** What is not told when the run is let go is told when it is taken up, at once (Z4). */
  #tell(told: Effect.Effect<void>): void {
    const { run } = this
    run.isUntold = true
    const done = Effect.sync(() => {
      run.isUntold = false
    })
    this.#cancelTelling = this.#fork(Effect.zipRight(told, done))
  }

  /** Z3: the request stays until the children elsewhere have it. */
  #unpause(isLive: boolean): void {
    const { run } = this
    this.#cancelTelling()
    const children = openChildren(run)
    const told = children.length === 0 ? undefined : run.host.children.sendElsewhere?.(children, unpause)
    if (told === undefined) return this.#goOn(isLive)
    if (!isLive) run.setPaused(true)
    // The run does not wait meanwhile.
    run.addActive(1)
    const gone = Effect.map(told, () => this.#goOn(isLive))
    this.#fork(
      Effect.ensuring(
        gone,
        Effect.sync(() => run.addActive(-1))
      )
    )
  }

  #goOn(isLive: boolean): void {
    const { run } = this
    const requests = this.#all
    if (requests.length === 0 || asksToPause(requests)) return
    const { epoch, status } = run.record
    const wasPaused = run.isPaused || isPaused(run.record)
    run.setPaused(false)
    const told = tellChildren(run, openChildren(run), unpause)
    const changes: Array<Change> = [run.consume(requests.map(({ id }) => id)), ...told]
    if (wasPaused) changes.push(...(status === "waiting" ? run.goingOn() : this.#recordNoPause()))
    const resumed = { _tag: "RunResumed", timestamp: run.now(), run: run.id, epoch } as const
    run.append(changes, wasPaused && isLive ? [resumed] : [])
  }

  #recordNoPause(): ReadonlyArray<Change> {
    const { id, record } = this.run
    return isPaused(record) ? [{ _tag: "Run", patch: { blockedOn: withoutPause(id, record.blockedOn) } }] : []
  }

  /** Beside the run's fibers, until it is stopped silently. Returns what interrupts it. */
  #fork(effect: Effect.Effect<void>): () => void {
    const { run } = this
    let unlisten = () => {}
    const left = Effect.sync(() => unlisten())
    const interrupt = run.host.fork(Effect.ensuring(Effect.zipRight(Effect.yieldNow(), effect), left))
    unlisten = run.onSilent(interrupt)
    return interrupt
  }
}
