/**
 * What is asked of a workflow's runs: typed, by run id or idempotency key.
 *
 * Neighbours: `Starting` makes runs, `Following` finds them and reads their ends, `engine/Client` speaks to them.
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Client from "../engine/Client.ts"
import type { Engine } from "../engine/Engine.ts"
import type {
  NotWaiting,
  Persistence,
  PersistenceError,
  RunAlreadyEnded,
  RunNotFound
} from "../persistence/Persistence.ts"
import type { RunId } from "../persistence/Records.ts"
import type { AnySchema } from "./Codec.ts"
import {
  awaitInEngine,
  awaitInStore,
  find,
  lastRecord,
  poll,
  type RunOfOtherWorkflow,
  type RunState,
  type RunTarget,
  type UntilEnded
} from "./Following.ts"
import { encodeAnswer, type Gate, type GateReply, type InvalidAnswer } from "./Gates.ts"
import type { Shape } from "./Shape.ts"
import { type Create, createHere, createInStore, type IdempotencyConflict, type PartsOf, start } from "./Starting.ts"
import { warnOfStart } from "./StandstillWarnings.ts"
import type { Signal } from "./Waits.ts"
import { encodePayload } from "./ValueRefused.ts"
import { type CompensationFailed, endOf, type WorkflowFailed } from "./WorkflowEnd.ts"

// Unions are written out where they reach a program's types: the compiler shows an alias, which no `catchTag` takes.

type Unknown = RunNotFound | RunOfOtherWorkflow | PersistenceError

/** The runs of a workflow. `R`: what it takes to start one and to wait for it; `X`: why none can be started. */
export interface Handle<P extends AnySchema, S extends AnySchema, E extends AnySchema, R, X = never> {
  /**
   * Creates a run, or finds the one with this payload's idempotency key; its id. One that this process's engine has no
   * layer for is left to other processes, with a warning.
   */
  readonly start: (payload: P["Type"]) => Effect.Effect<RunId, IdempotencyConflict | PersistenceError | X, R>
  /**
   * Starts a run and waits for its typed end, however long it takes; a warning says of a run that stands still why.
   * Interrupting it leaves the run as it is.
   */
  readonly execute: (
    payload: P["Type"]
  ) => Effect.Effect<
    S["Type"],
    E["Type"] | WorkflowFailed | CompensationFailed | IdempotencyConflict | PersistenceError | X,
    R
  >
  /**
   * Waits for a run's typed end, wherever it runs; also beyond runs that continued as new. A warning says of a run that
   * is parked, or that nobody here or elsewhere can begin with, why it stands still.
   */
  readonly await: (
    target: RunTarget
  ) => Effect.Effect<S["Type"], E["Type"] | WorkflowFailed | CompensationFailed | Unknown, R>
  /** How a run is doing at this moment; none if there is no such run. */
  readonly poll: (
    target: RunTarget
  ) => Effect.Effect<Option.Option<RunState<S["Type"], E["Type"]>>, RunOfOtherWorkflow | PersistenceError, Persistence>
  /** Asks a run to end: it takes back what has an undo, and ends cancelled. Asking twice changes nothing. */
  readonly cancel: (target: RunTarget, reason?: string) => Effect.Effect<void, RunAlreadyEnded | Unknown, Persistence>
  /** Asks a run, and those below it, to begin nothing further until it is let go on. Asking twice changes nothing. */
  readonly pause: (target: RunTarget) => Effect.Effect<void, RunAlreadyEnded | Unknown, Persistence>
  /** Lets a paused run go on; what came meanwhile, answers and deadlines, takes effect then. */
  readonly unpause: (target: RunTarget) => Effect.Effect<void, RunAlreadyEnded | Unknown, Persistence>
  /** Sends a signal; one that nobody waits for yet is kept. */
  readonly signal: <A extends AnySchema>(
    target: RunTarget,
    signal: Signal<A>,
    value: A["Type"]
  ) => Effect.Effect<void, RunAlreadyEnded | Unknown, Persistence>
  /** Answers the gate that a run, or one of its children, waits at. The first answer counts. */
  readonly answer: <K extends string, A extends AnySchema>(
    target: RunTarget,
    gate: Gate<K, A>,
    reply: GateReply<K, A["Type"]>
  ) => Effect.Effect<Client.Answered, AnswerError, Persistence>
}

export type AnswerError =
  | InvalidAnswer
  | NotWaiting
  | Client.AmbiguousGate
  | Client.InvalidSelection
  | Client.ValueNotAsked
  | RunAlreadyEnded
  | Unknown

/** Where runs are started and waited for. */
interface Place<R> {
  readonly create: Create<R>
  /** For one who waits, and is told then why nothing happens. */
  readonly createQuietly: Create<R>
  readonly untilEnded: UntilEnded<R>
}

/** Runs are started, and waited for, in this process's engine; those that it cannot run are left to others. */
export const engineHandle = <P extends AnySchema, S extends AnySchema, E extends AnySchema, X>(
  shape: Shape<P, S, E>,
  partsOf: PartsOf<X>
): Handle<P, S, E, Engine | Persistence, X> => handle(shape, inEngine, partsOf)

const inEngine: Place<Engine | Persistence> = {
  create: createHere(warnOfStart),
  createQuietly: createHere(() => Effect.void),
  untilEnded: awaitInEngine
}

/** Runs are left to whichever engine knows the workflow: this process needs none. */
export const storeHandle = <P extends AnySchema, S extends AnySchema, E extends AnySchema, X>(
  shape: Shape<P, S, E>,
  partsOf: PartsOf<X>
): Handle<P, S, E, Persistence, X> => handle(shape, inStore, partsOf)

const inStore: Place<Persistence> = { create: createInStore, createQuietly: createInStore, untilEnded: awaitInStore }

const handle = <P extends AnySchema, S extends AnySchema, E extends AnySchema, R, X>(
  shape: Shape<P, S, E>,
  { create, createQuietly, untilEnded }: Place<R>,
  partsOf: PartsOf<X>
): Handle<P, S, E, R | Persistence, X> => ({
  start: (payload) => start(shape, payload, create, partsOf),
  execute: (payload) =>
    Effect.flatMap(start(shape, payload, createQuietly, partsOf), (run) => {
      const last = Effect.catchTag(lastRecord(shape, run, untilEnded), "RunNotFound", Effect.die)
      return Effect.flatMap(last, (record) => endOf(shape, record))
    }),
  await: (target) =>
    Effect.flatMap(find(shape, target), ({ id }) =>
      Effect.flatMap(lastRecord(shape, id, untilEnded), (record) => endOf(shape, record))
    ),
  poll: (target) => poll(shape, target),
  cancel: (target, reason) => Effect.flatMap(find(shape, target), ({ id }) => Client.cancel(id, reason)),
  pause: (target) => Effect.flatMap(find(shape, target), ({ id }) => Client.pause(id)),
  unpause: (target) => Effect.flatMap(find(shape, target), ({ id }) => Client.unpause(id)),
  signal: (target, signal, value) =>
    Effect.flatMap(
      encodePayload(signal.payload, value, () => `of signal '${signal.name}'`),
      (encoded) => Effect.flatMap(find(shape, target), ({ id }) => Client.signal(id, signal.name, encoded))
    ),
  answer: (target, gate, reply) => answer(shape, target, gate, reply)
})

const answer = <P extends AnySchema, S extends AnySchema, E extends AnySchema, K extends string, A extends AnySchema>(
  shape: Shape<P, S, E>,
  target: RunTarget,
  gate: Gate<K, A>,
  reply: GateReply<K, A["Type"]>
): Effect.Effect<Client.Answered, AnswerError, Persistence> =>
  Effect.gen(function* () {
    const { id } = yield* find(shape, target)
    const { approved, feedback, by } = reply
    const value = reply.approved ? yield* encodeAnswer(gate, reply.value) : undefined
    return yield* Client.answer(id, {
      gate: gate.name,
      approved,
      value,
      ...(feedback === undefined ? {} : { feedback }),
      ...(by === undefined ? {} : { by }),
      ...(reply.approved && reply.selections !== undefined ? { selections: reply.selections } : {})
    })
  })
