/**
 * What a commit may do to records (spec/engine.md, "Records" and "Durability"): one `seq` each, nothing that has ended
 * changes but by a new epoch, statuses follow the state machine, a message counts once, and a run that ended has
 * nothing open behind it (P4) and its always block done once.
 */
import { alwaysPath, bodyPath } from "../../engine/Phases.ts"
import type { Change } from "../../persistence/Journal.ts"
import type { Commit } from "../../persistence/Persistence.ts"
import {
  type GateAnswer,
  isEnded,
  isTerminal,
  type ItemRecord,
  type RunId,
  type RunStatus,
  type StepRecord,
  stepKey
} from "../../persistence/Records.ts"
import type { KnownRun, Ledger } from "./Ledger.ts"
import type { Tally } from "./Tally.ts"
import type { World } from "./World.ts"

/** What a status may become within an epoch. */
const next: Readonly<Record<RunStatus, ReadonlyArray<RunStatus>>> = {
  pending: ["running", "cancelled", "needs_resume"],
  running: ["waiting", "cancelling", "needs_resume", "completed", "failed"],
  waiting: ["running", "cancelling", "needs_resume"],
  cancelling: ["needs_resume", "cancelled"],
  needs_resume: ["running", "cancelling", "cancelled"],
  completed: [],
  failed: [],
  cancelled: []
}

export class RecordRules {
  readonly #consumed = new Set<number>()

  constructor(
    private readonly world: World,
    private readonly ledger: Ledger,
    private readonly tally: Tally,
    private readonly hasAlways: (run: KnownRun) => boolean
  ) {}

  /** A commit that the store took, before the ledger has it. */
  before(known: KnownRun, commit: Commit): void {
    const { run } = known.journal
    if (commit.expectedSeq !== run.seq) this.#blame(known, `commit ${commit.expectedSeq + 1} follows commit ${run.seq}`)
    if (isEnded(run.status)) this.#blame(known, `it is ${run.status}, and was written to`)
    let { status } = run
    for (const change of commit.changes) {
      if (change._tag === "Step") this.#checkStep(known, change.step)
      if (change._tag === "Item") this.#checkItem(known, change.item)
      if (change._tag === "Consume") this.#checkConsumed(known, change.ids, commit.changes)
      if (change._tag !== "Run" || change.patch.status === undefined) continue
      if (change.patch.status !== status && !next[status].includes(change.patch.status)) {
        this.#blame(known, `was ${status} and became ${change.patch.status}`)
      }
      status = change.patch.status
    }
  }

  /** The same, when the ledger has it. */
  after(known: KnownRun, changes: ReadonlyArray<Change>): void {
    for (const change of changes) if (change._tag === "Create") this.#checkChild(known, change.run.id)
    const { status } = known.journal.run
    const isEnd = isEnded(status) && changes.some((change) => change._tag === "Run" && change.patch.status === status)
    if (isEnd) this.#checkEnd(known)
  }

  #blame(known: KnownRun, what: string): void {
    this.world.violated(`${known.name}: ${what}`)
  }

  #checkStep(known: KnownRun, step: StepRecord): void {
    const before = known.journal.steps.get(stepKey(step))
    if (before === undefined) return
    if (before.superseded) this.#blame(known, `${step.path} is superseded, and was written to`)
    if (!isTerminal(before.status)) return this.#checkAnswer(known, step)
    if (JSON.stringify(before) !== JSON.stringify(step)) {
      this.#blame(known, `${step.path} was ${before.status}, and was written as ${step.status}`)
    }
  }

  /** What a gate ended with is an answer that somebody gave; one that was given in time is not passed over (G3). */
  #checkAnswer(known: KnownRun, step: StepRecord): void {
    if (step.kind !== "gate" || !isTerminal(step.status)) return
    const given = known.answers.get(stepKey(step)) ?? []
    const answer = step.gate?.answer ?? null
    if (answer !== null && !given.some((it) => isSame(it, answer))) {
      this.#blame(known, `gate ${step.path} has an answer that nobody gave`)
    }
    if (answer === null && step.status !== "cancelled") {
      const before = known.live.get(step.path)?.wakeAt ?? Number.POSITIVE_INFINITY
      const missed = given.find((it) => it.at < before)
      if (missed !== undefined) this.#blame(known, `gate ${step.path} timed out with an answer given in time`)
    }
  }

  #checkItem(known: KnownRun, item: ItemRecord): void {
    const before = known.journal.items.get(item.path)?.get(item.key)
    const isOver = before !== undefined && before.status !== "pending" && before.status !== "running"
    if (isOver && JSON.stringify(before) !== JSON.stringify(item)) {
      this.#blame(known, `item ${item.key} of ${item.path} was ${before.status}, and was written as ${item.status}`)
    }
  }

  #checkConsumed(known: KnownRun, ids: ReadonlyArray<number>, changes: ReadonlyArray<Change>): void {
    for (const id of ids) {
      if (this.#consumed.has(id)) this.#blame(known, `message ${id} was consumed twice`)
      this.#consumed.add(id)
      if (known.messages.get(id)?._tag === "Cancel") this.#checkCancel(known, changes)
    }
  }

  /** A cancellation that comes before the body's end, and before its time is over, is heeded. */
  #checkCancel(known: KnownRun, changes: ReadonlyArray<Change>): void {
    const { settings, status } = known.journal.run
    const isOver = changes.some((change) => change._tag === "Step" && change.step.path === bodyPath)
    if (known.live.has(bodyPath) || isOver || status === "cancelling" || settings.runTimeout !== null) return
    const isHeeded = changes.some(
      (change) => change._tag === "Run" && (change.patch.status === "cancelling" || change.patch.status === "cancelled")
    )
    if (!isHeeded) this.#blame(known, "a cancellation was consumed and not heeded")
  }

  /** C1: a child is created in the commit that records who dispatched it. */
  #checkChild(known: KnownRun, child: RunId): void {
    const run = this.ledger.get(child)?.journal.run
    const path = run?.parent?.path
    const step = path === undefined ? undefined : known.live.get(path)
    const items = path === undefined ? undefined : known.journal.items.get(path)
    const isOfStep = step?.attempts.some((attempt) => attempt.childRun === child) === true
    const isOfItem = [...(items?.values() ?? [])].some((item) => item.childRun === child)
    if (!isOfStep && !isOfItem) this.#blame(known, `child ${this.ledger.nameOf(child)} was created by no row`)
  }

  #checkEnd(known: KnownRun): void {
    const { run } = known.journal
    this.tally.add(
      run.status === "completed" ? "run completed" : run.status === "failed" ? "run failed" : "run ended cancelled"
    )
    for (const row of known.live.values()) {
      if (!isTerminal(row.status)) this.#blame(known, `it is ${run.status}, and ${row.path} is ${row.status}`)
    }
    for (const child of known.children) {
      const status = this.ledger.get(child)?.journal.run.status ?? "completed"
      if (!isEnded(status) && status !== "needs_resume") {
        this.#blame(known, `it is ${run.status}, and its child ${this.ledger.nameOf(child)} is ${status}`)
      }
    }
    if (run.startedAt === null) return
    if (!known.live.has(bodyPath)) this.#blame(known, "it ended without a row for its body")
    if (!this.hasAlways(known)) return
    this.tally.add("always block run")
    if (!known.live.has(alwaysPath)) this.#blame(known, "it ended without its always block")
  }
}

const isSame = (one: GateAnswer, other: GateAnswer): boolean => JSON.stringify(one) === JSON.stringify(other)
