/**
 * What a step is to do, and the row that it begins with.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Change } from "../persistence/Journal.ts"
import {
  type AttemptRecord,
  blankAttempt,
  type StepKind,
  type StepPath,
  type StepRecord,
  type StepResult,
  type Totals
} from "../persistence/Records.ts"
import type { Attempt } from "./Attempt.ts"
import type { Branch } from "./Branch.ts"
import type { Turn } from "./FlowControl.ts"
import { newRow, type RunContext } from "./RunContext.ts"

export interface AttemptSuccess {
  readonly result: StepResult
  /** The encoded success of a code step. */
  readonly value?: unknown
  /** What a child run adds to the totals, beside the numbers in `result.metadata`. */
  readonly totals?: Totals
}

/** Plain data: an attempt's end is not an error of the engine. */
export interface AttemptFailure {
  readonly message: string
  /** No further attempt is made. */
  readonly permanent?: boolean
  /** The encoded typed error of a code step. */
  readonly value?: unknown
  readonly totals?: Totals
  /** What the step hands on although it failed (a fan-out). */
  readonly result?: StepResult
}

export interface StepSpec {
  readonly branch: Branch
  readonly path: StepPath
  readonly kind: StepKind
  readonly name: string
  readonly role: string | null
  readonly canCommit?: boolean
  readonly condition?: string | null
  readonly retries: number
  /** ms before a retry; 1 is the first. */
  readonly delay: (retry: number) => Effect.Effect<number>
  /** Longest time of an attempt, ms. */
  readonly timeout: number | null
  /** What an attempt waits for before it does anything; its timeout begins afterwards. Absent: nothing. */
  readonly turn?: Turn | undefined
  /** Longest silence of an attempt, ms. */
  readonly heartbeat: number | null
  /** How long an interrupted attempt is awaited, ms; absent: the engine's `interruptGrace`. */
  readonly grace?: number
  /** The status of a step whose attempts have all failed. */
  readonly failedAs: "failed" | "skipped"
  /** What joins the commit that starts an attempt. */
  readonly dispatch?: (step: StepRecord, attempt: AttemptRecord) => Dispatch
  readonly attempt: (attempt: Attempt) => Effect.Effect<AttemptSuccess, AttemptFailure, Scope.Scope>
  /** Ends what an attempt that was stopped or timed out left going outside its fiber: child runs. */
  readonly stopped?: (step: StepRecord) => Effect.Effect<void>
}

export interface Dispatch {
  readonly attempt: Partial<AttemptRecord>
  readonly changes: ReadonlyArray<Change>
  /** Called when the commit is durable. */
  readonly started: Effect.Effect<void>
}

/** The row of a step that has begun, as a block writes it for its branches, and `step` for its own. */
export const startedRow = (spec: StepSpec, status: "pending" | "running"): StepRecord => {
  const { run, iteration, group } = spec.branch
  const condition = spec.condition ?? null
  const isPending = status === "pending"
  return newRow(run, {
    path: spec.path,
    kind: spec.kind,
    name: spec.name,
    role: spec.role,
    canCommit: spec.canCommit ?? false,
    condition,
    conditionMet: condition === null ? null : true,
    iteration,
    group,
    status,
    attempts: isPending ? [] : [newAttempt(run, 1)],
    ...(isPending ? { startedAt: null } : {})
  })
}

/** An attempt that begins now. */
export const newAttempt = (run: RunContext, number: number): AttemptRecord => ({
  number,
  startedAt: run.now(),
  outcome: "running",
  ...blankAttempt
})
