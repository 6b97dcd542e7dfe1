/**
 * Typed actions: what a workflow asks the world to do, as a schema, with its handler supplied by a Layer.
 *
 * Results and typed errors are journaled encoded, and come back typed after a restart (spec/engine.md, "call").
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ParseError } from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { RunContext } from "../engine/RunContext.ts"
import { type Attempt, type AttemptFailure, type AttemptSuccess, step } from "../engine/Step.ts"
import { noResult, type RunId, type StepPath, type StepRecord } from "../persistence/Records.ts"
import { type AnySchema, decode, encode } from "./Codec.ts"
import { InFlight } from "./InFlight.ts"
import { describeFailure } from "./WorkflowEnd.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

/** What a handler knows of the attempt that it makes. */
export interface ActionAttempt {
  readonly run: RunId
  readonly path: StepPath
  /** From 1. */
  readonly attempt: number
  /** The same for all attempts of the step: hand it to services that can tell a repeated request. */
  readonly idempotencyKey: string
  /** Reports progress; with `heartbeat` set, longer silence interrupts the attempt. */
  readonly heartbeat: (details?: unknown) => Effect.Effect<void>
  /** What the attempt before this one reported last. */
  readonly lastHeartbeat: unknown
}

/** The attempt did not end within the action's `timeout`, or was silent for longer than its `heartbeat`. */
export class ActionTimedOut extends Schema.TaggedError<ActionTimedOut>()("ActionTimedOut", {
  action: Schema.String,
  path: Schema.String,
  message: Schema.String
}) {}

export interface RetryOptions {
  /** Further attempts after the first. */
  readonly times: number
  /** Before each of them; default none. */
  readonly delay?: Duration.DurationInput
  /** Doubles the delay from retry to retry. */
  readonly exponential?: boolean
}

/** The service that a handler's layer supplies: one type for each action's name, so that the compiler names it. */
export interface Handler<in out Name extends string> {
  readonly _: (_: Name) => Name
}

type Handle = (payload: unknown, attempt: ActionAttempt) => Effect.Effect<unknown, unknown, Scope.Scope>

export interface Action<Name extends string, P extends AnySchema, S extends AnySchema, E extends AnySchema> {
  readonly name: Name
  readonly payload: P
  readonly success: S
  readonly error: E
  readonly retry: RetryOptions
  /** Longest time of an attempt, ms; null: the run's step timeout. */
  readonly timeout: number | null
  /** Longest silence of an attempt, ms. */
  readonly heartbeat: number | null
  readonly tag: Context.Tag<Handler<Name>, Handle>
  /**
   * Supplies the action. The handler's requirements become the layer's; it gets a Scope of its own for each attempt,
   * and is interrupted when the attempt times out or its run is cancelled.
   */
  readonly toLayer: <R = never>(
    handler: (payload: P["Type"], attempt: ActionAttempt) => Effect.Effect<S["Type"], E["Type"], R>
  ) => Layer.Layer<Handler<Name>, never, Exclude<R, Scope.Scope>>
}

export interface ActionOptions<P extends AnySchema, S extends AnySchema, E extends AnySchema> {
  readonly payload: P
  /** Default: nothing. */
  readonly success?: S
  /** Default: it cannot fail in a typed way. */
  readonly error?: E
  readonly retry?: RetryOptions
  readonly timeout?: Duration.DurationInput
  readonly heartbeat?: Duration.DurationInput
}

/**
 * Declares an action: its name, and the schemas of what it takes, gives and fails with.
 *
 * ```ts
 * const Charge = Action.make("charge", {
 *   payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
 *   success: Schema.Struct({ receipt: Schema.String }),
 *   error: CardDeclined,
 *   retry: { times: 3, delay: "1 second", exponential: true }
 * })
 * ```
 */
export const make = <
  const Name extends string,
  P extends AnySchema,
  S extends AnySchema = typeof Schema.Void,
  E extends AnySchema = typeof Schema.Never
>(
  name: Name,
  options: ActionOptions<P, S, E>
): Action<Name, P, S, E> => {
  const tag = Context.GenericTag<Handler<Name>, Handle>(`millrace/Action/${name}`)
  const millis = (input: Duration.DurationInput | undefined) => (input === undefined ? null : Duration.toMillis(input))
  return {
    name,
    payload: options.payload,
    // SAFETY: the defaults of the type parameters are these very schemas.
    success: (options.success ?? Schema.Void) as S,
    error: (options.error ?? Schema.Never) as E, // SAFETY: as above
    retry: options.retry ?? { times: 0 },
    timeout: millis(options.timeout),
    heartbeat: millis(options.heartbeat),
    tag,
    toLayer: <R>(handler: (payload: P["Type"], attempt: ActionAttempt) => Effect.Effect<S["Type"], E["Type"], R>) =>
      Layer.scoped(
        tag,
        Effect.zipWith(
          Effect.context<Exclude<R, Scope.Scope>>(),
          InFlight.make,
          (context, inFlight): Handle =>
            (payload, attempt) =>
              inFlight.during(
                // SAFETY: what the layer's context lacks of R is the Scope, which the attempt has.
                Effect.mapInputContext(
                  handler(payload, attempt),
                  (own: Context.Context<Scope.Scope>) => Context.merge(context, own) as Context.Context<R>
                )
              )
        )
      )
  }
}

/**
 * Runs an action as a journaled step of the workflow: once it has completed, its result is the record's. Its path is
 * the action's name below the branch, numbered from the second call on.
 *
 * Fails with the action's typed error when all attempts have, with `ActionTimedOut` when the last one timed out. A
 * handler that dies fails its attempt; when the last one dies, so does the call.
 */
export const call = <Name extends string, P extends AnySchema, S extends AnySchema, E extends AnySchema>(
  action: Action<Name, P, S, E>,
  payload: P["Type"]
): Effect.Effect<S["Type"], E["Type"] | ActionTimedOut, WorkflowRun | Handler<Name>> =>
  Effect.gen(function* () {
    const branch = yield* currentBranch(action.name)
    const handle = yield* action.tag
    const encoded = yield* encode(action.payload, payload)
    const { run } = branch
    const row = yield* step({
      branch,
      path: branch.next(action.name),
      kind: "call",
      name: action.name,
      role: "actor",
      retries: action.retry.times,
      delay: (retry) => Effect.succeed(delayOf(action.retry, retry)),
      timeout: action.timeout ?? run.record.settings.stepTimeout,
      heartbeat: action.heartbeat,
      failedAs: "failed",
      attempt: (attempt) =>
        Effect.flatMap(Effect.orDie(decode(action.payload, encoded)), (decoded) =>
          runHandler(action, handle(decoded, attemptOf(attempt)))
        )
    })
    return yield* outcomeOf(action, run, row)
  })

const delayOf = (retry: RetryOptions, number: number): number => {
  if (retry.delay === undefined) return 0
  const factor = retry.exponential === true ? 2 ** Math.min(number - 1, 52) : 1
  return Math.min(Duration.toMillis(retry.delay) * factor, longestDelay)
}

/** ms: an hour. */
const longestDelay = 3_600_000

const attemptOf = (attempt: Attempt): ActionAttempt => ({
  run: attempt.run.id,
  path: attempt.spec.path,
  attempt: attempt.number,
  idempotencyKey: attempt.step.idempotencyKey,
  heartbeat: (details) => attempt.heartbeat(details),
  lastHeartbeat: attempt.record.heartbeat ?? attempt.previous?.heartbeat ?? undefined
})

type Ends = { readonly success: AnySchema; readonly error: AnySchema }

/** A typed end is encoded at once: what cannot be encoded never reaches the journal. */
const runHandler = (
  action: Ends,
  handled: Effect.Effect<unknown, unknown, Scope.Scope>
): Effect.Effect<AttemptSuccess, AttemptFailure, Scope.Scope> =>
  Effect.matchEffect(handled, {
    onSuccess: (success) =>
      Effect.map(encode(action.success, success), (value) => ({
        result: noResult,
        value
      })),
    onFailure: (error) =>
      Effect.flatMap(encode(action.error, error), (value) =>
        Effect.fail({ message: describeFailure(error), value: { error: value } })
      )
  })

const outcomeOf = <S extends AnySchema, E extends AnySchema>(
  action: { readonly name: string; readonly success: S; readonly error: E },
  run: RunContext,
  row: StepRecord
): Effect.Effect<S["Type"], E["Type"] | ActionTimedOut> => {
  const undecodable = (error: ParseError) =>
    run.misfit(`the recorded end of ${row.path} cannot be read by action '${action.name}': ${error.message}`)
  if (row.status === "completed") {
    return Effect.catchAll(decode(action.success, row.value), undecodable)
  }
  if (row.status === "timed_out") {
    const { path, error } = row
    return Effect.fail(new ActionTimedOut({ action: action.name, path, message: error ?? "timed out" }))
  }
  if (Predicate.hasProperty(row.value, "error")) {
    const decoded = Effect.catchAll(decode(action.error, row.value.error), undecodable)
    return Effect.flatMap(decoded, (error) => Effect.fail(error))
  }
  // Recorded when its branch or run was stopped: a replay stops there too.
  if (row.status === "cancelled") return Effect.interrupt
  return Effect.dieMessage(`${row.path}: ${row.error ?? row.status}`)
}
