/**
 * What the signals mean. While a run goes on here: SIGINT cancels it, SIGTERM shuts down so that it can be resumed. To a
 * worker, whose runs are not those of whoever stopped it: both shut it down. A second one ends this process at once; the
 * lifelines of its scripts then kill their groups.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import { ExitCode } from "./ExitCode.ts"

export type StopSignal = "SIGINT" | "SIGTERM"

const codes: Readonly<Record<StopSignal, ExitCode>> = { SIGINT: ExitCode.cancelled, SIGTERM: ExitCode.shutDown }

interface Listeners {
  /** The first signal of its kind. */
  readonly first: (signal: StopSignal) => void
  /** Whether this one, which is not the first, ends the process at once. */
  readonly isLast: (signal: StopSignal, before: ReadonlySet<StopSignal>) => boolean
  /** Gives the terminal back before the process ends at once. */
  readonly leave: () => void
}

/** Until the scope closes. */
const listen = ({ first, isLast, leave }: Listeners): Effect.Effect<void, never, Scope.Scope> => {
  const before = new Set<StopSignal>()
  const on = (signal: StopSignal) => {
    if (isLast(signal, before)) {
      leave()
      process.exit(codes[signal])
    }
    before.add(signal)
    first(signal)
  }
  const add = Effect.sync(() => {
    process.on("SIGINT", on)
    process.on("SIGTERM", on)
  })
  const remove = Effect.sync(() => {
    process.off("SIGINT", on)
    process.off("SIGTERM", on)
  })
  return Effect.acquireRelease(add, () => remove)
}

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
    const terminated = Deferred.unsafeMake<typeof ExitCode.shutDown>(FiberId.none)
    yield* listen({
      first: (signal) => {
        if (signal === "SIGINT") handlers.cancel()
        else Deferred.unsafeDone(terminated, Effect.succeed(ExitCode.shutDown))
      },
      isLast: (signal, before) => before.has(signal),
      leave: handlers.leave
    })
    return Deferred.await(terminated)
  })

/** Until the scope closes; the effect within ends with the first signal of either kind. */
export const shutDownSignal: Effect.Effect<Effect.Effect<StopSignal>, never, Scope.Scope> = Effect.gen(function* () {
  const stopped = Deferred.unsafeMake<StopSignal>(FiberId.none)
  yield* listen({
    first: (signal) => Deferred.unsafeDone(stopped, Effect.succeed(signal)),
    isLast: (_signal, before) => before.size > 0,
    leave: () => undefined
  })
  return Deferred.await(stopped)
})
