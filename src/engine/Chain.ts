/**
 * Runs that continued as new, from outside: whoever holds the id of one means the run that the chain has come to.
 */
import * as Effect from "effect/Effect"
import {
  type PersistenceError,
  type PersistenceService,
  RunAlreadyEnded,
  type RunNotFound
} from "../persistence/Persistence.ts"
import type { RunId, RunRecord } from "../persistence/Records.ts"

/** The record of the run itself, or of the last one of its chain. */
export const newest = (
  persistence: PersistenceService,
  run: RunId
): Effect.Effect<RunRecord, RunNotFound | PersistenceError> =>
  Effect.flatMap(persistence.get(run), (record) =>
    record.continuedAs === null ? Effect.succeed(record) : newest(persistence, record.continuedAs)
  )

/** Sends to a run, or, where that went on as another one, also in this very moment, to that one. */
export const sendAlong = <A, E extends { readonly _tag: string }>(
  persistence: PersistenceService,
  run: RunId,
  send: (run: RunId) => Effect.Effect<A, E | RunAlreadyEnded>
): Effect.Effect<A, E | RunAlreadyEnded | RunNotFound | PersistenceError> =>
  Effect.catchAll(send(run), (error) => {
    if (!(error instanceof RunAlreadyEnded)) return Effect.fail(error)
    return Effect.flatMap(persistence.get(run), ({ continuedAs }) =>
      continuedAs === null ? Effect.fail(error) : sendAlong(persistence, continuedAs, send)
    )
  })
