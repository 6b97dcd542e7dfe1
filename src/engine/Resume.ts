/**
 * Going on with a run by its id (spec/engine.md, "Records").
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Persistence, type RunAlreadyEnded } from "../persistence/Persistence.ts"
import { isEnded, RunId } from "../persistence/Records.ts"
import { Engine } from "./Engine.ts"
import { reopen, type ReopenError, type ReopenMode, RunNotEnded } from "./Reopen.ts"

/** A plain resume of a run that completed or was cancelled. */
export class NothingToResume extends Schema.TaggedError<NothingToResume>()("NothingToResume", {
  run: RunId,
  status: Schema.String
}) {
  override get message() {
    return `run ${this.run} is ${this.status}: only a step of it, or all of it, can be run again`
  }
}

export type ResumeError = RunAlreadyEnded | NothingToResume | ReopenError

/**
 * Takes up a run that has not ended; opens a failed one again for what failed; with a mode, any ended one from a step
 * or as a whole. The run is resident when the effect succeeds.
 */
export const resume = (
  run: RunId,
  mode?: Exclude<ReopenMode, { _tag: "Failed" }>
): Effect.Effect<void, ResumeError, Engine | Persistence> =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const persistence = yield* Persistence
    const { status } = yield* persistence.get(run)
    if (mode === undefined && !isEnded(status)) return yield* engine.take(run)
    if (!isEnded(status)) return yield* new RunNotEnded({ run, status })
    if (mode === undefined && status !== "failed") return yield* new NothingToResume({ run, status })
    yield* engine.adopt(run, reopen(persistence, engine.id, run, mode ?? { _tag: "Failed" }))
  })
