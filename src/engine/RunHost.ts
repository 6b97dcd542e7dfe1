/**
 * What the engine does for its resident runs and for their children.
 */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type { Change, OwnedBy } from "../persistence/Journal.ts"
import type { InboxMessage, RunId, RunRecord } from "../persistence/Records.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { EngineSettings } from "./EngineConfig.ts"
import type { FlowControl } from "./FlowControl.ts"
import type { GateNotifierService } from "./GateNotice.ts"
import type { PayloadListener } from "./GivenPayloads.ts"
import type { CodeWorkflow } from "./Program.ts"
import type { RunContext } from "./RunContext.ts"
import type { StopReason } from "./StopReason.ts"

/** What the engine does for the children of a run, which may live elsewhere. */
export interface Children {
  /**
   * The child as it is now; undefined: it was dispatched, but never started. `dispatched` makes the record of such a
   * one, which is then started.
   */
  readonly get: (child: RunId, dispatched?: () => RunRecord) => Effect.Effect<RunRecord | undefined>
  /** What joins the commit that dispatches a child: its creation, if it is to live in this store. */
  readonly create: (child: RunRecord) => ReadonlyArray<Change>
  /** Runs a child that a commit of its parent created. */
  readonly start: (child: RunRecord) => Effect.Effect<void>
  /** Sees to it that a child which has not ended is run by somebody; whether it turned out to have ended. */
  readonly ensure: (child: RunId) => Effect.Effect<boolean>
  /** Opens a child that ended failed or cancelled again, as the explicit resume of its parent asks. */
  readonly reopen: (child: RunId) => Effect.Effect<void>
  /** Puts a cancellation or a pause to a child; nothing if it has ended. */
  readonly send: (child: RunId, message: InboxMessage) => Effect.Effect<void>
  /** The same to those children that a commit's messages do not reach: they live elsewhere. Undefined: there are none. */
  readonly sendElsewhere: ((children: ReadonlyArray<RunId>, message: InboxMessage) => Effect.Effect<void>) | undefined
  /** Of a child that tells its parent nothing by rows: a hint that it changed, and how long to rely on hints, ms. */
  readonly elsewhere: (
    child: RunRecord
  ) => { readonly changed: Effect.Effect<void>; readonly within: number } | undefined
}

/** What the engine does for a run. */
export interface RunHost {
  readonly children: Children
  readonly notifier: GateNotifierService
  readonly newRunId: () => RunId
  readonly settings: EngineSettings
  /** Told of what a run hides. */
  readonly secrets: (values: ReadonlyArray<string>) => void
  /** Told of what a body gives to a step. */
  readonly given: PayloadListener
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  readonly flow: FlowControl
  /** The workflow in code of this name that is registered here. */
  readonly codeWorkflow: (name: string) => CodeWorkflow | undefined
  /** Lets what a body acts with in its own right (steps, waits) run on the process's clock and chance. */
  readonly asProcess: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Interrupts the body of a run, for this reason unless there is one already. */
  readonly stopBody: (run: RunContext, reason: StopReason) => void
  /**
   * How the parent of a run that is about to end is owned, where it lives here: it is told of that end as soon as the
   * run has left, and is not let go before.
   */
  readonly parentBeside: (child: RunContext) => OwnedBy | undefined
  /** Runs the run that goes on from one that ended here. */
  readonly follow: (next: RunRecord) => void
  /** Every branch of the run is parked. */
  readonly idle: (run: RunContext) => void
  /** Interrupts the run's fibers; the reason has been set. */
  readonly interrupt: (run: RunContext) => void
  /** Runs an effect beside the run's fibers; the returned function interrupts it. */
  readonly fork: (effect: Effect.Effect<void>) => () => void
}
