/**
 * What a worker says of its runs: a line for each that starts, goes on, waits and ends, for a log that people read, or
 * as NDJSON. Steps are in the records, and not here.
 *
 * - V1 Runs that others started are theirs: of them only that they wait is told, since anybody may answer there.
 * - V2 A run that is only looked at again (its gate's resolver is asked) is not told to go on; what is wrong with it
 *   again and again is told once.
 */
import * as Effect from "effect/Effect"
import type { EngineEvent, EventsMissed } from "../engine/Events.ts"
import { isPaused } from "../engine/Pause.ts"
import type { PersistenceService } from "../persistence/Persistence.ts"
import type { RunId, RunRecord } from "../persistence/Records.ts"
import { shownRun } from "../persistence/Redaction.ts"
import { forgetAt } from "./Remembered.ts"
import { duration, inline, type Paint, writeLine } from "./Output.ts"
import { blockersOf, styleOf } from "./Summary.ts"

/** What a worker says of itself. */
export type WorkerNote =
  | {
      readonly _tag: "WorkerStarted"
      readonly engine: string
      readonly database: string
      readonly home: string
      readonly maxRuns: number
    }
  /** `runs`: those that are left in the middle of something, to be resumed. */
  | { readonly _tag: "WorkerStopping"; readonly reason: "stopped" | "drained" | "replaced"; readonly runs: number }
  | {
      readonly _tag: "RunLeftAlone"
      readonly run: RunId
      readonly workflow: string
      readonly missing: ReadonlyArray<string>
    }

type Resumed = Extract<EngineEvent, { readonly _tag: "RunResumed" }>
type Told = Exclude<EngineEvent, { readonly path: string }> | Extract<EngineEvent, { readonly _tag: "StepWarning" }>

export class WorkerLog {
  /** Runs that were taken up while they waited, and have done nothing since (V2). */
  readonly #quiet = new Map<RunId, Resumed>()
  /** The last warning of a run. */
  readonly #warnings = new Map<RunId, string>()

  /** Events that were published for it, and that it is done with. */
  #published = 0
  #handled = 0
  readonly #idle = new Set<() => void>()

  constructor(
    private readonly persistence: PersistenceService,
    private readonly json: boolean,
    private readonly paint: Paint
  ) {}

  note(note: WorkerNote): void {
    const timestamp = Date.now()
    if (this.json) writeLine(JSON.stringify({ ...note, timestamp }))
    else this.#line(timestamp, textOf(note))
  }

  /** Asked of each event when it is published. */
  wants(event: EngineEvent): boolean {
    if (event._tag === "StepHeartbeat" || event._tag === "MetricsUpdated") return false
    this.#published += 1
    return true
  }

  event(event: EngineEvent | EventsMissed): Effect.Effect<void> {
    const count = event._tag === "EventsMissed" ? event.count : 1
    const handled = Effect.sync(() => {
      this.#handled += count
      if (this.#handled >= this.#published) for (const wake of this.#idle) wake()
    })
    return Effect.zipRight(this.#event(event), handled)
  }

  /** Waits until all that was published so far is told. */
  readonly settled: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#handled >= this.#published) return resume(Effect.void)
    const wake = () => {
      this.#idle.delete(wake)
      resume(Effect.void)
    }
    this.#idle.add(wake)
    return Effect.sync(() => this.#idle.delete(wake))
  })

  #event(event: EngineEvent | EventsMissed): Effect.Effect<void> {
    if (event._tag === "EventsMissed") return Effect.sync(() => this.#missed(event.count))
    const before = this.#quiet.get(event.run)
    if (event._tag === "StepWarning") return this.#isNew(event) ? this.#tell(event) : Effect.void
    if (event._tag === "RunResumed") return this.#resumed(event)
    const told = isTold(event) ? this.#tell(event) : Effect.void
    if (before === undefined) return told
    this.#quiet.delete(event.run)
    return Effect.zipRight(this.#tell(before), told)
  }

  #resumed(event: Resumed): Effect.Effect<void> {
    return Effect.flatMap(this.#recordOf(event), (run) =>
      Effect.sync(() => {
        if (run?.status !== "waiting") return this.#say(event, run)
        forgetAt(maxRemembered, this.#quiet)
        this.#quiet.set(event.run, event)
      })
    )
  }

  #isNew({ message, path, run }: Extract<EngineEvent, { readonly _tag: "StepWarning" }>): boolean {
    const text = `${path}: ${message}`
    if (this.#warnings.get(run) === text) return false
    forgetAt(maxRemembered, this.#warnings)
    this.#warnings.set(run, text)
    return true
  }

  #missed(count: number): void {
    if (this.json) writeLine(JSON.stringify({ _tag: "EventsMissed", count }))
    else this.#line(Date.now(), `(${count} events were not shown)`)
  }

  #tell(event: Told): Effect.Effect<void> {
    return Effect.map(this.#recordOf(event), (run) => this.#say(event, run))
  }

  /** Undefined: it was pruned, or the store is in trouble: the event is told with what is known. */
  #recordOf(event: Told): Effect.Effect<RunRecord | undefined> {
    return Effect.orElseSucceed(Effect.map(this.persistence.get(event.run), shownRun), () => undefined)
  }

  #say(event: Told, run: RunRecord | undefined): void {
    const isBelow = run !== undefined && run.parent !== null
    if (isBelow && !ofAnyRun.has(event._tag)) return
    if (this.json) return writeLine(JSON.stringify(shown(event, run)))
    const text = this.#text(event, run)
    if (text !== undefined) this.#line(event.timestamp, `${event.run}  ${inline(run?.workflow ?? "?")}  ${text}`)
  }

  #line(timestamp: number, text: string): void {
    writeLine(`${this.paint("dim", `${new Date(timestamp).toISOString().slice(0, 19)}Z`)}  ${text}`)
  }

  #text(event: Told, run: RunRecord | undefined): string | undefined {
    const { paint } = this
    switch (event._tag) {
      case "RunStarted":
        return event.dryRun ? "started (dry run)" : "started"
      case "RunResumed":
        return "resumed"
      case "RunWaiting":
        return paint("yellow", waitingText(event.on, run))
      case "RunCompleted": {
        const error = event.error === null ? "" : `: ${inline(event.error)}`
        return `${paint(styleOf(event.status), event.status)}${tookText(run)}${error}`
      }
      case "RunCancelled":
        return `${paint("yellow", "cancelled")}${tookText(run)}: ${inline(event.reason)}`
      case "LeaseLost":
        return paint("yellow", "is no longer owned by this process")
      case "StorageTrouble":
      case "Panicked":
        return paint("red", inline(event.message))
      case "StepWarning":
        return `${inline(event.path)}: ${paint("yellow", "warning")}: ${inline(event.message)}`
      case "MetricsUpdated":
        return undefined
    }
  }
}

/** Runs that are remembered; those that are forgotten are told more of. */
const maxRemembered = 10_000

/** What is told of runs below others, too (V1). */
const ofAnyRun: ReadonlySet<EngineEvent["_tag"]> = new Set([
  "RunWaiting",
  "LeaseLost",
  "StorageTrouble",
  "Panicked",
  "StepWarning"
])

const isTold = (event: EngineEvent): event is Told =>
  event._tag !== "MetricsUpdated" && (!("path" in event) || event._tag === "StepWarning")

/** The event, with what tells whose it is. */
const shown = (event: Told, run: RunRecord | undefined) => ({
  ...event,
  workflow: run?.workflow ?? null,
  ...(event._tag === "RunWaiting" && run !== undefined ? { blockedOn: run.blockedOn } : {})
})

const parked = "needs resume: "

const waitingText = (on: ReadonlyArray<string>, run: RunRecord | undefined): string => {
  const names = inline(on.join(", "))
  if (names.startsWith(parked)) return names
  if (run !== undefined && isPaused(run)) return "is paused"
  const blockers = run === undefined ? [] : blockersOf(run)
  const texts = blockers.map(({ name, prompt }) => (prompt === null ? name : `${name}: ${prompt}`))
  const text = texts.length === 0 ? names : texts.join(", ")
  return `waits${text === "" ? "" : ` for ${text}`}`
}

const tookText = (run: RunRecord | undefined): string =>
  run === undefined || run.startedAt === null || run.endedAt === null
    ? ""
    : ` in ${duration(run.endedAt - run.startedAt)}`

const textOf = (note: WorkerNote): string => {
  switch (note._tag) {
    case "WorkerStarted":
      return `working on ${note.database}, at most ${runs(note.maxRuns)} at once`
    case "WorkerStopping":
      return stoppingText(note.reason, note.runs === 0 ? "" : `, ${runs(note.runs)} can be resumed`)
    case "RunLeftAlone":
      return `${note.run}  ${inline(note.workflow)}  is left alone: ${note.missing.map(inline).join("; ")}`
  }
}

const stoppingText = (reason: "stopped" | "drained" | "replaced", left: string): string => {
  switch (reason) {
    case "stopped":
      return `shutting down${left}; once more stops at once`
    case "drained":
      return "nothing is left to do"
    case "replaced":
      return "the database is gone"
  }
}

const runs = (count: number): string => `${count} ${count === 1 ? "run" : "runs"}`
