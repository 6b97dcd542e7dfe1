/**
 * Concurrency in code workflows: each branch has a scope of its own, so that a replay finds what it journaled
 * (design.md, "Concurrency in code workflows").
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { Branch } from "../engine/Branch.ts"
import { forkJoin } from "../engine/ForkJoin.ts"
import { closeRows, endLeftovers } from "../engine/Leftovers.ts"
import { passedOver } from "../engine/RecordedRows.ts"
import { journaled, newRow } from "../engine/RunContext.ts"
import { describe, type StopReason } from "../engine/StopReason.ts"
import { isTerminal, type StepPath, type StepRecord } from "../persistence/Records.ts"
import { encodeKey } from "../workflow/StepNames.ts"
import { sleep } from "./Waits.ts"
import { asBranch, onBranch } from "./BodyServices.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

type Success<T> = T extends Effect.Effect<infer A, infer _E, infer _R> ? A : never
type Failure<T> = T extends Effect.Effect<infer _A, infer E, infer _R> ? E : never
type Needs<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/** Effects by key: a tuple or a record. */
export type Branches =
  | Readonly<Record<string, Effect.Effect<unknown, unknown, unknown>>>
  | ReadonlyArray<Effect.Effect<unknown, unknown, unknown>>

export interface AllOptions {
  /** Branches at work at once; default all. */
  readonly concurrency?: number
}

type Values<T extends Branches> = T[keyof T & (T extends ReadonlyArray<unknown> ? number : keyof T)]

/**
 * Runs branches side by side and gives their results under their keys. The first failure interrupts the others, and is
 * a row: a replay fails in the same way.
 */
export const all = <const T extends Branches>(
  branches: T,
  options: AllOptions = {}
): Effect.Effect<{ -readonly [K in keyof T]: Success<T[K]> }, Failure<Values<T>>, WorkflowRun | Needs<Values<T>>> => {
  const lanes = lanesOf(branches)
  const results = Effect.map(runBlock("all", lanes, options.concurrency), ({ exits }) => {
    const values = lanes.map(({ key }) => [key, successOf(exits.get(key))] as const)
    return Array.isArray(branches) ? values.map(([, value]) => value) : Object.fromEntries(values)
  })
  // SAFETY: one result a key, in the order of the keys; failures and requirements are the branches' own.
  return results as never
}

/**
 * Does the same for each item, side by side, and gives the results in the order of the items. A branch is named by its
 * item's key, so that items may come in another order after a restart; two items of one key are a defect.
 */
export const forEach = <A, B, E, R>(
  items: Iterable<A>,
  work: (item: A) => Effect.Effect<B, E, R>,
  options: AllOptions & { readonly key: (item: A) => string }
): Effect.Effect<ReadonlyArray<B>, E, WorkflowRun | R> => {
  const lanes = [...items].map((item) => ({ key: options.key(item), effect: work(item) }))
  const results = Effect.map(runBlock("forEach", lanes, options.concurrency), ({ exits }) =>
    lanes.map(({ key }) => successOf(exits.get(key)))
  )
  // SAFETY: a result for each item; failures and requirements are those of `work`.
  return results as Effect.Effect<ReadonlyArray<B>, E, WorkflowRun | R>
}

/** Branches end in any order: their results are asked for by key. */
const successOf = (exit: Exit.Exit<unknown, unknown> | undefined): unknown =>
  exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined

/** Runs branches side by side until the first ends, in whichever way; that one is a row, the others are interrupted. */
export const race = <const T extends Branches>(
  branches: T
): Effect.Effect<Success<Values<T>>, Failure<Values<T>>, WorkflowRun | Needs<Values<T>>> => {
  const winner = Effect.flatMap(runBlock("race", lanesOf(branches), undefined), ({ exits, decided }) => {
    const exit = decided === undefined ? undefined : exits.get(decided)
    return exit ?? Effect.dieMessage("a race without branches never ends")
  })
  // SAFETY: the winner is one of the branches.
  return winner as never
}

/** The work did not end within its time. */
export class WorkTimedOut extends Schema.TaggedError<WorkTimedOut>()("WorkTimedOut", {
  /** ms */
  duration: Schema.Number
}) {}

/** Interrupts the work when it has not ended within a time, which counts from the first execution, across restarts. */
export const timeout = <A, E, R>(
  work: Effect.Effect<A, E, R>,
  duration: Duration.DurationInput
): Effect.Effect<A, E | WorkTimedOut, WorkflowRun | R> => {
  const late = new WorkTimedOut({ duration: Duration.toMillis(duration) })
  return race({ work, timer: Effect.zipRight(sleep(duration), Effect.fail(late)) })
}

/** Runs each effect on a branch of its own; one that does not succeed disturbs no other. Their exits, by key. */
export const eachAlone = <A, E, R>(
  kind: "pipeline",
  lanes: ReadonlyArray<{ readonly key: string; readonly effect: Effect.Effect<A, E, R> }>,
  options: AllOptions
): Effect.Effect<ReadonlyMap<string, Exit.Exit<A, E>>, never, WorkflowRun | R> =>
  // SAFETY: the exits are those of the effects.
  Effect.map(runBlock(kind, lanes, options.concurrency), ({ exits }) => exits) as never

const lanesOf = (branches: Branches): ReadonlyArray<Omit<Lane, "branch">> =>
  Object.entries<Effect.Effect<unknown, unknown, unknown>>(branches).map(([key, effect]) => ({ key, effect }))

const runBlock = (
  kind: Block["kind"],
  lanes: ReadonlyArray<Omit<Lane, "branch">>,
  concurrency: number | undefined
): Effect.Effect<Ends, unknown, unknown> =>
  Effect.gen(function* () {
    const parent = yield* currentBranch(kind)
    const segment = parent.nextSegment(kind)
    const problem = problemOf(lanes, concurrency)
    if (problem !== undefined) return yield* Effect.dieMessage(`${kind} ${problem}`)
    const scope = parent.child(segment)
    const branches = lanes.map((lane) => ({ ...lane, branch: scope.child(encodeKey(lane.key)) }))
    return yield* new Block(kind, parent, parent.at(segment), branches, concurrency ?? lanes.length).run
  })

/** What is wrong with how a block is called, as the end of a sentence. */
const problemOf = (lanes: ReadonlyArray<{ readonly key: string }>, concurrency: number | undefined) => {
  const keys = new Set<string>()
  for (const { key } of lanes) {
    if (keys.has(key)) return `has two branches of one key, '${key}'`
    keys.add(key)
  }
  const isLimit =
    concurrency === undefined || concurrency === Infinity || (Number.isInteger(concurrency) && concurrency > 0)
  return isLimit ? undefined : `has \`concurrency: ${concurrency}\`, which has to be an integer of at least 1`
}

/** How the branches of a block ended, and which one decided its end before the others. */
interface Ends {
  readonly exits: ReadonlyMap<string, Exit.Exit<unknown, unknown>>
  readonly decided: string | undefined
}

interface Lane {
  readonly key: string
  readonly effect: Effect.Effect<unknown, unknown, unknown>
  readonly branch: Branch
}

class Block {
  readonly #exits = new Map<string, Exit.Exit<unknown, unknown>>()

  constructor(
    readonly kind: "all" | "forEach" | "race" | "pipeline",
    private readonly parent: Branch,
    private readonly path: StepPath,
    private readonly lanes: ReadonlyArray<Lane>,
    private readonly limit: number
  ) {}

  readonly run = Effect.gen(this, function* () {
    const known = yield* journaled(this.parent, this.path, "block", this.kind)
    if (known === undefined && this.parent.stopReason !== undefined) return yield* Effect.interrupt
    if (known === undefined) this.#announce()
    const decided = decidedKey(known)
    const gone = known === undefined ? undefined : this.#goneFor(decided)
    if (gone !== undefined) return yield* this.parent.run.misfit(gone)
    if (decided !== undefined) this.#stopAllBut(decided)
    let next = 0
    yield* forkJoin({
      parent: this.parent,
      isSettled: known !== undefined && isTerminal(known.status) && known.status !== "cancelled",
      limit: this.limit,
      next: () => this.#task(this.lanes[next++]),
      ended: (branch, exit) => this.#ended(branch, exit)
    })
    yield* onBranch(Effect.uninterruptible(this.#closeLosers), this.parent)
    return yield* this.#finish()
  })

  /** What was recorded of a branch that the block no longer has, in words for people. */
  #goneFor(decided: string | undefined): string | undefined {
    const { run, stopReason } = this.parent
    if (stopReason !== undefined) return undefined
    const instead = `has no such branch in ${this.kind} ${this.path}, and goes on`
    const row = run.recorded.outside(this.path, new Set(this.lanes.map(({ branch }) => branch.scope)))
    if (row !== undefined) return passedOver(row, instead)
    const hasDecided = decided === undefined || this.lanes.some(({ key }) => key === decided)
    return hasDecided
      ? undefined
      : `${this.path} was decided by its branch '${decided}', which the workflow no longer has`
  }

  /** What losing branches had begun before a crash, and did not come to again: it ends with the block. */
  get #closeLosers(): Effect.Effect<void> {
    const { run } = this.parent
    const losers = this.lanes.filter((lane) => lane.branch.stopReason !== undefined)
    const isTheirs = (path: StepPath) => losers.some((lane) => path.startsWith(`${lane.branch.scope}/`))
    const ended = Effect.suspend(() => endLeftovers(this.parent, isTheirs))
    return Effect.map(losers.length === 0 ? Effect.void : ended, () => {
      if (losers.length > 0 && run.silent === undefined) closeRows(run, isTheirs, describe({ _tag: "FailFast" }))
    })
  }

  #announce(): void {
    const { run, iteration } = this.parent
    run.put(newRow(run, { path: this.path, kind: "block", name: this.kind, status: "running", iteration }))
  }

  #stopAllBut(key: string): void {
    for (const lane of this.lanes) if (lane.key !== key) lane.branch.stop({ _tag: "FailFast" })
  }

  #task(lane: Lane | undefined) {
    if (lane === undefined) return undefined
    return { branch: lane.branch, effect: Effect.exit(asBranch(lane.effect, lane.branch)) }
  }

  #ended(branch: Branch, exit: Exit.Exit<unknown, unknown>): StopReason | undefined {
    const lane = this.lanes.find((other) => other.branch === branch)
    if (lane === undefined) throw new Error(`invariant: ${this.path} has no branch ${branch.scope}`)
    this.#exits.set(lane.key, exit)
    if (branch.stopReason !== undefined || !this.#isDecidedBy(exit)) return undefined
    const { run } = this.parent
    const row = run.row(this.path)
    if (row !== undefined && decidedKey(row) === undefined) run.put({ ...row, value: { decided: lane.key } })
    this.#stopAllBut(lane.key)
    return { _tag: "FailFast" }
  }

  #isDecidedBy(exit: Exit.Exit<unknown, unknown>): boolean {
    switch (this.kind) {
      case "race":
        return true
      case "pipeline":
        return false
      case "all":
      case "forEach":
        return Exit.isFailure(exit)
    }
  }

  /** Fails with the branch whose failure decided the block, or with one that could not end. */
  #finish(): Effect.Effect<Ends, unknown> {
    const { run } = this.parent
    const row = run.row(this.path)
    const decided = decidedKey(row)
    const failed = this.kind === "race" ? undefined : decided
    if (row !== undefined && !isTerminal(row.status)) {
      run.put({ ...row, endedAt: run.now(), status: failed === undefined ? "completed" : "failed" })
    }
    const needed = decided === undefined ? this.lanes.map((lane) => lane.key) : [decided]
    for (const key of needed) {
      const exit = this.#exits.get(key)
      if (exit === undefined) return Effect.interrupt
      if (Exit.isFailure(exit) && this.kind !== "pipeline") return Effect.failCause(exit.cause)
    }
    return Effect.succeed({ exits: this.#exits, decided })
  }
}

const decidedKey = (row: StepRecord | undefined): string | undefined =>
  Predicate.hasProperty(row?.value, "decided") && typeof row.value.decided === "string" ? row.value.decided : undefined
