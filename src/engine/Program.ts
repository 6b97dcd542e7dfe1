/**
 * What a run does, as the engine asks for it: `.wf` definitions and code workflows register a source each.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { PersistenceError } from "../persistence/Persistence.ts"
import type { RunRecord } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import type { RunContext } from "./RunContext.ts"

/** How a body ended by itself. */
export interface BodyEnd {
  readonly status: "completed" | "failed"
  readonly error: string | null
  /** What a parent, or a typed handle, reads from the record. */
  readonly result: unknown
}

/** What a run does, made for one residency of it. */
export interface Program {
  readonly body: (branch: Branch) => Effect.Effect<BodyEnd>
  /** Absent where there is nothing to do. */
  readonly always?: (branch: Branch, status: string) => Effect.Effect<void>
}

/** What can run a kind of runs: registered with the engine for the time of a scope. */
export interface ProgramSource {
  /** Whether it knows what the run does; asked of each claimed run. */
  readonly accepts: (run: RunRecord) => boolean
  /** The workflows whose runs the watchdog claims for it. */
  readonly workflows?: ReadonlyArray<string> | undefined
  /** The definitions whose runs the watchdog claims for it: keys, or with a `:` at the end how keys begin. */
  readonly definitions?: ReadonlyArray<string> | undefined
  /** The program of one residency, or why there is none: the run is then parked. */
  readonly make: (run: RunContext) => Effect.Effect<Program, ProgramUnavailable | PersistenceError>
}

/** What a run does cannot be told here. */
export class ProgramUnavailable extends Schema.TaggedError<ProgramUnavailable>()("ProgramUnavailable", {
  message: Schema.String
}) {}
