/**
 * Typed actions: what a workflow asks the world to do, as a schema, with its handler supplied by a Layer.
 *
 * Results and typed errors are journaled encoded, and come back typed after a restart (spec/engine.md, "call").
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import {
  collision,
  contextKey,
  type Declared,
  factsOf,
  type Supplied,
  supplying,
  TypeId
} from "../action/TypedAction.ts"
import { otherKeys, payloadKeys, textKeys } from "../workflow/Payload.ts"
import { type FlowLimits, problemOf } from "../action/FlowLimits.ts"
import { checked, checkedTime, problemOfRetry } from "../action/TryOptions.ts"
import { turnOf } from "../engine/FlowControl.ts"
import type { RunContext } from "../engine/RunContext.ts"
import { andThen } from "../engine/Settled.ts"
import { type Attempt, type AttemptFailure, type AttemptSuccess, step } from "../engine/Step.ts"
import { noResult, type RunId, type StepPath, type StepRecord } from "../persistence/Records.ts"
import { type AnySchema, decode, type Unfit } from "./Codec.ts"
import { executorOf, retryDelay } from "./ActionExecutor.ts"
import { logAttemptDefect } from "./Defects.ts"
import { encodeError, encodeSuccess, keyFor, readPayload } from "./HandlerEnd.ts"
import { InFlight } from "./InFlight.ts"
import { encodePayload } from "./ValueRefused.ts"
import { describeFailure } from "./WorkflowEnd.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

/** `HandlerOf<typeof Charge>`: the service that the layer of an action supplies. */
export { ActionCollision, type Declared, type HandlersOf as HandlerOf } from "../action/TypedAction.ts"

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
  /** Of a run that only shows what it would do: a handler that acts should not. */
  readonly dryRun: boolean
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
  /** Before each of them, an hour at most; default none. */
  readonly delay?: Duration.DurationInput
  /** Doubles the delay from retry to retry. */
  readonly exponential?: boolean
}

/**
 * The service that an action's layer supplies: a type of its own for each name, and for what is taken, given and failed
 * with, so that the compiler names it, and does not take the handler of another action that has the name.
 */
export interface Handler<in out Name extends string, in out Payload, in out Success, in out Error> {
  readonly _: Types.Invariant<readonly [Name, Payload, Success, Error]>
}

/** What a context holds of an action: its handler, and what makes an attempt of a `.wf` call with it. */
export interface ActionService extends Supplied {
  readonly handle: Handle
}

export type Handle = (payload: unknown, attempt: ActionAttempt) => Effect.Effect<unknown, unknown, Scope.Scope>

/** `X`: `ActionTimedOut` where the action has a time, else never. */
export interface Action<
  Name extends string,
  P extends AnySchema,
  S extends AnySchema,
  E extends AnySchema,
  X extends ActionTimedOut = never
> extends Declared<Handler<Name, P["Type"], S["Type"], E["Type"]>> {
  readonly name: Name
  readonly payload: P
  readonly success: S
  readonly error: E
  /** The names of what later steps of a `.wf` file may ask for; undefined: its call's output schema says. */
  readonly markers: ((success: S["Type"]) => ReadonlyArray<string>) | undefined
  /** What a `.wf` file's later steps have as context; undefined: the text `summary` of the success, if it has one. */
  readonly summary: ((success: S["Type"]) => string) | undefined
  /** In place of the step's own key. */
  readonly idempotencyKey: ((payload: P["Type"]) => string) | undefined
  readonly retry: RetryOptions
  /** Longest time of an attempt, ms; null: the run's step timeout. */
  readonly timeout: number | null
  /** Longest silence of an attempt, ms. */
  readonly heartbeat: number | null
  /** How many of its attempts may go on at once, and how often one may begin, across the runs of an engine. */
  readonly limits: FlowLimits<P["Type"]> | undefined
  readonly tag: Context.Tag<Handler<Name, P["Type"], S["Type"], E["Type"]>, ActionService>
  readonly _TimedOut: Types.Covariant<X>
  /**
   * Supplies the action. The handler's requirements become the layer's; it gets a Scope of its own for each attempt,
   * and is interrupted when the attempt times out or its run is cancelled. Building it dies with `ActionCollision`
   * where an action of this name with other schemas is supplied beside it.
   */
  readonly toLayer: <R = never>(
    handler: (payload: P["Type"], attempt: ActionAttempt) => Effect.Effect<S["Type"], E["Type"], R>
  ) => Layer.Layer<Handler<Name, P["Type"], S["Type"], E["Type"]>, never, Exclude<R, Scope.Scope>>
}

export interface ActionOptions<
  P extends AnySchema,
  S extends AnySchema,
  E extends AnySchema,
  T extends Duration.DurationInput = never,
  H extends Duration.DurationInput = never
> {
  readonly payload: P
  /** Default: nothing. */
  readonly success?: S
  /** Default: it cannot fail in a typed way. */
  readonly error?: E
  /** What conditions of a `.wf` file may ask of it: `if review.approved`. Code has the success itself. */
  readonly markers?: (success: S["Type"]) => ReadonlyArray<string>
  /** The context that the later steps of a `.wf` file have. Default: the text `summary` of the success, if it has one. */
  readonly summary?: (success: S["Type"]) => string
  /**
   * The key that handlers get: two calls with the same key mean the same request. Default: the step's own, which is
   * another one for each step of each run.
   */
  readonly idempotencyKey?: (payload: P["Type"]) => string
  readonly retry?: RetryOptions
  /** Longest time of an attempt. Default: the run's step timeout (12 h), after which the call dies. */
  readonly timeout?: T
  /** Longest silence of an attempt. */
  readonly heartbeat?: H
  /** How many of its attempts may go on at once, and how often one may begin, across the runs of an engine. */
  readonly limits?: FlowLimits<P["Type"]>
}

/** What a call fails with beside the action's own error. */
type TimedOut<T> = [T] extends [never] ? never : ActionTimedOut

/**
 * Declares an action: its name, and the schemas of what it takes, gives and fails with. Throws a `RangeError` where
 * `retry`, `timeout`, `heartbeat` or `limits` cannot have the value that they are given.
 *
 * ```ts
 * const Charge = Action.make("charge", {
 *   payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
 *   success: Schema.Struct({ receipt: Schema.String }),
 *   error: CardDeclined,
 *   idempotencyKey: ({ order }) => order,
 *   retry: { times: 3, delay: "1 second", exponential: true },
 *   timeout: "30 seconds"
 * })
 * ```
 */
export const make = <
  const Name extends string,
  P extends AnySchema,
  S extends AnySchema = typeof Schema.Void,
  E extends AnySchema = typeof Schema.Never,
  T extends Duration.DurationInput = never,
  H extends Duration.DurationInput = never
>(
  name: Name,
  options: ActionOptions<P, S, E, T, H>
): Action<Name, P, S, E, TimedOut<T | H>> => {
  type Service = Handler<Name, P["Type"], S["Type"], E["Type"]>
  const tag = Context.GenericTag<Service, ActionService>(contextKey(name))
  const whose = `action '${name}'`
  const { payload } = options
  // SAFETY: the defaults of the type parameters are these very schemas.
  const success = (options.success ?? Schema.Void) as S
  const error = (options.error ?? Schema.Never) as E // SAFETY: as above
  const facts = {
    name,
    takes: payloadKeys(payload.ast),
    gives: textKeys(success.ast),
    keeps: otherKeys(success.ast),
    schemas: [payload.ast, success.ast, error.ast]
  }
  const action: Action<Name, P, S, E, TimedOut<T | H>> = {
    [TypeId]: { _Handler: same, facts },
    _TimedOut: same,
    name,
    payload,
    success,
    error,
    markers: options.markers,
    summary: options.summary,
    idempotencyKey: options.idempotencyKey,
    retry: checkedRetry(whose, options.retry ?? { times: 0 }),
    timeout: checkedTime(whose, "timeout", options.timeout),
    heartbeat: checkedTime(whose, "heartbeat", options.heartbeat),
    limits: checkedLimits(whose, options.limits),
    tag,
    toLayer: <R>(handler: (payload: P["Type"], attempt: ActionAttempt) => Effect.Effect<S["Type"], E["Type"], R>) =>
      Layer.scoped(
        tag,
        Effect.gen(function* () {
          yield* supplying(facts)
          const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
          const inFlight = yield* InFlight.make
          const handle: Handle = (payload, attempt) =>
            inFlight.during(
              // SAFETY: what the layer's context lacks of R is the Scope, which the attempt has.
              Effect.mapInputContext(
                handler(payload, attempt),
                (own: Context.Context<Scope.Scope>) => Context.merge(context, own) as Context.Context<R>
              )
            )
          return { handle, facts, executor: executorOf(action, handle) }
        })
      )
  }
  return action
}

const same = (value: never): never => value

const checkedLimits = <K>(whose: string, limits: FlowLimits<K> | undefined): FlowLimits<K> | undefined =>
  checked(`${whose}, limits`, limits, limits === undefined ? undefined : problemOf(limits))

const checkedRetry = (whose: string, retry: RetryOptions): RetryOptions =>
  checked(`${whose}, retry`, retry, problemOfRetry({ ...retry }))

/**
 * Runs an action as a journaled step of the workflow: once it has completed, its result is the record's. Its path is
 * the action's name below the branch, numbered from the second call on.
 *
 * Fails with the action's typed error when all attempts have; with `ActionTimedOut` when the last one timed out, if the
 * action has a `timeout` or a `heartbeat`: without, the run's step timeout is a defect. A handler that dies fails its
 * attempt; when the last one dies, so does the call.
 */
export const call = <
  Name extends string,
  P extends AnySchema,
  S extends AnySchema,
  E extends AnySchema,
  X extends ActionTimedOut
>(
  action: Action<Name, P, S, E, X>,
  payload: P["Type"]
): Effect.Effect<S["Type"], E["Type"] | X, WorkflowRun | Handler<Name, P["Type"], S["Type"], E["Type"]>> =>
  Effect.gen(function* () {
    const branch = yield* currentBranch(action.name)
    const { facts, handle } = yield* action.tag
    const collided = collision(facts, factsOf(action))
    // A2: a bad deploy must not fail its runs.
    if (collided !== undefined) return yield* branch.run.misfit(collided.message)
    const { run } = branch
    const whose = () => `that workflow '${run.record.workflow}' gives to action '${action.name}'`
    const encoded = yield* encodePayload(action.payload, payload, whose)
    const path = branch.next(action.name)
    run.host.given(run, path, encoded)
    const row = yield* step({
      branch,
      path,
      kind: "call",
      name: action.name,
      role: "actor",
      retries: action.retry.times,
      delay: (retry) => Effect.succeed(retryDelay(action.retry, retry)),
      timeout: action.timeout ?? run.record.settings.stepTimeout,
      heartbeat: action.heartbeat,
      failedAs: "failed",
      turn: turnOf(action.name, action.limits, () => payload),
      attempt: (attempt) =>
        andThen(readPayload(action, encoded), (decoded) =>
          andThen(keyFor(action, decoded), (key) =>
            runHandler(action, attempt, () => handle(decoded, attemptOf(attempt, key)))
          )
        )
    })
    return yield* outcomeOf(action, run, row)
  })

const attemptOf = (attempt: Attempt, key: string | undefined): ActionAttempt => ({
  run: attempt.run.id,
  path: attempt.spec.path,
  attempt: attempt.number,
  idempotencyKey: key ?? attempt.step.idempotencyKey,
  heartbeat: (details) => attempt.heartbeat(details),
  lastHeartbeat: attempt.record.heartbeat ?? attempt.previous?.heartbeat ?? undefined,
  dryRun: attempt.run.record.dryRun
})

type Ends = { readonly name: string; readonly success: AnySchema; readonly error: AnySchema }

/** A typed end is encoded at once: what cannot be encoded never reaches the journal. */
const runHandler = (
  action: Ends,
  attempt: Attempt,
  handle: () => Effect.Effect<unknown, unknown, Scope.Scope>
): Effect.Effect<AttemptSuccess, AttemptFailure, Scope.Scope> =>
  Effect.matchCauseEffect(Effect.suspend(handle), {
    onSuccess: (success) => Effect.map(encodeSuccess(action, success), (value) => ({ result: noResult, value })),
    onFailure: (cause) =>
      Either.match(Cause.failureOrCause(cause), {
        onLeft: (error) => failedTyped(action, error),
        onRight: (defect) => Effect.zipRight(tellDefect(action, attempt, defect), Effect.failCause(defect))
      })
  })

const tellDefect = ({ name }: Ends, attempt: Attempt, cause: Cause.Cause<never>): Effect.Effect<void> =>
  Cause.isDie(cause) ? logAttemptDefect(attempt, `the handler of action '${name}'`, cause) : Effect.void

const failedTyped = (action: Ends, error: unknown): Effect.Effect<never, AttemptFailure> =>
  Effect.flatMap(encodeError(action, error), (value) =>
    Effect.fail({ message: describeFailure(error), value: { error: value } })
  )

const outcomeOf = <Name extends string, S extends AnySchema, E extends AnySchema, X extends ActionTimedOut>(
  action: Pick<Action<Name, AnySchema, S, E, X>, "name" | "success" | "error" | "timeout" | "heartbeat" | "_TimedOut">,
  run: RunContext,
  row: StepRecord
): Effect.Effect<S["Type"], E["Type"] | X> => {
  const undecodable = (error: Unfit) =>
    run.misfit(`the recorded end of ${row.path} cannot be read by action '${action.name}': ${error.message}`)
  if (row.status === "completed") {
    return Effect.catchAll(decode(action.success, row.value), undecodable)
  }
  if (row.status === "timed_out") {
    const { path, error } = row
    const message = error ?? "timed out"
    if (action.timeout === null && action.heartbeat === null) return Effect.dieMessage(`${path}: ${message}`)
    // SAFETY: with a time of its own the action's X is this error.
    return Effect.fail(new ActionTimedOut({ action: action.name, path, message }) as X)
  }
  if (Predicate.hasProperty(row.value, "error")) {
    const decoded = Effect.catchAll(decode(action.error, row.value.error), undecodable)
    return Effect.flatMap(decoded, (error) => Effect.fail(error))
  }
  // Recorded when its branch or run was stopped: a replay stops there too.
  if (row.status === "cancelled") return Effect.interrupt
  return Effect.dieMessage(`${row.path}: ${row.error ?? row.status}`)
}
