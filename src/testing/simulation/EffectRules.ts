/**
 * What may happen outside the journal (spec/engine.md, "Durability" 1 and 2): no attempt begins before its row is
 * durable (I2), none of a step that has completed or of a run that ended, one at a time of a step; no event is published
 * before the commit that carries its change (E1).
 *
 * A loser that cannot know yet that it lost (it was frozen, or its clock is behind) may begin an attempt: that is counted.
 */
import type { EngineEvent } from "../../engine/Events.ts"
import { bodyPath, compensationPath, isOfAlways, isOfBody } from "../../engine/Phases.ts"
import { isEnded, isTerminal, type StepPath, type StepRecord } from "../../persistence/Records.ts"
import type { Execution } from "../TestProgram.ts"
import type { KnownRun, Ledger } from "./Ledger.ts"
import type { Ownership } from "./Ownership.ts"
import type { SimulatedEngine } from "./SimulatedEngine.ts"
import type { Tally } from "./Tally.ts"
import type { World } from "./World.ts"

export class EffectRules {
  /** Attempts that have begun, of rows by `run path epoch`. */
  readonly #begun = new Set<string>()
  /** Attempts that are at work in an engine. */
  readonly #atWork = new Map<SimulatedEngine, Set<string>>()

  constructor(
    private readonly world: World,
    private readonly ledger: Ledger,
    private readonly ownership: Ownership,
    private readonly tally: Tally
  ) {}

  began(engine: SimulatedEngine, execution: Execution): void {
    const { attempt, path, run } = execution
    const known = this.ledger.get(run)
    const what = `attempt ${attempt} of ${path} of ${known?.name ?? run}`
    this.world.note(engine.name, `begins ${what}`)
    this.tally.add("attempt executed")
    if (known === undefined) return this.world.violated(`${what} began, and there is no such run`)
    this.#checkAlone(engine, `${run} ${path}`, what)
    // Its own clock has told it, and nothing kept it from hearing.
    if (this.world.now > Math.max(engine.leaseEnds, engine.process.awakeSince)) {
      this.world.violated(`${what} began in ${engine.name}, whose lease has ended`)
    }
    const row = known.live.get(asPath(path))
    if (row !== undefined) this.#begun.add(keyOf(known, row))
    if (this.ownership.ownerOf(known.journal.run.id) === engine.id) this.#checkRow(known, row, execution, what)
    else this.tally.add("attempt begun by a loser")
  }

  ended(engine: SimulatedEngine, { path, run }: Execution): void {
    this.#atWork.get(engine)?.delete(`${run} ${path}`)
  }

  #checkAlone(engine: SimulatedEngine, key: string, what: string): void {
    const atWork = this.#atWork.get(engine) ?? new Set()
    this.#atWork.set(engine, atWork)
    if (atWork.has(key)) this.world.violated(`${what} began in ${engine.name} beside an attempt that is at work`)
    atWork.add(key)
  }

  #checkRow(known: KnownRun, row: StepRecord | undefined, { attempt, idempotencyKey }: Execution, what: string) {
    const { status } = known.journal.run
    if (isEnded(status)) this.world.violated(`${what} began when the run was ${status}`)
    if (row === undefined) return this.world.violated(`I2: ${what} began without a row`)
    if (isTerminal(row.status)) return this.world.violated(`${what} began when the step was ${row.status}`)
    const last = row.attempts.at(-1)
    if (row.status !== "running" || last?.number !== attempt || last.outcome !== "running") {
      this.world.violated(`I2: ${what} began when the row said ${row.status}, attempt ${last?.number ?? "none"}`)
    }
    if (row.idempotencyKey !== idempotencyKey) {
      this.world.violated(`${what} began with key ${idempotencyKey}; its row has ${row.idempotencyKey}`)
    }
    const phase = phaseOf(known)
    if (!phase.holds(row.path)) this.world.violated(`I4: ${what} began ${phase.name}`)
  }

  /** A call completes by having been executed. */
  completed(known: KnownRun, row: StepRecord): void {
    if (row.kind !== "call" || this.#begun.has(keyOf(known, row))) return
    this.world.violated(`${row.path} of ${known.name} completed without having been executed`)
  }

  published(engine: SimulatedEngine, event: EngineEvent): void {
    // They tell of the engine, also where a run could not be created.
    if (event._tag === "StorageTrouble" || event._tag === "LeaseLost") return
    const known = this.ledger.get(event.run)
    if (event._tag === "Panicked") this.world.violated(`${engine.name} panicked: ${event.message} ${event.stack ?? ""}`)
    if (known === undefined) return this.world.violated(`E1: ${event._tag} of a run that is not in the store`)
    const isTrue = holds(known, event)
    if (!isTrue) this.world.violated(`E1: ${event._tag} of ${known.name} was published before its commit`)
  }
}

/** The phase that a run is in, by its rows, and whether a step may begin in it. */
const phaseOf = ({ live }: KnownRun) => {
  if (!live.has(bodyPath)) return { name: "before the end of the body", holds: isOfBody }
  if (live.has(compensationPath)) return { name: "after the compensation", holds: isOfAlways }
  return { name: "after the end of the body", holds: (path: StepPath) => !isOfBody(path) }
}

/** Whether the records already say what an event says. */
const holds = (known: KnownRun, event: EngineEvent): boolean => {
  const { run } = known.journal
  const rows = "path" in event ? [...known.journal.steps.values()].filter((row) => row.path === event.path) : []
  switch (event._tag) {
    case "RunStarted":
      return run.startedAt !== null
    case "RunCompleted":
    case "RunCancelled":
      return isEnded(run.status) || run.epoch > 1
    case "StepStarted":
      return rows.some((row) => row.kind === "gate" || row.attempts.some(({ number }) => number >= event.attempt))
    case "StepCompleted":
      return rows.some((row) => row.status === event.status)
    case "StepRetrying":
      return rows.some((row) =>
        row.attempts.some(({ number, outcome }) => number >= event.attempt && outcome !== "running")
      )
    case "GateWaiting":
      return rows.length > 0
    case "GateResolved":
      return rows.some((row) => isTerminal(row.status))
    case "FanOutItemStarted":
    case "FanOutItemCompleted":
      return holdsOfItem(known, event)
    default:
      return true
  }
}

const holdsOfItem = (
  known: KnownRun,
  event: Extract<EngineEvent, { readonly _tag: "FanOutItemStarted" | "FanOutItemCompleted" }>
): boolean => {
  const items = [...(known.journal.items.get(event.path)?.values() ?? [])]
  const isFar = event._tag === "FanOutItemStarted" ? "pending" : "running"
  return known.journal.run.epoch > 1 || items.some((item) => item.id === event.item && item.status !== isFar)
}

const keyOf = (known: KnownRun, row: StepRecord): string => `${known.journal.run.id} ${row.path} ${row.epoch}`

// SAFETY: an execution names the path of its step.
const asPath = (path: string): StepPath => path as StepPath
