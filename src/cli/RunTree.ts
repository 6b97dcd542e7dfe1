/**
 * What a live run looks like: a pure state of lines, fed by the engine's events, and its text.
 *
 * A line per step in the order in which they began, those of a called workflow below their step; a fan-out is one
 * line with a bar, which says what step began last below it; its items' steps have no lines.
 */
import type { EngineEvent } from "../engine/Events.ts"
import {
  type FanOutCounters,
  isTerminal,
  isUserStep,
  type RunId,
  type StepPath,
  type StepRecord,
  type StepStatus
} from "../persistence/Records.ts"
import { duration, inline, type Paint, shorten, width } from "./Output.ts"

interface Line {
  readonly run: RunId
  readonly path: StepPath
  readonly name: string
  readonly kind: string
  status: StepStatus
  attempt: number
  startedAt: number | undefined
  endedAt: number | undefined
  note: string
  fanOut: { total: number; running: number; ended: number; failed: number } | undefined
}

/** Where a child run hangs; those of a fan-out's items have no place. */
interface Place {
  readonly parent: RunId
  readonly path: StepPath
  /** The item of a fan-out. */
  readonly item: string | undefined
}

export interface RenderOptions {
  readonly now: number
  readonly columns: number
  /** Lines beyond this many are left out, ended ones first; 0: none are. */
  readonly rows: number
  readonly paint: Paint
  readonly unicode: boolean
}

export class RunTree {
  readonly #lines = new Map<string, Line>()
  readonly #byRun = new Map<RunId, Array<Line>>()
  readonly #places = new Map<RunId, Place>()
  readonly #paused = new Set<RunId>()
  #root: RunId | undefined

  /** The steps that a run that is taken up already has. */
  load(run: RunId, steps: ReadonlyArray<StepRecord>): void {
    this.#root ??= run
    for (const step of steps) if (isUserStep(step.kind) && !step.superseded) this.#loadStep(run, step)
  }

  #loadStep(run: RunId, step: StepRecord): void {
    const line = this.#line(run, step.path, step.name, step.kind)
    const counters = step.fanOut
    Object.assign(line, {
      status: step.status,
      attempt: step.attempts.at(-1)?.number ?? 1,
      startedAt: step.startedAt ?? undefined,
      endedAt: step.endedAt ?? undefined,
      note: step.error ?? "",
      fanOut: counters === null ? undefined : progressOf(counters)
    } satisfies Partial<Line>)
  }

  /** Hangs a child run below the step that called it. */
  attach(child: RunId, parent: RunId, path: StepPath, item?: string): void {
    this.#places.set(child, { parent, path, item })
  }

  apply(event: EngineEvent): void {
    if (event._tag === "RunStarted" && event.parent === null) this.#root ??= event.run
    if (event._tag === "RunWaiting" && event.isPaused) this.#paused.add(event.run)
    else this.#paused.delete(event.run)
    if (!("path" in event)) return
    switch (event._tag) {
      case "StepStarted": {
        const line = this.#line(event.run, event.path, event.step, event.kind)
        line.status = "running"
        line.attempt = event.attempt
        line.startedAt ??= event.timestamp
        line.endedAt = undefined
        line.note = ""
        this.#tellFanOut(event.run, event.step)
        return
      }
      case "StepCompleted": {
        const line = this.#line(event.run, event.path, event.step, event.kind)
        line.status = event.status
        line.startedAt ??= event.timestamp
        line.endedAt = event.timestamp
        line.note = event.error ?? ""
        return
      }
      default:
        this.#applyToLine(event)
    }
  }

  #applyToLine(event: Extract<EngineEvent, { readonly path: StepPath }>): void {
    const line = this.#line(event.run, event.path, event.step, event._tag.startsWith("Gate") ? "gate" : "call")
    line.startedAt ??= event.timestamp
    switch (event._tag) {
      case "StepRetrying":
        line.note = event.error
        return
      case "StepHeartbeat":
        line.note = typeof event.details === "string" ? event.details : line.note
        return
      case "StepWarning":
        line.note = event.message
        return
      case "GateWaiting":
        line.status = "waiting"
        line.note = event.prompt ?? ""
        return
      case "GateResolved":
        line.note = event.approved ? "approved" : "rejected"
        return
      case "FanOutItemsCollected":
        line.fanOut = progressOf(event.counters)
        return
      case "FanOutItemStarted":
        if (line.fanOut !== undefined) line.fanOut.running++
        return
      case "FanOutItemCompleted":
        if (line.fanOut === undefined) return
        line.fanOut.running = Math.max(0, line.fanOut.running - 1)
        line.fanOut.ended++
        if (!event.succeeded) line.fanOut.failed++
        if (event.error !== null) line.note = `${event.item}: ${event.error}`
    }
  }

  /** The fan-out that a run belongs to, itself or those above it, says what the run does. */
  #tellFanOut(run: RunId, step: string): void {
    for (let place = this.#places.get(run); place !== undefined; place = this.#places.get(place.parent)) {
      if (place.item === undefined) continue
      const line = this.#lines.get(keyOf(place.parent, place.path))
      if (line !== undefined) line.note = `${place.item}: ${step}`
      return
    }
  }

  #line(run: RunId, path: StepPath, name: string, kind: string): Line {
    const key = keyOf(run, path)
    const known = this.#lines.get(key)
    if (known !== undefined) return known
    const line: Line = {
      run,
      path,
      name,
      kind,
      status: "pending",
      attempt: 1,
      startedAt: undefined,
      endedAt: undefined,
      note: "",
      fanOut: undefined
    }
    this.#lines.set(key, line)
    this.#byRun.set(run, [...(this.#byRun.get(run) ?? []), line])
    return line
  }

  render(options: RenderOptions): ReadonlyArray<string> {
    if (this.#root === undefined) return []
    const rows = this.#rowsOf(this.#root, 0)
    const isPaused = this.#paused.has(this.#root)
    const [shown, left] = fit(rows, isPaused && options.rows > 0 ? options.rows - 1 : options.rows)
    const lines = shown.map(({ line, depth }) => text(line, depth, options))
    const [sign, ascii, style] = marks.waiting
    if (isPaused) lines.push(`  ${options.paint(style, `${options.unicode ? sign : ascii} paused`)}`)
    return left === 0 ? lines : [options.paint("dim", shorten(`  … ${left} more`, options.columns - 1)), ...lines]
  }

  #rowsOf(run: RunId, depth: number): ReadonlyArray<Row> {
    const children = [...this.#places].filter(([, place]) => place.parent === run)
    return (this.#byRun.get(run) ?? []).flatMap((line) => {
      const below = line.fanOut === undefined ? children.filter(([, place]) => place.path === line.path) : []
      return [{ line, depth }, ...below.flatMap(([child]) => this.#rowsOf(child, depth + 1))]
    })
  }
}

interface Row {
  readonly line: Line
  readonly depth: number
}

/** As many rows as there is room for: of those that ended, the oldest give way first. */
const fit = (rows: ReadonlyArray<Row>, limit: number): readonly [ReadonlyArray<Row>, number] => {
  if (limit <= 0 || rows.length <= limit) return [rows, 0]
  let left = rows.length - limit + 1
  const kept = rows.filter(({ line }) => {
    const goes = left > 0 && isTerminal(line.status)
    if (goes) left--
    return !goes
  })
  const shown = kept.slice(Math.max(0, kept.length - limit + 1))
  return [shown, rows.length - shown.length]
}

const marks: Readonly<Record<StepStatus, readonly [unicode: string, ascii: string, style: Parameters<Paint>[0]]>> = {
  pending: ["·", ".", "dim"],
  running: ["▸", ">", "blue"],
  waiting: ["‖", "?", "yellow"],
  completed: ["✓", "+", "green"],
  failed: ["✗", "x", "red"],
  skipped: ["↷", "-", "dim"],
  timed_out: ["✗", "x", "red"],
  cancelled: ["⊘", "x", "yellow"]
}

/** Where there are no more columns than this, steps are not indented. */
const narrowest = 16

const text = (line: Line, depth: number, options: RenderOptions): string => {
  const { paint, unicode, now, columns } = options
  const [sign, ascii, style] = marks[line.status]
  const indent = Math.min(2 * (depth + 1), Math.max(0, columns - narrowest))
  const head = `${" ".repeat(indent)}${paint(style, unicode ? sign : ascii)} `
  const label = `${inline(line.name)}${suffix(line.path)}`
  const parts = [label]
  if (line.fanOut !== undefined) parts.push(bar(line.fanOut, unicode))
  parts.push(line.status.replace("_", " "))
  if (line.attempt > 1) parts.push(`attempt ${line.attempt}`)
  if (line.startedAt !== undefined) parts.push(duration((line.endedAt ?? now) - line.startedAt))
  const body = parts.join("  ")
  const room = Math.max(1, columns - indent - 3)
  const cut = shorten(body, room)
  const rest = room - width(cut) - 2
  const note = line.note === "" || rest < 8 ? "" : `  ${paint("dim", shorten(inline(line.note), rest))}`
  return `${head}${cut}${note}`
}

/** What the path says beside the name: the round of a loop, and that it is of an on_fail or an always block. */
const suffix = (path: StepPath): string => {
  const rounds = [...path.matchAll(/\/@(\d+)(?=\/)/g)].map(([, round]) => round)
  const round = rounds.length === 0 ? "" : ` (round ${rounds.join(".")})`
  return `${round}${path.endsWith("/on_fail") ? " (on_fail)" : ""}${path.startsWith("/@always/") ? " (always)" : ""}`
}

const barWidth = 20

const keyOf = (run: RunId, path: StepPath): string => `${run}${path}`

const progressOf = ({ completed, failed, running, skipped, total }: FanOutCounters): NonNullable<Line["fanOut"]> => ({
  total,
  running,
  ended: completed + failed + skipped,
  failed
})

const bar = (fanOut: NonNullable<Line["fanOut"]>, unicode: boolean): string => {
  const { total, ended, failed, running } = fanOut
  const share = total === 0 ? barWidth : Math.round((Math.min(ended, total) / total) * barWidth)
  const filled = (unicode ? "█" : "#").repeat(share) + (unicode ? "░" : "-").repeat(barWidth - share)
  const more = [failed > 0 ? `${failed} failed` : "", running > 0 ? `${running} running` : ""].filter(Boolean)
  return `[${filled}] ${ended}/${total}${more.length === 0 ? "" : ` (${more.join(", ")})`}`
}
