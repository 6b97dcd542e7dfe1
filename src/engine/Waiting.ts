/**
 * Runs that wait: recorded as such, and let go after a while (design.md, "Letting go while waiting").
 *
 * - W1 A run waits when each of its live branches waits durably, for nothing that is at work.
 * - W2 What it is blocked on is a row, told to its parent in the same commit.
 * - W3 A run is let go with the newest message it has seen: its release is refused if there is a newer one.
 */
import type { BlockedOn } from "../persistence/Records.ts"
import type { EngineSettings } from "./EngineConfig.ts"
import type { RunContext } from "./RunContext.ts"
import type { RunMain } from "./RunMain.ts"

/** How many runs of an engine wait and linger. */
export interface Crowd {
  size: number
}

/** Of a resident: where it stands between waiting and being let go. */
export class Waiting {
  #disarm: (() => void) | undefined

  constructor(
    private readonly run: RunContext,
    private readonly main: RunMain,
    private readonly crowd: Crowd
  ) {}

  /** All branches of the run are parked. */
  idle(settings: EngineSettings): void {
    const { run, main } = this
    if (!main.mayWait || !run.isIdle) return
    if (!run.isWaiting) return recordAtWork(run)
    if (isShort(run, settings)) return
    recordWaiting(run)
    this.stop()
    // A pause is not taken back at once.
    if (run.isPaused || this.crowd.size >= settings.maxResident) return this.letGo()
    this.crowd.size += 1
    this.#disarm = run.host.deadlines.arm(settings.linger, () => {
      this.stop()
      this.letGo()
    })
  }

  /** Lets the run go, if it waits. */
  letGo(): void {
    const { run, main } = this
    if (!main.mayWait || !run.isWaiting || run.isHeld) return
    // Nothing else may have come to it: the engine is shut down.
    recordWaiting(run)
    const untold = run.isPaused && run.isUntold ? run.now() : null
    const wakes = run.waits.map((wait) => wait.wakeAt)
    const times = [main.deadline, untold, ...wakes, ...run.limits].filter((time) => time !== null)
    const readyAt = times.length === 0 ? null : Math.min(...times)
    run.stopSilently({ _tag: "LetGo", readyAt, lastInbox: run.lastInbox })
  }

  /** Lingers no more. */
  stop(): void {
    if (this.#disarm === undefined) return
    this.crowd.size -= 1
    this.#disarm()
    this.#disarm = undefined
  }
}

/** A pause between attempts or a sleep that is over sooner than the run could be let go. */
const isShort = (run: RunContext, settings: EngineSettings): boolean => {
  const end = run.now() + settings.linger
  return run.waits.every(
    ({ blockedOn, wakeAt }) => blockedOn.every((on) => on._tag === "sleep") && wakeAt !== null && wakeAt <= end
  )
}

/** All live branches are parked, but something that they wait for is at work: a child run. */
const recordAtWork = (run: RunContext): void => {
  const { blockers: blockedOn } = run
  if (run.record.status === "waiting") run.append(run.goingOn(blockedOn))
  else if (!isSame(run, blockedOn)) run.append([{ _tag: "Run", patch: { blockedOn } }])
}

const isSame = (run: RunContext, blockedOn: ReadonlyArray<BlockedOn>): boolean =>
  JSON.stringify(run.record.blockedOn) === JSON.stringify(blockedOn)

const recordWaiting = (run: RunContext): void => {
  const { blockers: blockedOn } = run
  if (run.record.status === "waiting" && isSame(run, blockedOn)) return
  const told = run.tellParent((path) => ({ _tag: "ChildWaiting", child: run.id, path, blockedOn }))
  const on = blockedOn.map((blocker) => blocker.name)
  run.append(
    [{ _tag: "Run", patch: { status: "waiting", blockedOn } }, ...told],
    [{ _tag: "RunWaiting", timestamp: run.now(), run: run.id, on, isPaused: run.isPaused }]
  )
}
