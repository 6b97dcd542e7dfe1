/**
 * Opening an ended or parked run again (spec/engine.md, "Records"; design.md).
 *
 * - R1 A new epoch supersedes rows, it deletes none: they stay listed.
 * - R2 Which rows: `Selection`.
 * - R3 What was taken back is not kept: a compensated run is only done again as a whole. One whose compensation failed
 *   goes on with what could not be taken back.
 * - R4 Messages to the epoch that ended do not count for the new one; signals, which may come early, are kept. The time
 *   of a body that is done again begins when it is opened.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Change, RunJournal } from "../persistence/Journal.ts"
import type {
  Claim,
  PersistenceError,
  PersistenceService,
  RunAlreadyOwned,
  RunNotFound,
  SeqConflict
} from "../persistence/Persistence.ts"
import type { EngineId, ItemRecord, RunId, StepRecord } from "../persistence/Records.ts"
import { blankStep, isEnded, noResult, noTotals, RunId as RunIdSchema } from "../persistence/Records.ts"
import { bodyPath, compensationPath, deadlinePath, isOfCompensation, undo } from "./Phases.ts"
import { firstStep, liveSteps, type ReopenMode, Selection, type StepNotFound } from "./Selection.ts"

export { type ReopenMode, StepNotFound } from "./Selection.ts"

/** A plain resume of a run that has nothing to do again, or of one that has not ended. */
export class RunNotEnded extends Schema.TaggedError<RunNotEnded>()("RunNotEnded", {
  run: RunIdSchema,
  status: Schema.String
}) {
  override get message() {
    return `run ${this.run} has not ended: it is ${this.status}`
  }
}

/** What the run had done was taken back (R3). */
export class RunCompensated extends Schema.TaggedError<RunCompensated>()("RunCompensated", { run: RunIdSchema }) {
  override get message() {
    return `what run ${this.run} did was compensated: it can only be run again as a whole`
  }
}

/** The run goes on as another one. */
export class RunContinued extends Schema.TaggedError<RunContinued>()("RunContinued", {
  run: RunIdSchema,
  as: RunIdSchema
}) {
  override get message() {
    return `run ${this.run} continued as run ${this.as}`
  }
}

export type ReopenError =
  | RunNotFound
  | RunNotEnded
  | RunCompensated
  | RunContinued
  | StepNotFound
  | SeqConflict
  | RunAlreadyOwned
  | PersistenceError

/** Opens a run again for an engine, which then owns it. */
export const reopen = (
  persistence: PersistenceService,
  engine: EngineId,
  run: RunId,
  mode: ReopenMode
): Effect.Effect<Claim, ReopenError> =>
  Effect.gen(function* () {
    const { inbox, journal } = yield* persistence.load(run)
    const { status, seq, epoch, continuedAs } = journal.run
    if (!isEnded(status)) return yield* new RunNotEnded({ run, status })
    if (continuedAs !== null) return yield* new RunContinued({ run, as: continuedAs })
    const live = liveSteps(journal)
    const isUndoing = mode._tag === "Failed" && isUndoneInPart(live)
    if (mode._tag !== "Restart" && !isUndoing && live.some(isUndone)) return yield* new RunCompensated({ run })
    const first = mode._tag === "From" ? yield* firstStep(journal, mode.step) : undefined
    const selection = new Selection(isUndoing ? live.filter(isOfUndoing) : live, mode, first)
    const superseded = selection.steps
    const paths = new Set(superseded.map((step) => step.path))
    const changes: Array<Change> = superseded.map((step) => ({ _tag: "Step", step: { ...step, superseded: true } }))
    for (const item of itemsOf(journal)) {
      if (paths.has(item.path)) changes.push({ _tag: "Item", item: openItem(item, mode) })
    }
    const ended = {
      status: "running",
      endedAt: null,
      error: null,
      // A cancelled run that is still to be taken back stays one.
      cancelReason: isUndoing ? journal.run.cancelReason : null,
      summary: null,
      result: null
    } as const
    // What a child's parent has been told of is in the parent's sums already.
    const totals = journal.run.depth > 0 ? noTotals : journal.run.totals
    changes.push({ _tag: "Run", patch: { ...ended, totals, epoch: epoch + 1, blockedOn: [] } })
    const over = inbox.filter(({ message }) => message._tag !== "Signal")
    if (over.length > 0) changes.push({ _tag: "Consume", ids: over.map(({ id }) => id) })
    if (!isUndoing) changes.push(...deadlineRow(journal, epoch + 1, yield* Clock.currentTimeMillis))
    return yield* persistence.reopen({ run, engine, expectedSeq: seq, changes })
  })

/** R4, of a run with a timeout. */
const deadlineRow = ({ run, steps }: RunJournal, epoch: number, now: number): ReadonlyArray<Change> => {
  const { runTimeout } = run.settings
  if (runTimeout === null) return []
  const last = [...steps.values()].reduce((last, step) => Math.max(last, step.position), 0)
  const row: StepRecord = {
    ...blankStep,
    path: deadlinePath,
    epoch,
    kind: "phase",
    name: "deadline",
    position: Math.floor(last) + 1,
    status: "completed",
    superseded: false,
    startedAt: now,
    endedAt: now,
    attempts: [],
    result: noResult,
    value: now + runTimeout,
    idempotencyKey: `${run.id}${deadlinePath}#${epoch}`
  }
  return [{ _tag: "Step", step: row }]
}

/** Opens a failed run for what failed; one that was compensated as a whole. */
export const reopenFailed = (persistence: PersistenceService, engine: EngineId, run: RunId) =>
  Effect.suspend(() =>
    Effect.catchTag(reopen(persistence, engine, run, { _tag: "Failed" }), "RunCompensated", () =>
      reopen(persistence, engine, run, { _tag: "Restart" })
    )
  )

/** A compensation that took something back. */
export const isUndone = ({ kind, name, path, status }: StepRecord): boolean =>
  kind === "block" && name === undo && status === "completed" && isOfCompensation(path)

const isUndoneInPart = (live: ReadonlyArray<StepRecord>): boolean =>
  live.some(({ path, status }) => path === compensationPath && status === "failed")

/** What a compensation that goes on may do again: the body and its outcome stand. */
const isOfUndoing = ({ kind, path }: StepRecord): boolean =>
  isOfCompensation(path) || (kind === "phase" && path !== bodyPath)

const itemsOf = (journal: RunJournal): ReadonlyArray<ItemRecord> =>
  [...journal.items.values()].flatMap((items) => [...items.values()])

/** Completed items are kept; failed and cancelled ones go on in their child run, opened again. */
const openItem = (item: ItemRecord, mode: ReopenMode): ItemRecord => {
  const open = { ...item, status: "pending", error: null, output: null, completedAt: null, dispatchedAt: null } as const
  if (mode._tag !== "Failed") return { ...open, childRun: null, childEpoch: 1 }
  switch (item.status) {
    case "completed":
      return item
    case "failed":
    case "cancelled":
      return { ...open, childRun: item.childRun, childEpoch: item.childEpoch + 1 }
    default:
      return { ...open, childRun: item.childRun }
  }
}
