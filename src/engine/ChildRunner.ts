/**
 * Children that live elsewhere: in another engine, with another store (spec/engine.md, "Child runs" and "Services").
 *
 * Owns: the service, and how children here and elsewhere look alike to their parents.
 * Neighbours: `ChildRuns` are an engine's own; `Child` waits for either.
 * - C4 A child elsewhere is started when its id is a row of its parent; one that a crash kept from it, by the next look.
 * - C5 A parent looks at a child elsewhere at least every `resolverInterval`, also when it was let go meanwhile: what
 *   the runner says of changes is a hint.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { PersistenceService, StoredDefinition } from "../persistence/Persistence.ts"
import type { InboxMessage, RunId, RunRecord } from "../persistence/Records.ts"
import type { Engine } from "./Engine.ts"
import { sendAlong } from "./Chain.ts"
import { reopenFailed } from "./Reopen.ts"

/** The place where a child lives could not do what it was asked; it is asked again. */
export class ChildRunnerFailed extends Schema.TaggedError<ChildRunnerFailed>()("ChildRunnerFailed", {
  message: Schema.String
}) {}

export interface ChildRunnerService {
  /** Whether a child is to live there; asked when it is dispatched. The others are the engine's own. */
  readonly accepts: (child: RunRecord) => boolean
  /** Starts a child, with the definition that its record names; nothing if it is there already. */
  readonly start: (child: RunRecord, definition: StoredDefinition | undefined) => Effect.Effect<void, ChildRunnerFailed>
  /** The child's record as it is now; undefined if it is not there. */
  readonly find: (child: RunId) => Effect.Effect<RunRecord | undefined, ChildRunnerFailed>
  /** Sees to it that a child which has not ended is run by somebody. */
  readonly resume: (child: RunId) => Effect.Effect<void, ChildRunnerFailed>
  /** Opens a child that ended failed or cancelled again for what did not complete. */
  readonly reopen: (child: RunId) => Effect.Effect<void, ChildRunnerFailed>
  /** Puts a cancellation, a pause or its end, or an answer to a child; nothing if it has ended. */
  readonly send: (child: RunId, message: InboxMessage) => Effect.Effect<void, ChildRunnerFailed>
  /** Returns when the child's record may no longer be as this one says. */
  readonly changed: (child: RunRecord) => Effect.Effect<void, ChildRunnerFailed>
}

const nowhere = Effect.dieMessage("no child lives elsewhere")

/** All children are the engine's own. */
const thisEngine: ChildRunnerService = {
  accepts: () => false,
  start: () => nowhere,
  find: () => Effect.succeed(undefined),
  resume: () => nowhere,
  reopen: () => nowhere,
  send: (child) => Effect.fail(new ChildRunnerFailed({ message: `there is no run ${child}` })),
  changed: () => nowhere
}

export const isThisEngine = (runner: ChildRunnerService): boolean => runner === thisEngine

/** Runs the children that are not to live in the engine of their parents; default: there are none. */
export class ChildRunner extends Context.Reference<ChildRunner>()("millrace/ChildRunner", {
  defaultValue: (): ChildRunnerService => thisEngine
}) {
  static readonly layerWith = (runner: ChildRunnerService): Layer.Layer<never> => Layer.succeed(ChildRunner, runner)
}

export interface OtherEngine {
  readonly engine: Context.Tag.Service<typeof Engine>
  /** That engine's store. */
  readonly persistence: PersistenceService
  /** Default: all children. */
  readonly accepts?: (child: RunRecord) => boolean
}

/**
 * A runner over another engine of this process, which must know the children's workflows. In its store a child is a
 * root: a store lists and prunes what it holds as a whole.
 */
export const otherEngine = ({ accepts, engine, persistence }: OtherEngine): ChildRunnerService => {
  const nothing = () => Effect.void
  return {
    accepts: accepts ?? (() => true),
    start: (child, definition) => {
      const stored =
        definition === undefined
          ? Effect.void
          : Effect.flatMap(Clock.currentTimeMillis, (now) => persistence.storeDefinition(definition, now))
      const started = engine.start({ ...child, parent: null, root: child.id })
      return failing(Effect.zipRight(stored, Effect.catchTag(Effect.asVoid(started), "RunAlreadyExists", nothing)))
    },
    find: (child) => failing(Effect.catchTag(persistence.get(child), "RunNotFound", () => Effect.succeed(undefined))),
    resume: (child) =>
      failing(Effect.catchTags(engine.take(child), { RunAlreadyOwned: nothing, RunAlreadyEnded: nothing })),
    reopen: (child) => {
      const opened = reopenFailed(persistence, engine.id, child)
      return failing(Effect.catchTag(engine.adopt(child, opened), "RunNotEnded", nothing))
    },
    send: (child, message) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const sent = Effect.asVoid(sendAlong(persistence, child, (id) => persistence.send(id, message, now)))
        return failing(Effect.catchTag(sent, "RunAlreadyEnded", nothing))
      }),
    changed: (child) => failing(untilChanged(engine, persistence, child))
  }
}

const failing = <A, E extends { readonly message: string }>(
  effect: Effect.Effect<A, E>
): Effect.Effect<A, ChildRunnerFailed> => Effect.mapError(effect, ({ message }) => new ChildRunnerFailed({ message }))

/** The events are listened to before the record is read, so that no change falls between. */
const untilChanged = (engine: OtherEngine["engine"], persistence: PersistenceService, child: RunRecord) =>
  Effect.scoped(
    Effect.gen(function* () {
      const events = yield* engine.events((event) => event.run === child.id)
      const now = yield* persistence.get(child.id)
      if (sign(now) === sign(child)) yield* Stream.runHead(events)
    })
  )

/** What a parent looks at. */
const sign = ({ status, epoch, blockedOn }: RunRecord): string => JSON.stringify([status, epoch, blockedOn])
