/**
 * Opening an ended or parked run again (spec/engine.md, "Records"; design.md).
 *
 * - R1 A new epoch supersedes rows, it deletes none: they stay listed.
 * - R2 Rows that stay are what a replay returns; everything that could depend on a superseded row and is a decision is
 *   superseded with it.
 * - R3 What was taken back is not kept: a compensated run is only done again as a whole. One whose compensation failed
 *   goes on with what could not be taken back.
 * - R4 Messages to the epoch that ended do not count for the new one; signals, which may come early, are kept.
 */
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
import { bodyPath, compensationPath, isOfCompensation, undo } from "./Phases.ts"
import { isEnded, isUserStep, noTotals, RunId as RunIdSchema } from "../persistence/Records.ts"

/** From where a run is done again. */
export type ReopenMode =
  /** What failed, timed out or was cancelled. */
  | { readonly _tag: "Failed" }
  /** A step, by path or by a name that only one step has, and all behind it. */
  | { readonly _tag: "From"; readonly step: string }
  /** Every step. */
  | { readonly _tag: "Restart" }

/** A plain resume of a run that has nothing to do again, or of one that has not ended. */
export class RunNotEnded extends Schema.TaggedError<RunNotEnded>()("RunNotEnded", {
  run: RunIdSchema,
  status: Schema.String
}) {
  override get message() {
    return `run ${this.run} has not ended: it is ${this.status}`
  }
}

/** `--from-step` names no step, or several. */
export class StepNotFound extends Schema.TaggedError<StepNotFound>()("StepNotFound", {
  run: RunIdSchema,
  step: Schema.String,
  candidates: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.candidates.length === 0
      ? `run ${this.run} has no step '${this.step}'`
      : `run ${this.run} has several steps '${this.step}': ${this.candidates.join(", ")}`
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
    return yield* persistence.reopen({ run, engine, expectedSeq: seq, changes })
  })

/** Opens a failed run for what failed; one that was compensated as a whole. */
export const reopenFailed = (persistence: PersistenceService, engine: EngineId, run: RunId) =>
  Effect.suspend(() =>
    Effect.catchTag(reopen(persistence, engine, run, { _tag: "Failed" }), "RunCompensated", () =>
      reopen(persistence, engine, run, { _tag: "Restart" })
    )
  )

/** A compensation that took something back. */
const isUndone = ({ kind, name, path, status }: StepRecord): boolean =>
  kind === "block" && name === undo && status === "completed" && isOfCompensation(path)

const isUndoneInPart = (live: ReadonlyArray<StepRecord>): boolean =>
  live.some(({ path, status }) => path === compensationPath && status === "failed")

/** What a compensation that goes on may do again: the body and its outcome stand. */
const isOfUndoing = ({ kind, path }: StepRecord): boolean =>
  isOfCompensation(path) || (kind === "phase" && path !== bodyPath)

const liveSteps = (journal: RunJournal): ReadonlyArray<StepRecord> =>
  [...journal.steps.values()].filter((step) => !step.superseded).sort((a, b) => a.position - b.position)

const itemsOf = (journal: RunJournal): ReadonlyArray<ItemRecord> =>
  [...journal.items.values()].flatMap((items) => [...items.values()])

const firstStep = (journal: RunJournal, wanted: string): Effect.Effect<StepRecord, StepNotFound> => {
  const steps = liveSteps(journal).filter((step) => isUserStep(step.kind))
  const byPath = steps.find((step) => step.path === wanted)
  if (byPath !== undefined) return Effect.succeed(byPath)
  const byName = steps.filter((step) => step.name === wanted || step.name.endsWith(`:${wanted}`))
  const [only] = byName
  if (only !== undefined && byName.length === 1) return Effect.succeed(only)
  return Effect.fail(
    new StepNotFound({ run: journal.run.id, step: wanted, candidates: byName.map((step) => step.path) })
  )
}

/** Which rows are superseded. */
class Selection {
  readonly #succeededBlocks: ReadonlyArray<StepRecord>
  /** Paths of the steps that did not end well, and are done again. */
  readonly #failed: ReadonlySet<string>
  readonly #firstFailure: number

  constructor(
    private readonly live: ReadonlyArray<StepRecord>,
    private readonly mode: ReopenMode,
    private readonly first: StepRecord | undefined
  ) {
    this.#succeededBlocks = live.filter((step) => step.kind === "block" && step.status === "completed")
    const failed = live.filter((step) => isUnfinished(step) && !this.#isInsideSucceeded(step))
    this.#failed = new Set(failed.map((step) => step.path))
    this.#firstFailure = failed[0]?.position ?? Number.POSITIVE_INFINITY
  }

  get steps(): ReadonlyArray<StepRecord> {
    return this.live.filter((step) => this.#isDoneAgain(step))
  }

  #isDoneAgain(step: StepRecord): boolean {
    // The end is decided anew, and always runs again for it.
    if (step.kind === "phase" || step.path.startsWith("/@always/")) return true
    switch (this.mode._tag) {
      case "Restart":
        return true
      case "From":
        return this.first !== undefined && isFrom(step, this.first)
      case "Failed":
        return this.#failed.has(step.path) || this.#isOfFailure(step) || this.#isDecidedAfterFailure(step)
    }
  }

  #isInsideSucceeded(step: StepRecord): boolean {
    return this.#succeededBlocks.some((block) => step.path.startsWith(`${block.path}/`))
  }

  /** An on_fail action belongs to the step that failed. */
  #isOfFailure(step: StepRecord): boolean {
    return step.path.endsWith(onFail) && this.#failed.has(step.path.slice(0, -onFail.length))
  }

  /** Conditions and loop ends that were taken while a failure was known may be taken otherwise now. */
  #isDecidedAfterFailure(step: StepRecord): boolean {
    return (step.kind === "condition" || step.kind === "loop") && step.position > this.#firstFailure
  }
}

const onFail = "/on_fail"

/** The step itself, all behind it, and the blocks around it, which are no longer over. */
const isFrom = (step: StepRecord, first: StepRecord): boolean =>
  step.position >= first.position ||
  ((step.kind === "block" || step.kind === "loop" || step.kind === "pipeline") &&
    first.path.startsWith(`${step.path}/`))

/** A gate that timed out and let the run go on has no error: it is kept. */
const isUnfinished = (step: StepRecord): boolean =>
  step.status !== "completed" &&
  step.status !== "skipped" &&
  !(step.kind === "gate" && step.status === "timed_out" && step.error === null)

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
