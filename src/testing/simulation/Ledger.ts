/**
 * What a simulation knows of the runs in the store: the fold of all writes that the store accepted, kept beside the
 * store as they were made, with what became of each message.
 */
import { type Change, emptyJournal, apply, type RunJournal } from "../../persistence/Journal.ts"
import {
  type GateAnswer,
  type InboxMessage,
  type RunId,
  type RunRecord,
  stepKey,
  type StepPath,
  type StepRecord
} from "../../persistence/Records.ts"

/** A run as the store holds it. */
export interface KnownRun {
  /** `run 1`, `run 1.2` for its second child: ids differ in nothing that a reader could tell. */
  readonly name: string
  readonly journal: RunJournal
  /** Rows that are part of the journal, by path. */
  readonly live: Map<StepPath, StepRecord>
  readonly children: Array<RunId>
  /** Answers that the store accepted, by `stepKey`. */
  readonly answers: Map<string, ReadonlyArray<GateAnswer>>
  /** Messages from outside that have not been consumed, by id. */
  readonly messages: Map<number, InboxMessage>
}

export class Ledger {
  readonly runs = new Map<string, KnownRun>()
  #roots = 0

  get(run: string): KnownRun | undefined {
    return this.runs.get(run)
  }

  nameOf(run: string): string {
    return this.runs.get(run)?.name ?? run
  }

  /** The root run that was started with a key. */
  findRoot(idempotencyKey: string): KnownRun | undefined {
    for (const known of this.runs.values()) {
      const { run } = known.journal
      if (run.parent === null && run.idempotencyKey === idempotencyKey) return known
    }
    return undefined
  }

  create(run: RunRecord): void {
    if (this.runs.has(run.id)) return
    const parent = run.parent === null ? undefined : this.runs.get(run.parent.run)
    if (parent === undefined) this.#roots += 1
    else parent.children.push(run.id)
    const name = parent === undefined ? `run ${this.#roots}` : `${parent.name}.${parent.children.length}`
    this.runs.set(run.id, {
      name,
      journal: emptyJournal(run),
      live: new Map(),
      children: [],
      answers: new Map(),
      messages: new Map()
    })
  }

  /** Applies what was committed (or reopened). */
  apply(known: KnownRun, changes: ReadonlyArray<Change>): void {
    for (const change of changes) {
      apply(known.journal, change)
      if (change._tag === "Step") index(known, change.step)
      if (change._tag === "Consume") for (const id of change.ids) known.messages.delete(id)
      if (change._tag === "Create" || change._tag === "Continue") this.create(change.run)
    }
  }

  patch(known: KnownRun, patch: Partial<RunRecord>): void {
    known.journal.run = { ...known.journal.run, ...patch }
  }

  sent(known: KnownRun, id: number, message: InboxMessage): void {
    known.messages.set(id, message)
    if (message._tag !== "Answer") return
    const row = known.live.get(message.path)
    if (row === undefined) return
    const key = stepKey(row)
    known.answers.set(key, [...(known.answers.get(key) ?? []), message.answer])
  }
}

const index = (known: KnownRun, step: StepRecord): void => {
  if (!step.superseded) known.live.set(step.path, step)
  else if (known.live.get(step.path)?.epoch === step.epoch) known.live.delete(step.path)
}
