/**
 * Children here and elsewhere, behind one face (spec/engine.md, "Child runs").
 *
 * Neighbours: `ChildRuns` does it for an engine's own children, `ChildRunner` for the others. A child that is in the
 * engine's own store is the engine's, whatever the runner would accept today.
 */
import * as Effect from "effect/Effect"
import type { PersistenceError, PersistenceService, StoredDefinition } from "../persistence/Persistence.ts"
import type { InboxMessage, RunId, RunRecord } from "../persistence/Records.ts"
import type { ChildRunnerFailed, ChildRunnerService } from "./ChildRunner.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { Children } from "./RunContext.ts"

export interface ElsewhereOptions {
  readonly own: Children
  readonly runner: ChildRunnerService
  readonly persistence: PersistenceService
  readonly deadlines: Deadlines
  /** Longest time between two looks at a child elsewhere, and between two tries; ms. */
  readonly interval: number
}

export const withChildRunner = (options: ElsewhereOptions): Children => {
  const { interval, own, runner } = options
  /** Records that the runner gave. */
  const foreign = new WeakSet<RunRecord>()
  const find = (child: RunId) =>
    Effect.tap(untilDone(options, runner.find(child)), (record) =>
      Effect.sync(() => record !== undefined && foreign.add(record))
    )
  const start = (record: RunRecord) =>
    untilDone(
      options,
      Effect.flatMap(definitionOf(options, record), (it) => runner.start(record, it))
    )
  /** Nothing to a child that has not been started. */
  const send = (child: RunId, message: InboxMessage) =>
    Effect.flatMap(find(child), (record) =>
      record === undefined ? Effect.void : untilDone(options, runner.send(child, message))
    )
  return {
    get: (child, dispatched) =>
      here(options, child, own.get(child), () =>
        Effect.flatMap(find(child), (record) => {
          if (record !== undefined || dispatched === undefined) return Effect.succeed(record)
          return Effect.zipRight(start(dispatched()), find(child))
        })
      ),
    create: (child) => (runner.accepts(child) ? [] : own.create(child)),
    // C4: a child elsewhere is started by whoever first looks for it, where it can be interrupted.
    start: (child) => (runner.accepts(child) ? Effect.void : own.start(child)),
    ensure: (child) =>
      here(options, child, own.ensure(child), () => Effect.as(untilDone(options, runner.resume(child)), false)),
    reopen: (child) => here(options, child, own.reopen(child), () => untilDone(options, runner.reopen(child))),
    send: (child, message) => here(options, child, own.send(child, message), () => send(child, message)),
    sendElsewhere: (children, message) =>
      Effect.forEach(children, (child) => here(options, child, Effect.void, () => send(child, message)), {
        concurrency: "unbounded",
        discard: true
      }),
    elsewhere: (child) =>
      foreign.has(child) ? { changed: untilDone(options, runner.changed(child)), within: interval } : undefined
  }
}

/** Does the one for a child of this store, else the other. */
const here = <A>(
  { persistence, ...options }: ElsewhereOptions,
  child: RunId,
  own: Effect.Effect<A>,
  other: () => Effect.Effect<A>
): Effect.Effect<A> => {
  const isOwn = Effect.as(persistence.get(child), true)
  const found = Effect.catchTag(isOwn, "RunNotFound", () => Effect.succeed(false))
  return Effect.flatMap(untilDone(options, found), (isOwn) => (isOwn ? own : other()))
}

const definitionOf = (
  { persistence }: ElsewhereOptions,
  child: RunRecord
): Effect.Effect<StoredDefinition | undefined, PersistenceError> => persistence.definition(child.definition)

/** Tries again for as long as it takes: whoever waits for it is interrupted when that is too long. */
const untilDone = <A>(
  options: Pick<ElsewhereOptions, "deadlines" | "interval">,
  effect: Effect.Effect<A, ChildRunnerFailed | PersistenceError>
): Effect.Effect<A> =>
  Effect.catchAll(effect, (error) =>
    Effect.logWarning(`a child run elsewhere: ${error.message}`).pipe(
      Effect.zipRight(options.deadlines.sleep(options.interval)),
      Effect.zipRight(Effect.suspend(() => untilDone(options, effect)))
    )
  )
