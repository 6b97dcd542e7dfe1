/**
 * Effects that have their result already. Going on from one directly, rather than through the fiber's loop, is what
 * makes a step of instant parts cheap (design.md, "Costs to know").
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** As `Effect.flatMap`, at once where the effect has succeeded already. */
export const andThen = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  then: (value: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> => {
  const exit = settled(effect)
  return exit !== undefined && Exit.isSuccess(exit) ? then(exit.value) : Effect.flatMap(effect, then)
}

/** As `Effect.mapError`, of an effect that may have succeeded already. */
export const orFail = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  error: (error: E) => E2
): Effect.Effect<A, E2, R> => {
  const exit = settled(effect)
  return exit !== undefined && Exit.isSuccess(exit) ? Effect.succeed(exit.value) : Effect.mapError(effect, error)
}

/** The exit of an effect that has its result; undefined: it has to be run. */
export const settled = <A, E, R>(effect: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined => {
  const known: unknown = effect
  // SAFETY: an effect that is an Exit has the types of the effect.
  return Exit.isExit(known) ? (known as Exit.Exit<A, E>) : undefined
}
