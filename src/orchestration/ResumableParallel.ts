/**
 * `parallel` that a crash interrupts only (spec/orchestration.md, "resumable parallel").
 *
 * - R1 A journaled step is not run again; one that failed is.
 * - R2 A journal that is in doubt is refused before anything is started, unless the caller asks for a rerun.
 * - R3 Trouble with writing or removing the journal is told (`StorageTrouble`) and never fails the run.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { thrownText } from "../action/UserFunction.ts"
import type { PersistenceError } from "../persistence/Persistence.ts"
import {
  decode,
  encode,
  encodeStep,
  type JournaledStep,
  journaledStep,
  type JournalRefused,
  MismatchedJournal,
  mismatches,
  UnreadableJournal
} from "./Journal.ts"
import { forEachStep } from "./Parallel.ts"
import { storageTrouble, within } from "./Program.ts"
import { JournalStore, type JournalStoreService } from "./JournalStore.ts"
import { runStep } from "./RunStep.ts"
import { type DuplicateTaskId, requireDistinct, type StepOutcome, type StepSpec } from "./Step.ts"
import type { StepExecutor } from "./StepExecutor.ts"

export interface ResumableOptions {
  /** What becomes of a journal that cannot be read, is newer, or does not fit the specs; default `refuse`. */
  readonly onUnreadable?: "refuse" | "rerun"
}

/**
 * Like `parallel`, keeping each successful step in a journal under the workflow id as it completes, so that a call with
 * the same id, in this process or another, with this executor or another, goes on from there. The journal is removed
 * when all steps succeeded. Journaled steps that are not among the specs are ignored. One call at a time may use an id.
 */
export const resumableParallel = (
  specs: ReadonlyArray<StepSpec>,
  workflowId: string,
  options: ResumableOptions = {}
): Effect.Effect<ReadonlyArray<StepOutcome>, DuplicateTaskId | JournalRefused, StepExecutor | JournalStore> => {
  const all = Effect.gen(function* () {
    yield* requireDistinct(specs)
    const store = yield* JournalStore
    const known = yield* knownSteps(store, specs, workflowId, options)
    const recorder = yield* makeRecorder(store, workflowId, known)
    const outcomes = yield* forEachStep(specs, (spec) => {
      const step = known.get(spec.taskId)
      return step === undefined
        ? runStep(spec, (outcome) => recorder.record(spec, outcome))
        : Effect.succeed(step.outcome)
    })
    if (outcomes.every(({ success }) => success)) yield* removeJournal(store, workflowId)
    return outcomes
  })
  return within("resumable", all).pipe(
    Effect.withSpan("orchestration.resumableParallel", { attributes: { steps: specs.length, workflowId } })
  )
}

type Known = ReadonlyMap<string, JournaledStep>

const none: Known = new Map()

const knownSteps = (
  store: JournalStoreService,
  specs: ReadonlyArray<StepSpec>,
  workflowId: string,
  options: ResumableOptions
): Effect.Effect<Known, JournalRefused> => {
  const fitting = Effect.flatMap(readJournal(store, workflowId), (known) => {
    const taskIds = mismatches(known, specs)
    return taskIds.length === 0 ? Effect.succeed(known) : Effect.fail(new MismatchedJournal({ workflowId, taskIds }))
  })
  if (options.onUnreadable !== "rerun") return fitting
  return Effect.catchAll(fitting, (refused) => Effect.as(storageTrouble(`${refused.message}; all runs again`), none))
}

const readJournal = (store: JournalStoreService, workflowId: string): Effect.Effect<Known, JournalRefused> =>
  store.load(workflowId).pipe(
    // A store is the host's: one that dies cannot be read either.
    Effect.catchAllCause((cause) => Effect.fail(new UnreadableJournal({ workflowId, reason: reasonOf(cause) }))),
    Effect.flatMap(Option.match({ onNone: () => Effect.succeed(none), onSome: (text) => decode(workflowId, text) }))
  )

const reasonOf = (cause: Cause.Cause<unknown>): string => thrownText(Cause.squash(cause)) ?? "the store died"

/** R3: whatever the store does, the run goes on. */
const orTrouble = (what: string, effect: Effect.Effect<void, unknown>): Effect.Effect<void> =>
  Effect.catchAllCause(effect, (cause) => storageTrouble(`${what}: ${reasonOf(cause)}`))

const removeJournal = (store: JournalStoreService, workflowId: string) =>
  orTrouble(`the journal of '${workflowId}' was not removed`, store.remove(workflowId))

const makeRecorder = (store: JournalStoreService, workflowId: string, known: Known) =>
  Effect.map(Effect.makeSemaphore(1), (lock) => new Recorder(store, workflowId, known, lock))

/** Writes the journal, one write at a time; a step whose end an earlier write already carried needs none of its own. */
class Recorder {
  readonly #steps: Map<string, string>
  #recorded = 0
  #saved = 0

  constructor(
    private readonly store: JournalStoreService,
    private readonly workflowId: string,
    known: Known,
    private readonly lock: Effect.Semaphore
  ) {
    this.#steps = new Map([...known].map(([taskId, step]) => [taskId, encodeStep(step)]))
  }

  readonly record = (spec: StepSpec, outcome: StepOutcome): Effect.Effect<void> => {
    if (!outcome.success) return Effect.void
    const write = Effect.suspend(() => {
      this.#steps.set(spec.taskId, encodeStep(journaledStep(spec, outcome)))
      const last = ++this.#recorded
      return this.lock.withPermits(1)(Effect.suspend(() => (this.#saved >= last ? Effect.void : this.#save())))
    })
    return orTrouble(`step '${spec.taskId}' was not journaled under '${this.workflowId}'`, write)
  }

  #save(): Effect.Effect<void, PersistenceError> {
    const last = this.#recorded
    return Effect.map(this.store.save(this.workflowId, encode(this.workflowId, this.#steps.values())), () => {
      this.#saved = last
    })
  }
}
