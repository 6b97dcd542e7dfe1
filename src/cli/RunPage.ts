/**
 * A page of a list of runs, and where the next one begins.
 *
 * A text is looked for only in what may be shown of a run: whoever finds a run by its secret has been told of it. The
 * store finds it in secret values too, so what it finds is looked at again.
 */
import * as Effect from "effect/Effect"
import * as Runs from "../engine/Runs.ts"
import { Persistence, type PersistenceError, type RunFilter } from "../persistence/Persistence.ts"
import type { RunId, RunRecord } from "../persistence/Records.ts"
import { openInputs, shownRun } from "../persistence/Redaction.ts"
import { anyValueHas } from "../persistence/Rules.ts"

export interface RunPage {
  /** As they may be shown. */
  readonly runs: ReadonlyArray<RunRecord>
  /** The next page has the runs before this one; undefined: there is none. */
  readonly next: RunId | undefined
}

/** Runs asked for at once where some of them may not count. */
const atOnce = 200

export const readPage = (filter: RunFilter): Effect.Effect<RunPage, PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const { limit, text } = filter
    const found: Array<RunRecord> = []
    let { before } = filter
    for (;;) {
      const wanted = text === undefined ? limit + 1 : Math.max(limit + 1, atOnce)
      const runs = yield* persistence.list({ ...filter, limit: wanted, ...(before === undefined ? {} : { before }) })
      const known = yield* Runs.knowing(runs)
      found.push(...known.filter((run) => text === undefined || anyValueHas(openInputs(run), text)))
      before = runs.at(-1)?.id
      if (found.length > limit || runs.length < wanted) break
    }
    const runs = found.slice(0, limit).map(shownRun)
    return { runs, next: found.length > limit ? runs.at(-1)?.id : undefined }
  })
