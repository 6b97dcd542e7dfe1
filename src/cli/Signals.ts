/**
 * What the signals mean while a run goes on here: SIGINT cancels it, a second one ends this process at once (the
 * lifelines of its scripts then kill their groups); SIGTERM shuts down so that the run can be resumed.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ExitCode } from "./ExitCode.ts"

export interface SignalHandlers {
  /** The first SIGINT. */
  readonly cancel: () => void
  /** Gives the terminal back before the process ends at once. */
  readonly leave: () => void
}

/** Until the scope closes; the effect within never ends, but with SIGTERM. */
export const handleSignals = (
  handlers: SignalHandlers
): Effect.Effect<Effect.Effect<typeof ExitCode.shutDown>, never, Scope.Scope> =>
  Effect.gen(function* () {
    let interrupted = false
    let terminated = false
    let shutDown: (() => void) | undefined
    const onInterrupt = () => {
      if (interrupted) {
        handlers.leave()
        process.exit(ExitCode.cancelled)
      }
      interrupted = true
      handlers.cancel()
    }
    const onTerminate = () => {
      if (terminated) {
        handlers.leave()
        process.exit(ExitCode.shutDown)
      }
      terminated = true
      shutDown?.()
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        process.on("SIGINT", onInterrupt)
        process.on("SIGTERM", onTerminate)
      }),
      () =>
        Effect.sync(() => {
          process.off("SIGINT", onInterrupt)
          process.off("SIGTERM", onTerminate)
        })
    )
    return Effect.async<typeof ExitCode.shutDown>((resume) => {
      shutDown = () => resume(Effect.succeed(ExitCode.shutDown))
      if (terminated) shutDown()
    })
  })
