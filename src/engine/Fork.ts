/**
 * A fork: a new run from what another one has done before a step (spec/engine.md, "Records").
 *
 * - V1 The other run, whatever its state, is only read. What stands in front of the step in the program's order and has
 *   ended is kept: it is copied, with the child runs below it, so that the fork outlives the other run.
 * - V2 The step and all that follows it, and what had not ended, is done by the fork; so are the end and always.
 * - V3 A fork is made in one write, with keys of its own.
 * - V4 What a kept step did is the fork's too, to be taken back if the fork fails: where the other run has taken it back,
 *   or is about to, it cannot be kept.
 * - V5 A body finds in a fork the time and the chance that it had in the other run: it is replayed over what it did then.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { RunJournal } from "../persistence/Journal.ts"
import type { PersistenceError, PersistenceService, RunNotFound, RunRows } from "../persistence/Persistence.ts"
import type { ItemRecord, RunContinues, RunRecord, StepRecord, Totals } from "../persistence/Records.ts"
import { blankStep, isEnded, isTerminal, noResult, noTotals, type RunId, StepPath } from "../persistence/Records.ts"
import { newRun } from "./NewRun.ts"
import { bodyOf, type Origin, originOf } from "./Origin.ts"
import { bodyPath, compensationPath, forkPath, isOfBody, undo } from "./Phases.ts"
import { isUndone, RunCompensated } from "./Reopen.ts"
import { firstStep, liveSteps, Selection, type StepNotFound } from "./Selection.ts"
import * as RunTotals from "./Totals.ts"

export interface ForkOptions {
  /** A step of the other run: its path, or a name that only one step has. */
  readonly fromStep: string
}

export type ForkError = RunNotFound | StepNotFound | RunCompensated | PersistenceError

/** A run with its rows, and the runs below it. */
export type Tree = readonly [root: RunRows, ...below: ReadonlyArray<RunRows>]

/** The fork of a run, to be created. */
export const forkOf = (
  persistence: PersistenceService,
  run: RunId,
  { fromStep }: ForkOptions,
  newId: Effect.Effect<RunId>
): Effect.Effect<Tree, ForkError> =>
  Effect.gen(function* () {
    const { journal } = yield* persistence.load(run)
    const { run: other } = journal
    const first = yield* firstStep(journal, fromStep)
    const live = liveSteps(journal)
    const again = new Set(new Selection(live, { _tag: "From", step: fromStep }, first).steps)
    const steps = live.filter((step) => !again.has(step) && isTerminal(step.status) && step.path !== forkPath)
    if (isTakenBack(live, steps)) return yield* new RunCompensated({ run })
    const items = steps.flatMap(({ path }) => [...(journal.items.get(path)?.values() ?? [])])
    const copy = new TreeCopy(persistence, newId)
    const now = yield* Clock.currentTimeMillis
    const fork = newRun({
      id: yield* newId,
      workflow: other.workflow,
      title: other.title,
      definition: other.definition,
      settings: other.settings,
      createdAt: now,
      dryRun: other.dryRun,
      trigger: other.trigger,
      inputs: other.inputs,
      payload: other.payload ?? null,
      target: other.target,
      epoch: other.epoch + 1
    })
    const rows = yield* copy.rows({ run: other, steps, items }, fork)
    const totals = sumOf(
      steps,
      copy.below.filter(({ run }) => run.parent?.run === fork.id)
    )
    const origin = originRow(
      fork,
      { run: other.id, path: first.path, body: bodyOf(other, originOf(live)), again: againIn(journal, steps) },
      now
    )
    return [{ ...rows, run: { ...fork, totals }, steps: [origin, ...rows.steps] }, ...copy.below]
  })

/** The place of the first row that is done again, in the fork or in the other run before it. */
const againIn = ({ steps }: RunJournal, kept: ReadonlyArray<StepRecord>): number => {
  const isKept = new Set(kept)
  const again = [...steps.values()].filter((step) => !isKept.has(step) && step.path !== forkPath)
  const places = again.map(({ position }) => position)
  return Math.min(originOf(steps.values())?.again ?? Number.MAX_VALUE, ...places)
}

/** V4 */
const isTakenBack = (live: ReadonlyArray<StepRecord>, kept: ReadonlyArray<StepRecord>): boolean => {
  const undone = new Set(live.filter(isUndone).map(({ path }) => path))
  const body = live.find(({ path }) => path === bodyPath)
  const isCompensated = live.some(({ path }) => path === compensationPath)
  const isToBeUndone = body !== undefined && body.status !== "completed" && !isCompensated
  const undoOf = (path: StepPath) => StepPath.make(`${compensationPath}${path}`)
  return kept.some((step) => isUndo(step) && (isToBeUndone || undone.has(undoOf(step.path))))
}

/** What is to be taken back if the run fails. */
const isUndo = ({ kind, name, path }: StepRecord): boolean => kind === "value" && name === undo && isOfBody(path)

/** Says where a fork comes from. */
const originRow = (fork: RunRecord, origin: Origin, now: number): StepRecord => ({
  ...blankStep,
  path: forkPath,
  epoch: fork.epoch,
  kind: "phase",
  name: "fork",
  position: 0,
  status: "completed",
  superseded: false,
  startedAt: now,
  endedAt: now,
  attempts: [],
  result: noResult,
  value: origin,
  idempotencyKey: `${fork.id}${forkPath}`
})

const sumOf = (steps: ReadonlyArray<StepRecord>, children: ReadonlyArray<RunRows>): Totals => {
  const own = steps.reduce(
    (sum, { result }) => RunTotals.addPartial(sum, RunTotals.ofMetadata(result.metadata).totals),
    noTotals
  )
  return children.reduce((sum, { run }) => RunTotals.add(sum, run.totals), own)
}

/** Copies runs that have ended, with all below them, under new ids. */
class TreeCopy {
  readonly below: Array<RunRows> = []
  /** Ids of what has been copied, by those of the originals. */
  readonly #copies = new Map<RunId, RunId>()

  constructor(
    private readonly persistence: PersistenceService,
    private readonly newId: Effect.Effect<RunId>
  ) {}

  /** The rows of a run as those of its copy, whose children are copied with them. */
  rows(from: RunRows, to: RunRecord): Effect.Effect<RunRows, PersistenceError> {
    return Effect.gen(this, function* () {
      for (const child of childrenOf(from)) yield* this.#child(child, from.run, to)
      const steps = from.steps.map((step) => copyStep(step, from.run, to, this.#copies))
      return { run: to, steps, items: from.items.map((item) => copyItem(item, this.#copies)) }
    })
  }

  /** Makes no copy of a child that lives elsewhere, was deleted, or has not ended. Gives the copy's id. */
  #child(child: RunId, parent: RunRecord, to: RunRecord): Effect.Effect<RunId | undefined, PersistenceError> {
    return Effect.gen(this, function* () {
      const known = this.#copies.get(child)
      if (known !== undefined) return known
      const { journal } = yield* this.persistence.load(child)
      const { run } = journal
      if (run.parent?.run !== parent.id || !isEnded(run.status)) return undefined
      const continues = yield* this.#continued(run, parent, to)
      // The run that it continues has brought it along.
      const brought = this.#copies.get(child)
      if (brought !== undefined) return brought
      const id = yield* this.newId
      this.#copies.set(child, id)
      const next = run.continuedAs === null ? undefined : yield* this.#child(run.continuedAs, parent, to)
      const copy: RunRecord = {
        ...run,
        id,
        parent: { run: to.id, path: run.parent.path },
        root: to.root,
        depth: to.depth + 1,
        idempotencyKey: run.idempotencyKey === null ? null : rekeyed(run.idempotencyKey, parent, to),
        readyAt: null,
        continues,
        continuedAs: next ?? null
      }
      const items = [...journal.items.values()].flatMap((items) => [...items.values()])
      this.below.push(yield* this.rows({ run, steps: [...journal.steps.values()], items }, copy))
      return id
    }).pipe(Effect.catchTag("RunNotFound", () => Effect.succeed(undefined)))
  }

  /** What a copy continues: the copies of the runs before it in its chain. */
  #continued(run: RunRecord, parent: RunRecord, to: RunRecord): Effect.Effect<RunContinues | null, PersistenceError> {
    const { continues } = run
    if (continues === null) return Effect.succeed(null)
    return Effect.map(this.#child(continues.previous, parent, to), (previous) => {
      const first = this.#copies.get(continues.first) ?? previous
      return previous === undefined || first === undefined ? null : { ...continues, first, previous }
    })
  }
}

const childrenOf = ({ steps, items }: RunRows): ReadonlySet<RunId> => {
  const ofSteps = steps.flatMap(({ attempts, childRun }) => [childRun, ...attempts.map((attempt) => attempt.childRun)])
  return new Set([...ofSteps, ...items.map(({ childRun }) => childRun)].filter((child) => child !== null))
}

type Copies = ReadonlyMap<RunId, RunId>

/** A child that was not copied is named by what completed; anything else starts another when it is done again. */
const refer = (child: RunId | null, copies: Copies, isDone: boolean): RunId | null =>
  child === null ? null : (copies.get(child) ?? (isDone ? child : null))

const copyStep = (step: StepRecord, from: RunRecord, to: RunRecord, copies: Copies): StepRecord => {
  const isDone = step.status === "completed" || step.status === "skipped"
  return {
    ...step,
    childRun: refer(step.childRun, copies, isDone),
    attempts: step.attempts.map((attempt) => ({ ...attempt, childRun: refer(attempt.childRun, copies, isDone) })),
    idempotencyKey: rekeyed(step.idempotencyKey, from, to)
  }
}

const copyItem = (item: ItemRecord, copies: Copies): ItemRecord => ({
  ...item,
  childRun: refer(item.childRun, copies, item.status === "completed")
})

/** Keys begin with the id of the run that they belong to. */
const rekeyed = (key: string, from: RunRecord, to: RunRecord): string =>
  key.startsWith(from.id) ? `${to.id}${key.slice(from.id.length)}` : key
