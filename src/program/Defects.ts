/**
 * Defects of what users write: their records keep the message, the log has the stack.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { RunContext } from "../engine/RunContext.ts"

/** Logs a defect with its stack, at error level. `what` died: `the body of workflow 'order'`. */
export const logDefect = (
  run: Pick<RunContext, "id" | "shown">,
  what: string,
  cause: Cause.Cause<unknown>,
  about: Readonly<Record<string, string>> = {}
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const stack = Cause.pretty(cause, { renderErrorCause: true })
    return Effect.annotateLogs(Effect.logError(run.shown(`${what} died: ${stack}`)), { run: run.id, ...about })
  })
