/**
 * Concurrency in code workflows: each branch has a scope of its own, so that a replay finds what it journaled
 * (design.md, "Concurrency in code workflows").
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type { Branch } from "../engine/Branch.ts"
import { forkJoin } from "../engine/ForkJoin.ts"
import { journaled, newRow } from "../engine/RunContext.ts"
import type { StopReason } from "../engine/StopReason.ts"
import { isTerminal, type StepPath, type StepRecord } from "../persistence/Records.ts"
import { encodeKey } from "../workflow/StepNames.ts"
import { currentBranch, onBranch, type WorkflowRun } from "./WorkflowRun.ts"

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

/**
 * Runs branches side by side and gives their results under their keys. The first failure interrupts the others, and is
 * a row: a replay fails in the same way.
 */
export const all = <const T extends Branches>(
  branches: T,
  options: AllOptions = {}
): Effect.Effect<
  { -readonly [K in keyof T]: Success<T[K]> },
  Failure<T[keyof T & (T extends ReadonlyArray<unknown> ? number : keyof T)]>,
  WorkflowRun | Needs<T[keyof T & (T extends ReadonlyArray<unknown> ? number : keyof T)]>
> => {
  const run = Effect.gen(function* () {
    const parent = yield* currentBranch("all")
    const segment = parent.nextSegment("all")
    const lanes = Object.entries<Effect.Effect<unknown, unknown, unknown>>(branches).map(([key, effect]) => ({
      key,
      effect,
      branch: parent.child(segment).child(encodeKey(key))
    }))
    return yield* new All(parent, parent.at(segment), lanes, options.concurrency ?? lanes.length).run
  })
  const shaped = Effect.map(run, (results) =>
    Array.isArray(branches) ? [...results.values()] : Object.fromEntries(results)
  )
  // SAFETY: one result a key, in the order of the keys; failures and requirements are the branches' own.
  return shaped as never
}

interface Lane {
  readonly key: string
  readonly effect: Effect.Effect<unknown, unknown, unknown>
  readonly branch: Branch
}

class All {
  readonly #exits = new Map<string, Exit.Exit<unknown, unknown>>()

  constructor(
    private readonly parent: Branch,
    private readonly path: StepPath,
    private readonly lanes: ReadonlyArray<Lane>,
    private readonly limit: number
  ) {}

  readonly run = Effect.gen(this, function* () {
    const { run } = this.parent
    const known = yield* journaled(run, this.path, "block", "all")
    if (known === undefined && this.parent.stopReason !== undefined) return yield* Effect.interrupt
    if (known === undefined) this.#announce()
    const decided = failedKey(known)
    if (decided !== undefined) this.#stopAllBut(decided)
    let next = 0
    yield* forkJoin({
      parent: this.parent,
      limit: Math.max(1, this.limit),
      next: () => this.#task(this.lanes[next++]),
      ended: (branch, exit) => this.#ended(branch, exit)
    })
    return yield* this.#finish()
  })

  #announce(): void {
    const { run, iteration } = this.parent
    run.put(newRow(run, { path: this.path, kind: "block", name: "all", status: "running", iteration }))
  }

  #stopAllBut(key: string): void {
    for (const lane of this.lanes) if (lane.key !== key) lane.branch.stop({ _tag: "FailFast" })
  }

  #task(lane: Lane | undefined) {
    if (lane === undefined) return undefined
    return { branch: lane.branch, effect: Effect.exit(onBranch(lane.effect, lane.branch)) }
  }

  #ended(branch: Branch, exit: Exit.Exit<unknown, unknown>): StopReason | undefined {
    const lane = this.lanes.find((other) => other.branch === branch)
    if (lane === undefined) throw new Error(`invariant: ${this.path} has no branch ${branch.scope}`)
    this.#exits.set(lane.key, exit)
    if (Exit.isSuccess(exit) || branch.stopReason !== undefined) return undefined
    const { run } = this.parent
    const row = run.row(this.path)
    if (row !== undefined && failedKey(row) === undefined) run.put({ ...row, value: { failed: lane.key } })
    this.#stopAllBut(lane.key)
    return { _tag: "FailFast" }
  }

  #finish(): Effect.Effect<ReadonlyMap<string, unknown>, unknown> {
    const { run } = this.parent
    const row = run.row(this.path)
    const failed = failedKey(row)
    const failure = failed === undefined ? undefined : this.#exits.get(failed)
    if (row !== undefined && !isTerminal(row.status)) {
      const ended = { endedAt: run.now(), status: failed === undefined ? "completed" : "failed" } as const
      run.put({ ...row, ...ended })
    }
    if (failure !== undefined && Exit.isFailure(failure)) return Effect.failCause(failure.cause)
    const results = new Map<string, unknown>()
    for (const { key } of this.lanes) {
      const exit = this.#exits.get(key)
      if (exit === undefined || Exit.isFailure(exit)) return Effect.failCause(exit?.cause ?? Cause.empty)
      results.set(key, exit.value)
    }
    return Effect.succeed(results)
  }
}

const failedKey = (row: StepRecord | undefined): string | undefined =>
  Predicate.hasProperty(row?.value, "failed") && typeof row.value.failed === "string" ? row.value.failed : undefined
