/**
 * Workflows as Effects: a body whose primitives are journaled, so that a restart goes on where it was
 * (design.md, "One runtime, one way to resume").
 *
 * Neighbours: `Action` (steps), `Branches` (concurrency), `Gates`, `Children`; `engine/` runs what is made here.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Branch } from "../engine/Branch.ts"
import { Engine } from "../engine/Engine.ts"
import { defaultSettings, newRun } from "../engine/NewRun.ts"
import type { RunContext } from "../engine/RunContext.ts"
import type { BodyEnd } from "../engine/RunMain.ts"
import { messageOf } from "../engine/Step.ts"
import type { PersistenceError, RunNotFound } from "../persistence/Persistence.ts"
import { Persistence } from "../persistence/Persistence.ts"
import { RunId } from "../persistence/Records.ts"
import { type AnySchema, decode, encode } from "./Codec.ts"
import { secretsIn } from "./PayloadSecrets.ts"
import { definitionKey, describeFailure, endOf, type WorkflowFailed } from "./WorkflowEnd.ts"
import { onBranch, WorkflowRun } from "./WorkflowRun.ts"

export { all, forEach, race, timeout, WorkTimedOut } from "./Branches.ts"
export { child } from "./Children.ts"
export { gate, type GateOptions, GateRejected, GateTimedOut } from "./Gates.ts"
export { now, random, uuid } from "./Values.ts"
export { awaitSignal, type Signal, SignalTimedOut, signal, sleep, sleepUntil } from "./Waits.ts"
export { WorkflowFailed } from "./WorkflowEnd.ts"
export { UnscopedConcurrency, WorkflowRun } from "./WorkflowRun.ts"

/** The idempotency key is taken by a run with another payload. */
export class IdempotencyConflict extends Schema.TaggedError<IdempotencyConflict>()("IdempotencyConflict", {
  workflow: Schema.String,
  idempotencyKey: Schema.String,
  run: RunId
}) {
  override get message() {
    return `workflow '${this.workflow}' has run ${this.run} for key '${this.idempotencyKey}', with another payload`
  }
}

export interface Workflow<Name extends string, P extends AnySchema, S extends AnySchema, E extends AnySchema> {
  readonly name: Name
  readonly version: string
  readonly payload: P
  readonly success: S
  readonly error: E
  /** Lets an engine run the workflow. The body's requirements become the layer's. */
  readonly toLayer: <R = never>(
    body: (payload: P["Type"]) => Effect.Effect<S["Type"], E["Type"], R>
  ) => Layer.Layer<never, never, Engine | Exclude<R, WorkflowRun | Scope.Scope>>
  /** Creates a run, or finds the one with this payload's idempotency key; its id. */
  readonly start: (
    payload: P["Type"]
  ) => Effect.Effect<RunId, IdempotencyConflict | PersistenceError, Engine | Persistence>
  /** Starts a run and waits for its typed end. */
  readonly execute: (
    payload: P["Type"]
  ) => Effect.Effect<
    S["Type"],
    E["Type"] | WorkflowFailed | IdempotencyConflict | PersistenceError,
    Engine | Persistence
  >
  /** Waits for a run's typed end, wherever it runs. */
  readonly await: (
    run: RunId
  ) => Effect.Effect<S["Type"], E["Type"] | WorkflowFailed | RunNotFound | PersistenceError, Engine>
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
}

/**
 * Declares a workflow: its name, and the schemas of what it takes, gives and fails with.
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
    idempotencyKey: options.idempotencyKey
  }
  const awaitEnd = (run: RunId) =>
    Effect.flatMap(Engine, (engine) => Effect.flatMap(engine.await(run), (record) => endOf(shape, record)))
  return {
    name,
    version: shape.version,
    payload: shape.payload,
    success: shape.success,
    error: shape.error,
    toLayer: (body) => register(shape, body),
    start: (payload) => start(shape, payload),
    execute: (payload) =>
      Effect.flatMap(start(shape, payload), (run) => Effect.catchTag(awaitEnd(run), "RunNotFound", Effect.die)),
    await: awaitEnd
  }
}

/** What the functions of a workflow share. */
interface Shape<P extends AnySchema, S extends AnySchema, E extends AnySchema> {
  readonly name: string
  readonly version: string
  readonly payload: P
  readonly success: S
  readonly error: E
  readonly idempotencyKey: ((payload: P["Type"]) => string) | undefined
}

// ---- running

const register = <P extends AnySchema, S extends AnySchema, E extends AnySchema, R>(
  shape: Shape<P, S, E>,
  body: (payload: P["Type"]) => Effect.Effect<S["Type"], E["Type"], R>
): Layer.Layer<never, never, Engine | Exclude<R, WorkflowRun | Scope.Scope>> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const engine = yield* Engine
      const context = yield* Effect.context<Exclude<R, WorkflowRun | Scope.Scope>>()
      const key = definitionKey(shape)
      yield* engine.register({
        accepts: (run) => run.definition === key,
        definitions: [key],
        make: (run) =>
          Effect.succeed({
            body: (branch: Branch) => {
              const given = Context.add(context, WorkflowRun, identityOf(run))
              // SAFETY: with the run and a scope, the context has all that the body requires.
              const provided = Effect.provide(Effect.scoped(runBody(shape, body, run, branch)), given)
              return provided as Effect.Effect<BodyEnd>
            }
          })
      })
    })
  )

const identityOf = ({ record }: RunContext): typeof WorkflowRun.Service => ({
  id: record.id,
  workflow: record.workflow,
  idempotencyKey: record.idempotencyKey ?? undefined
})

const runBody = <P extends AnySchema, S extends AnySchema, E extends AnySchema, R>(
  shape: Shape<P, S, E>,
  body: (payload: P["Type"]) => Effect.Effect<S["Type"], E["Type"], R>,
  run: RunContext,
  branch: Branch
): Effect.Effect<BodyEnd, never, R> => {
  const misfit = (error: { readonly message: string }) =>
    run.misfit(`the payload cannot be read by workflow '${shape.name}': ${error.message}`)
  const decoded = Effect.catchAll(decode(shape.payload, run.record.payload), misfit)
  const exit = Effect.exit(onBranch(Effect.flatMap(decoded, body), branch))
  return Effect.flatMap(exit, (end): Effect.Effect<BodyEnd> => {
    if (Exit.isSuccess(end)) return Effect.map(encode(shape.success, end.value), completed)
    const failure = Cause.failureOption(end.cause)
    if (Option.isSome(failure)) {
      return Effect.map(encode(shape.error, failure.value), (error) => failed(describeFailure(failure.value), error))
    }
    if (Cause.isInterruptedOnly(end.cause)) return Effect.interrupt
    const message = messageOf(Cause.squash(end.cause)) ?? "unknown"
    return Effect.succeed({ status: "failed", error: `defect: ${message}`, result: { _tag: "Defect" } })
  })
}

const completed = (value: unknown): BodyEnd => ({
  status: "completed",
  error: null,
  result: { _tag: "Success", value }
})

const failed = (message: string, error: unknown): BodyEnd => ({
  status: "failed",
  error: message,
  result: { _tag: "Failure", error }
})

// ---- starting

const start = <P extends AnySchema, S extends AnySchema, E extends AnySchema>(
  shape: Shape<P, S, E>,
  payload: P["Type"]
): Effect.Effect<RunId, IdempotencyConflict | PersistenceError, Engine | Persistence> =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const encoded = yield* encode(shape.payload, payload)
    const settings = defaultSettings(engine.settings.stepTimeout)
    const secrets = secretsIn(payload)
    const record = newRun({
      id: yield* engine.newRunId,
      workflow: shape.name,
      title: shape.name,
      definition: definitionKey(shape),
      payload: encoded,
      createdAt: yield* Clock.currentTimeMillis,
      idempotencyKey: shape.idempotencyKey?.(payload) ?? null,
      settings: secrets === undefined ? settings : { ...settings, secrets }
    })
    return yield* Effect.catchTag(engine.start(record), "RunAlreadyExists", ({ run, idempotencyKey, workflow }) =>
      Effect.flatMap(samePayload(run, encoded), (same) =>
        same ? Effect.succeed(run) : Effect.fail(new IdempotencyConflict({ workflow, idempotencyKey, run }))
      )
    )
  })

const samePayload = (run: RunId, encoded: unknown): Effect.Effect<boolean, PersistenceError, Persistence> =>
  Effect.flatMap(Persistence, (persistence) =>
    Effect.map(
      Effect.catchTag(persistence.get(run), "RunNotFound", Effect.die),
      (record) => JSON.stringify(record.payload) === JSON.stringify(encoded)
    )
  )
