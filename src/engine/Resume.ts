/**
 * Going on with a run by its id: itself, or as a fork of it (spec/engine.md, "Records").
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Persistence, type RunAlreadyEnded } from "../persistence/Persistence.ts"
import { isEnded, RunId } from "../persistence/Records.ts"
import { isPaused } from "./Client.ts"
import { Engine, ProgramUnavailable } from "./Engine.ts"
import { type ForkError, forkOf, type ForkOptions } from "./Fork.ts"
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

/** A plain resume of a run that somebody paused: it goes on when it is unpaused (`Client.unpause`). */
export class RunPaused extends Schema.TaggedError<RunPaused>()("RunPaused", { run: RunId }) {
  override get message() {
    return `run ${this.run} is paused: it goes on when it is unpaused`
  }
}

export type ResumeError = RunAlreadyEnded | NothingToResume | RunPaused | ReopenError

/**
 * Takes up a run that has not ended and is not paused; opens a failed one again for what failed; with a mode, any ended
 * one from a step or as a whole. The run is resident when the effect succeeds.
 */
export const resume = (
  run: RunId,
  mode?: Exclude<ReopenMode, { _tag: "Failed" }>
): Effect.Effect<void, ResumeError, Engine | Persistence> =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const persistence = yield* Persistence
    const { status } = yield* persistence.get(run)
    if (mode === undefined && !isEnded(status)) {
      if (yield* isPaused(run)) return yield* new RunPaused({ run })
      return yield* engine.take(run)
    }
    if (!isEnded(status)) return yield* new RunNotEnded({ run, status })
    if (mode === undefined && status !== "failed") return yield* new NothingToResume({ run, status })
    yield* engine.adopt(run, reopen(persistence, engine.id, run, mode ?? { _tag: "Failed" }))
  })

/**
 * Starts a new run here from what another one, in whatever state, has done before a step: what stands in front of it and
 * has ended is kept. The other run is left as it is. Refused where nothing here can run the fork: a code workflow of
 * another version.
 */
export const fork = (
  run: RunId,
  options: ForkOptions
): Effect.Effect<RunId, ForkError | ProgramUnavailable, Engine | Persistence> =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const persistence = yield* Persistence
    const other = yield* persistence.get(run)
    if (!(yield* engine.accepts(other))) {
      const message = `run ${run} cannot be forked here: workflow '${other.workflow}' (${other.definition}) is not known`
      return yield* new ProgramUnavailable({ message })
    }
    const [root, ...below] = yield* forkOf(persistence, run, options, engine.newRunId)
    return yield* Effect.catchTag(engine.start(root.run, { ...root, below }), "RunAlreadyExists", Effect.die)
  })
