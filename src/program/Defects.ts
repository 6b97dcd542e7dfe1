/**
 * Defects of what users write: their records keep the message, the log has the stack.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Attempt } from "../engine/Attempt.ts"
import type { RunContext } from "../engine/RunContext.ts"

type Run = Pick<RunContext, "id" | "shown">

/** Logs a defect with its stack, at error level. `what` died: `the body of workflow 'order'`. */
export const logDefect = (run: Run, what: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => Effect.annotateLogs(Effect.logError(textOf(run, what, cause)), { run: run.id }))

/** The same of an attempt; as a warning where it is tried again. */
export const logAttemptDefect = (attempt: Attempt, what: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { retriesLeft, run, spec } = attempt
    const text = textOf(run, what, cause)
    const logged = retriesLeft > 0 ? Effect.logWarning(text) : Effect.logError(text)
    return Effect.annotateLogs(logged, { run: run.id, step: spec.path })
  })

const textOf = (run: Run, what: string, cause: Cause.Cause<unknown>): string =>
  run.shown(`${what} died: ${Cause.pretty(cause, { renderErrorCause: true })}`)
