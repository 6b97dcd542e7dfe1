/** Creating runs for whichever engine takes them up; an engine that begins with one at once: `Residents.begin`. */
import * as Effect from "effect/Effect"
import { type PersistenceError, type PersistenceService, RunAlreadyExists } from "../persistence/Persistence.ts"
import type { RunRecord } from "../persistence/Records.ts"
import { shownText } from "../persistence/Redaction.ts"

const maxTries = 5
/** Between two tries, ms. */
const retryDelay = 100

/**
 * Creates a run that nobody runs, to be taken up from `now` on. An answer that was lost is found out by trying again:
 * the run is there, under its own id.
 */
export const createUnclaimed = (
  persistence: PersistenceService,
  record: RunRecord,
  now: number
): Effect.Effect<void, RunAlreadyExists | PersistenceError> => {
  const run: RunRecord = { ...record, status: "pending", owner: null, generation: 0, seq: 0, readyAt: now }
  const create = (tries: number): Effect.Effect<void, RunAlreadyExists | PersistenceError> =>
    Effect.catchAll(persistence.create(run), (error) => {
      if (error instanceof RunAlreadyExists) return error.run === run.id ? Effect.void : Effect.fail(error)
      if (!error.transient || tries <= 1) return Effect.fail(error)
      return Effect.zipRight(Effect.sleep(retryDelay), create(tries - 1))
    })
  return Effect.mapError(create(maxTries), shownError(run))
}

/** A key may be made of what is secret. */
export const shownError =
  (record: RunRecord) =>
  (error: RunAlreadyExists | PersistenceError): RunAlreadyExists | PersistenceError => {
    if (!(error instanceof RunAlreadyExists)) return error
    const { idempotencyKey, run, workflow } = error
    return new RunAlreadyExists({ workflow, run, idempotencyKey: shownText(record, idempotencyKey) })
  }
