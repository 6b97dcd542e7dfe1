/**
 * Finding runs of a workflow, and reading how they do.
 *
 * - H1 A run that continued as new means the one that it has come to; an idempotency key is always that one's.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { newest } from "../engine/Chain.ts"
import { Engine } from "../engine/Engine.ts"
import { lasting, standstillOf, type Told, tellingOnce } from "../engine/Standstill.ts"
import { Persistence, type PersistenceError, RunNotFound } from "../persistence/Persistence.ts"
import { shownBlockedOn, shownText } from "../persistence/Redaction.ts"
import { type BlockedOn, isEnded, RunId, type RunRecord } from "../persistence/Records.ts"
import type { AnySchema } from "./Codec.ts"
import type { Shape } from "./Shape.ts"
import { warnOfStandstill } from "./StandstillWarnings.ts"
import { type CompensationFailed, endOf, type WorkflowFailed } from "./WorkflowEnd.ts"

/** A run, by its id or by the idempotency key that it was started with. */
export type RunTarget = RunId | { readonly idempotencyKey: string }

/** The id is that of another workflow's run. */
export class RunOfOtherWorkflow extends Schema.TaggedError<RunOfOtherWorkflow>()("RunOfOtherWorkflow", {
  run: RunId,
  workflow: Schema.String,
  actual: Schema.String
}) {
  override get message() {
    return `run ${this.run} is one of workflow '${this.actual}', not of '${this.workflow}'`
  }
}

/** How a run is doing. */
export type RunState<A, E> =
  /** Nobody has begun with it. */
  | { readonly _tag: "Pending"; readonly run: RunId }
  | { readonly _tag: "Running"; readonly run: RunId }
  /** For gates, signals, time or children. */
  | { readonly _tag: "Waiting"; readonly run: RunId; readonly on: ReadonlyArray<BlockedOn> }
  | { readonly _tag: "Cancelling"; readonly run: RunId; readonly reason: string }
  /** `needs_resume`: it does not go on by itself. */
  | { readonly _tag: "Parked"; readonly run: RunId; readonly reason: string }
  | { readonly _tag: "Completed"; readonly run: RunId; readonly value: A }
  | { readonly _tag: "Failed"; readonly run: RunId; readonly error: E | WorkflowFailed | CompensationFailed }
  | { readonly _tag: "Cancelled"; readonly run: RunId; readonly reason: string }

type AnyShape = Shape<AnySchema, AnySchema, AnySchema>

/** The run that a target means. */
export const find = (
  shape: Pick<AnyShape, "name">,
  target: RunTarget
): Effect.Effect<RunRecord, RunNotFound | RunOfOtherWorkflow | PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    if (typeof target !== "string") {
      const found = yield* persistence.findByKey(shape.name, target.idempotencyKey)
      return found ?? (yield* new RunNotFound({ run: `of '${shape.name}' for key '${target.idempotencyKey}'` }))
    }
    const record = yield* newest(persistence, target)
    if (record.workflow === shape.name) return record
    return yield* new RunOfOtherWorkflow({ run: record.id, workflow: shape.name, actual: record.workflow })
  })

/** Waits for a run's end; `told` why it stands still, once, if it does. */
export type UntilEnded<R> = (run: RunId, told: Told) => Effect.Effect<RunRecord, RunNotFound | PersistenceError, R>

/** Waits in this process's engine: what happens here is seen at once. */
export const awaitInEngine: UntilEnded<Engine> = (run, told) =>
  Effect.flatMap(Engine, (engine) => engine.await(run, told))

/** Looks again whenever somebody wrote, and every second. That others have not taken a run up yet is as it should be. */
export const awaitInStore: UntilEnded<Persistence> = (run, told) =>
  Effect.flatMap(Persistence, (persistence) => {
    const tell = tellingOnce((standstill) => (standstill._tag === "NotTaken" ? Effect.void : told(standstill)))
    const lasts = lasting()
    const look = Effect.tap(persistence.get(run), (record) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => tell(lasts(standstillOf(record, now), now)))
    )
    return Stream.merge(Stream.tick("1 second"), persistence.changes).pipe(
      Stream.mapEffect(() => look),
      Stream.filter(({ status }) => isEnded(status)),
      Stream.runHead,
      Effect.map(Option.getOrThrow)
    )
  })

/** The record of a run that ended, or of the run that its chain comes to; a warning says of one that stands still why. */
export const lastRecord = <R>(
  shape: Pick<AnyShape, "name">,
  run: RunId,
  untilEnded: UntilEnded<R>
): ReturnType<UntilEnded<R>> =>
  Effect.flatMap(
    untilEnded(run, (standstill) => warnOfStandstill(run, shape.name, standstill)),
    (record) =>
      record.continuedAs === null ? Effect.succeed(record) : lastRecord(shape, record.continuedAs, untilEnded)
  )

export const poll = <P extends AnySchema, S extends AnySchema, E extends AnySchema>(
  shape: Shape<P, S, E>,
  target: RunTarget
): Effect.Effect<Option.Option<RunState<S["Type"], E["Type"]>>, RunOfOtherWorkflow | PersistenceError, Persistence> =>
  find(shape, target).pipe(
    Effect.flatMap((record) => stateOf(shape, record)),
    Effect.asSome,
    Effect.catchTag("RunNotFound", () => Effect.succeedNone)
  )

const stateOf = <P extends AnySchema, S extends AnySchema, E extends AnySchema>(
  shape: Shape<P, S, E>,
  record: RunRecord
): Effect.Effect<RunState<S["Type"], E["Type"]>> => {
  const { id: run, status } = record
  const shown = (text: string | null) => shownText(record, text ?? "")
  switch (status) {
    case "pending":
      return Effect.succeed({ _tag: "Pending", run })
    case "running":
      return Effect.succeed({ _tag: "Running", run })
    case "waiting":
      return Effect.succeed({ _tag: "Waiting", run, on: record.blockedOn.map((on) => shownBlockedOn(record, on)) })
    case "cancelling":
      return Effect.succeed({ _tag: "Cancelling", run, reason: shown(record.cancelReason) })
    case "needs_resume":
      return Effect.succeed({ _tag: "Parked", run, reason: shown(record.error) })
    case "cancelled":
      return Effect.succeed({ _tag: "Cancelled", run, reason: shown(record.cancelReason) })
    case "completed":
    case "failed":
      return Effect.match(endOf(shape, record), {
        onSuccess: (value) => ({ _tag: "Completed", run, value }),
        onFailure: (error) => ({ _tag: "Failed", run, error })
      })
  }
}
