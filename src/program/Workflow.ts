/**
 * Workflows as Effects: a body whose primitives are journaled, so that a restart goes on where it was
 * (design.md, "One runtime, one way to resume").
 *
 * Neighbours: `Action` (steps), `Branches` (concurrency), `Gates`, `Waits`, `Children`, `Compensation`, `Patches`,
 * `Continuing`; `Handles` asks for runs, `Register` runs them in an engine.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { checkedTime } from "../action/TryOptions.ts"
import type { Engine } from "../engine/Engine.ts"
import type { Persistence } from "../persistence/Persistence.ts"
import type { AnySchema } from "./Codec.ts"
import { engineHandle, type Handle, storeHandle } from "./Handles.ts"
import { register } from "./Register.ts"
import type { Shape } from "./Shape.ts"
import { partsInCode } from "./Starting.ts"
import type { WorkflowRun } from "./WorkflowRun.ts"

export { all, forEach, race, timeout, WorkTimedOut } from "./Branches.ts"
export { child } from "./Children.ts"
export { withCompensation } from "./Compensation.ts"
export { continueAsNew, continueAsNewSuggested } from "./Continuing.ts"
export { RunOfOtherWorkflow, type RunState, type RunTarget } from "./Following.ts"
export {
  type Approval,
  type Gate,
  gate,
  type GateOptions,
  GateRejected,
  type GateReply,
  GateTimedOut,
  InvalidAnswer,
  makeGate
} from "./Gates.ts"
export type { AnswerError, Handle } from "./Handles.ts"
export { deprecatePatch, patched } from "./Patches.ts"
export { IdempotencyConflict } from "./Starting.ts"
export { fromFile, type FileOptions, type FileWorkflow } from "./FromFile.ts"
export { pipeline, type PipelineOptions, type Stage } from "./Pipelines.ts"
export { now, random, uuid } from "./Values.ts"
export { awaitSignal, type Signal, SignalTimedOut, signal, sleep, sleepUntil } from "./Waits.ts"
export { ValueRefused } from "./ValueRefused.ts"
export { CompensationFailed, type RunFailed, WorkflowFailed } from "./WorkflowEnd.ts"
export { WorkflowCollision } from "./WorkflowNames.ts"
export { UnscopedConcurrency, WorkflowRun } from "./WorkflowRun.ts"

export interface Workflow<Name extends string, P extends AnySchema, S extends AnySchema, E extends AnySchema>
  extends Handle<P, S, E, Engine | Persistence> {
  readonly name: Name
  readonly version: string
  readonly payload: P
  readonly success: S
  readonly error: E
  /** Longest time of a run, ms; null: no limit. */
  readonly timeout: number | null
  /**
   * Lets an engine run the workflow. The body's requirements become the layer's. Building it dies with
   * `WorkflowCollision` where the engine runs another workflow of this name.
   */
  readonly toLayer: <R = never>(
    body: (payload: P["Type"]) => Effect.Effect<S["Type"], E["Type"], R>
  ) => Layer.Layer<never, never, Engine | Exclude<R, WorkflowRun | Scope.Scope>>
  /**
   * The same for a process that runs nothing itself: it needs the store only. Runs that it starts are taken up by an
   * engine that knows the workflow, in another process within 100 ms.
   */
  readonly client: Handle<P, S, E, Persistence>
}

export interface WorkflowOptions<P extends AnySchema, S extends AnySchema, E extends AnySchema> {
  readonly payload: P
  /** Default: nothing. */
  readonly success?: S
  /** Default: it cannot fail in a typed way. */
  readonly error?: E
  /** Two starts with the same key are one run. */
  readonly idempotencyKey?: (payload: P["Type"]) => string
  /** Changed with the body in a way that does not fit old journals; runs of other versions are left alone. Default 1. */
  readonly version?: string
  /** Longest time of a run, from its start, waits included; it then fails. Default: none. */
  readonly timeout?: Duration.DurationInput
}

/**
 * Declares a workflow: its name, and the schemas of what it takes, gives and fails with. Throws a `RangeError` where
 * `timeout` is no time above 0.
 *
 * ```ts
 * const Order = Workflow.make("order", { payload: Schema.Struct({ id: Schema.String }) })
 * const OrderLive = Order.toLayer(({ id }) => Action.call(Charge, { order: id, cents: 100 }))
 * ```
 */
export const make = <
  const Name extends string,
  P extends AnySchema,
  S extends AnySchema = typeof Schema.Void,
  E extends AnySchema = typeof Schema.Never
>(
  name: Name,
  options: WorkflowOptions<P, S, E>
): Workflow<Name, P, S, E> => {
  const shape: Shape<P, S, E> = {
    name,
    version: options.version ?? "1",
    payload: options.payload,
    // SAFETY: the defaults of the type parameters are these very schemas.
    success: (options.success ?? Schema.Void) as S,
    error: (options.error ?? Schema.Never) as E, // SAFETY: as above
    idempotencyKey: options.idempotencyKey,
    timeout: checkedTime(`workflow '${name}'`, "timeout", options.timeout)
  }
  const partsOf = partsInCode(shape)
  return {
    name,
    version: shape.version,
    payload: shape.payload,
    success: shape.success,
    error: shape.error,
    timeout: shape.timeout,
    toLayer: (body) => register(shape, body),
    client: storeHandle(shape, partsOf),
    ...engineHandle(shape, partsOf)
  }
}
