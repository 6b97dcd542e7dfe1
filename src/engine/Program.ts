/**
 * What a run does, as the engine asks for it: `.wf` definitions and code workflows register a source each.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { PersistenceError } from "../persistence/Persistence.ts"
import type { RunRecord } from "../persistence/Records.ts"
import type { Texts } from "../workflow/Definition.ts"
import type { PayloadKeys } from "../workflow/Payload.ts"
import type { Secrets } from "../workflow/Secrets.ts"
import type { Branch } from "./Branch.ts"
import type { RunContext } from "./RunContext.ts"
import type { Outcome } from "./RunEnd.ts"

/** How a body ended by itself. */
export interface BodyEnd {
  readonly status: "completed" | "failed"
  readonly error: string | null
  /** What a parent, or a typed handle, reads from the record. */
  readonly result: unknown
}

/** How a compensation ended. */
export interface Compensated {
  /** Whether all was taken back; what was not is tried again by an explicit resume. */
  readonly succeeded: boolean
  readonly outcome: Outcome
}

export interface CompensationBranches {
  readonly replay: Branch
  readonly undo: Branch
}

/** What a run does, made for one residency of it. */
export interface Program {
  /** What its effects find around them, beside what the engine gives to all. */
  readonly context?: Context.Context<never>
  readonly body: (branch: Branch) => Effect.Effect<BodyEnd>
  /**
   * Takes back what the body did, when it failed or was cancelled; gives the outcome that the run then has. `replay` is
   * a branch for the body, stopped: replaying it shows what there is to take back. `undo` is the phase's own. Undefined:
   * there was nothing.
   */
  readonly compensation?: (branches: CompensationBranches, outcome: Outcome) => Effect.Effect<Compensated | undefined>
  /** Absent where there is nothing to do. */
  readonly always?: (branch: Branch, status: string) => Effect.Effect<void>
}

/** A workflow in code, for those who call it with texts by name: `call workflow`, `foreach`. */
export interface CodeWorkflow {
  readonly name: string
  readonly takes: PayloadKeys
  /** What a child run of it is made of, or why these texts cannot make its payload. */
  readonly childOf: (texts: Texts) => Either.Either<CodeChild, string>
}

export interface CodeChild {
  readonly title: string
  readonly definition: string
  readonly inputs: Texts
  readonly payload: unknown
  readonly secrets: Secrets | undefined
  /** Of the run, ms. */
  readonly timeout: number | null
}

/** What can run a kind of runs: registered with the engine for the time of a scope. */
export interface ProgramSource {
  /** Whether it knows what the run does; asked of each claimed run. */
  readonly accepts: (run: RunRecord) => boolean
  /**
   * Whether it has what a run that it accepts needs: asked before the watchdog claims one, and again after a while where
   * it has not. Absent: it can run all that it accepts.
   */
  readonly knows?: ((run: RunRecord) => Effect.Effect<boolean, PersistenceError>) | undefined
  /** The workflows whose runs the watchdog claims for it. */
  readonly workflows?: ReadonlyArray<string> | undefined
  /** The definitions whose runs the watchdog claims for it: keys, or with a `:` at the end how keys begin. */
  readonly definitions?: ReadonlyArray<string> | undefined
  /** The workflow in code that it runs, if others may call it. */
  readonly workflow?: CodeWorkflow
  /** The program of one residency, or why there is none: the run is then parked. */
  readonly make: (run: RunContext) => Effect.Effect<Program, ProgramUnavailable | PersistenceError>
}

/** What a run does cannot be told here. */
export class ProgramUnavailable extends Schema.TaggedError<ProgramUnavailable>()("ProgramUnavailable", {
  message: Schema.String
}) {}
