/**
 * Which rows of a run are done again (spec/engine.md, "Records"): in place, or in a fork.
 *
 * - R2 Rows that stay are what a replay returns; everything that could depend on a superseded row and is a decision is
 *   superseded with it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RunJournal } from "../persistence/Journal.ts"
import type { StepRecord } from "../persistence/Records.ts"
import { isUserStep, RunId } from "../persistence/Records.ts"
import { nearest } from "../workflow/Suggest.ts"
import { forkPath } from "./Phases.ts"

/** From where a run is done again. */
export type ReopenMode =
  /** What failed, timed out or was cancelled. */
  | { readonly _tag: "Failed" }
  /** A step, by path or by a name that only one step has, and all behind it. */
  | { readonly _tag: "From"; readonly step: string }
  /** Every step. */
  | { readonly _tag: "Restart" }

/** `--from-step` names no step, or several. */
export class StepNotFound extends Schema.TaggedError<StepNotFound>()("StepNotFound", {
  run: RunId,
  step: Schema.String,
  /** Paths, of a name that several steps have. */
  candidates: Schema.Array(Schema.String),
  /** A name or path that may have been meant. */
  nearest: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const { candidates, nearest, run, step } = this
    if (candidates.length > 0) return `run ${run} has several steps '${step}': ${candidates.join(", ")}`
    return `run ${run} has no step '${step}'${nearest === null ? "" : `; did you mean '${nearest}'?`}`
  }
}

/** The rows that a replay would read, in the program's order. */
export const liveSteps = (journal: RunJournal): ReadonlyArray<StepRecord> =>
  [...journal.steps.values()].filter((step) => !step.superseded).sort((a, b) => a.position - b.position)

/** The step that a user names, by path or by a name that only one step has. */
export const firstStep = (journal: RunJournal, wanted: string): Effect.Effect<StepRecord, StepNotFound> => {
  const steps = liveSteps(journal).filter((step) => isUserStep(step.kind))
  const byPath = steps.find((step) => step.path === wanted)
  if (byPath !== undefined) return Effect.succeed(byPath)
  const byName = steps.filter((step) => step.name === wanted || step.name.endsWith(`:${wanted}`))
  const [only] = byName
  if (only !== undefined && byName.length === 1) return Effect.succeed(only)
  const candidates = byName.map((step) => step.path)
  const names = new Set(steps.flatMap(({ name, path }) => [name, name.slice(name.indexOf(":") + 1), path]))
  const close = candidates.length > 0 ? undefined : nearest(wanted, names)
  return Effect.fail(new StepNotFound({ run: journal.run.id, step: wanted, candidates, nearest: close ?? null }))
}

/** Which rows are superseded. */
export class Selection {
  readonly #endedBlocks: ReadonlyArray<StepRecord>
  readonly #succeededBlocks: ReadonlyArray<StepRecord>
  /** Paths of the steps that did not end well, and are done again. */
  readonly #failed: ReadonlySet<string>
  readonly #firstFailure: number
  /** Paths around the first step and all behind it: a block there is no longer over. */
  readonly #around = new Set<string>()

  constructor(
    private readonly live: ReadonlyArray<StepRecord>,
    private readonly mode: ReopenMode,
    private readonly first: StepRecord | undefined
  ) {
    this.#endedBlocks = live.filter(
      (step) => isBlock(step) && (step.status === "completed" || step.status === "failed")
    )
    this.#succeededBlocks = this.#endedBlocks.filter((step) => step.kind === "block" && step.status === "completed")
    const failed = live.filter((step) => isUnfinished(step) && !this.#isInsideSucceeded(step))
    this.#failed = new Set(failed.map((step) => step.path))
    this.#firstFailure = failed[0]?.position ?? Number.POSITIVE_INFINITY
    for (const { path } of first === undefined ? [] : live.filter((step) => step.position >= first.position)) {
      for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1))
        this.#around.add(path.slice(0, at))
    }
  }

  get steps(): ReadonlyArray<StepRecord> {
    return this.live.filter((step) => this.#isDoneAgain(step))
  }

  #isDoneAgain(step: StepRecord): boolean {
    // Where a fork comes from is no phase of its own.
    if (step.path === forkPath) return this.mode._tag === "Restart"
    // The end is decided anew, and always runs again for it.
    if (step.kind === "phase" || step.path.startsWith("/@always/")) return true
    switch (this.mode._tag) {
      case "Restart":
        return true
      case "From":
        return this.first !== undefined && (this.#isFrom(step, this.first) || this.#isCutShort(step, this.first))
      case "Failed":
        return this.#failed.has(step.path) || this.#isOfFailure(step) || this.#isDecidedAfterFailure(step)
    }
  }

  #isInsideSucceeded(step: StepRecord): boolean {
    return this.#succeededBlocks.some((block) => step.path.startsWith(`${block.path}/`))
  }

  /** The step itself, all behind it, and the blocks around those. */
  #isFrom(step: StepRecord, first: StepRecord): boolean {
    return step.position >= first.position || (isBlock(step) && this.#around.has(step.path))
  }

  /** Cancelled with the run, before it was done: not by a block that has ended, and that is kept. */
  #isCutShort(step: StepRecord, first: StepRecord): boolean {
    if (step.status !== "cancelled") return false
    const isKept = (block: StepRecord) => step.path.startsWith(`${block.path}/`) && !this.#isFrom(block, first)
    return !this.#endedBlocks.some(isKept)
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

const isBlock = ({ kind }: StepRecord): boolean => kind === "block" || kind === "loop" || kind === "pipeline"

/** A gate that timed out and let the run go on has no error: it is kept. */
const isUnfinished = (step: StepRecord): boolean =>
  step.status !== "completed" &&
  step.status !== "skipped" &&
  !(step.kind === "gate" && step.status === "timed_out" && step.error === null)
