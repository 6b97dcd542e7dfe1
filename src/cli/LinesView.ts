/** Plain lines, one for each thing that happens: for pipes, logs and CI. */
import type { EngineEvent, EventsMissed } from "../engine/Events.ts"
import type { RunId, StepPath } from "../persistence/Records.ts"
import { duration, inline, type Paint, writeLine } from "./Output.ts"
import { closing } from "./Summary.ts"
import type { View } from "./View.ts"

export const makeLinesView = (paint: Paint): View => {
  const lines = new Lines(paint)
  return {
    load: () => undefined,
    attach: (child, parent, path, item) => lines.attach(child, parent, path, item),
    event: (event) => {
      for (const line of lines.of(event)) writeLine(line)
    },
    say: writeLine,
    pause: () => undefined,
    goOn: () => undefined,
    end: (run) => {
      for (const line of closing(run, paint)) writeLine(line)
    },
    close: () => undefined
  }
}

/** What is printed for each event. */
export class Lines {
  /** The first event that was shown: times count from there. */
  #start: number | undefined
  readonly #seen = new Set<RunId>()
  readonly #started = new Map<string, number>()
  /** The path of the step that called a child run, in front of the child's own paths. */
  readonly #prefixes = new Map<RunId, string>()

  constructor(private readonly paint: Paint) {}

  attach(child: RunId, parent: RunId, path: StepPath, item: string | undefined): void {
    this.#prefixes.set(child, `${this.#prefixes.get(parent) ?? ""}${path}${item === undefined ? "" : `[${item}]`}`)
  }

  of(event: EngineEvent | EventsMissed): ReadonlyArray<string> {
    if (event._tag === "EventsMissed")
      return [`(${event.count === 1 ? "1 event was" : `${event.count} events were`} not shown)`]
    this.#start ??= event.timestamp
    // A run that waits is let go and taken up again and again: that is no news to whom saw it.
    const isNews = event._tag !== "RunResumed" || !this.#seen.has(event.run)
    this.#seen.add(event.run)
    if (!isNews) return []
    const text = "path" in event ? this.#ofStep(event) : this.#ofRun(event)
    if (text === undefined) return []
    const time = duration(event.timestamp - this.#start).padStart(7)
    return [`${this.paint("dim", time)}  ${text}`]
  }

  #ofRun(event: Exclude<EngineEvent, { readonly path: StepPath }>): string | undefined {
    const text = this.#aboutRun(event)
    const prefix = this.#prefixes.get(event.run)
    return text === undefined || prefix === undefined ? text : `${inline(prefix)}: ${text}`
  }

  #aboutRun(event: Exclude<EngineEvent, { readonly path: StepPath }>): string | undefined {
    switch (event._tag) {
      case "RunResumed":
        return "resumed"
      case "RunWaiting":
        return event.isPaused ? this.paint("yellow", "paused") : undefined
      case "LeaseLost":
        return this.paint("yellow", "the run is no longer owned by this process")
      case "StorageTrouble":
      case "Panicked":
        return this.paint("red", inline(event.message))
      default:
        return undefined
    }
  }

  #ofStep(event: Extract<EngineEvent, { readonly path: StepPath }>): string | undefined {
    const key = `${event.run}${event.path}`
    const name = inline(`${this.#prefixes.get(event.run) ?? ""}${event.path}`)
    switch (event._tag) {
      case "StepStarted":
        if (!this.#started.has(key)) this.#started.set(key, event.timestamp)
        return event.attempt > 1 ? `${name}: attempt ${event.attempt}` : `${name}: started`
      case "StepCompleted": {
        const started = this.#started.get(key)
        const took = started === undefined ? "" : ` (${duration(event.timestamp - started)})`
        const error = event.error === null ? "" : `: ${inline(event.error)}`
        const status = event.status.replace("_", " ")
        return `${name}: ${this.paint(event.succeeded ? "green" : "red", status)}${took}${error}`
      }
      case "StepRetrying":
        return `${name}: ${this.paint("yellow", "failed, will be tried again")}: ${inline(event.error)}`
      case "StepWarning":
        return `${name}: ${this.paint("yellow", "warning")}: ${inline(event.message)}`
      case "GateWaiting":
        return `${name}: ${this.paint("yellow", "waits for an answer")}${event.prompt === null ? "" : `: ${inline(event.prompt)}`}`
      case "GateResolved":
        return `${name}: ${event.approved ? "approved" : "rejected"}`
      case "FanOutItemsCollected":
        return `${name}: ${event.total} ${event.total === 1 ? "item" : "items"}`
      case "FanOutItemStarted":
        return `${name}: ${inline(event.item)} started`
      case "FanOutItemCompleted":
        return event.succeeded
          ? `${name}: ${inline(event.item)} completed`
          : `${name}: ${inline(event.item)} ${this.paint("red", "failed")}${event.error === null ? "" : `: ${inline(event.error)}`}`
      case "StepHeartbeat":
        return undefined
    }
  }
}
