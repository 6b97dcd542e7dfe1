/**
 * Effects that have their result already. Going on from one directly, rather than through the fiber's loop, is what
 * makes a step of instant parts cheap (design.md, "Costs to know").
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** As `Effect.flatMap`, at once where the effect has succeeded already. */
export const andThen = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  then: (value: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> => {
  const success = succeeded(effect)
  return success === undefined ? Effect.flatMap(effect, then) : then(success.value)
}

/** As `Effect.matchEffect`, at once where the effect has succeeded already. */
export const matchError = <A, E, R, B, E2, R2, C, E3, R3>(
  effect: Effect.Effect<A, E, R>,
  cases: {
    readonly onFailure: (error: E) => Effect.Effect<B, E2, R2>
    readonly onSuccess: (value: A) => Effect.Effect<C, E3, R3>
  }
): Effect.Effect<B | C, E2 | E3, R | R2 | R3> => {
  const success = succeeded(effect)
  return success === undefined ? Effect.matchEffect(effect, cases) : cases.onSuccess(success.value)
}

/** As `Effect.matchCauseEffect`, at once where the effect has succeeded already. */
export const matchCause = <A, E, R, B, E2, R2, C, E3, R3>(
  effect: Effect.Effect<A, E, R>,
  cases: {
    readonly onFailure: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R2>
    readonly onSuccess: (value: A) => Effect.Effect<C, E3, R3>
  }
): Effect.Effect<B | C, E2 | E3, R | R2 | R3> => {
  const success = succeeded(effect)
  return success === undefined ? Effect.matchCauseEffect(effect, cases) : cases.onSuccess(success.value)
}

/** The effect that a function makes at once; a defect where it throws. */
export const made = <A, E, R>(make: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  try {
    return make()
  } catch (thrown) {
    return Exit.die(thrown)
  }
}

/** As `Effect.mapError`, of an effect that may have succeeded already. */
export const orFail = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  error: (error: E) => E2
): Effect.Effect<A, E2, R> => {
  const success = succeeded(effect)
  return success === undefined ? Effect.mapError(effect, error) : Effect.succeed(success.value)
}

const succeeded = <A, E, R>(effect: Effect.Effect<A, E, R>): Exit.Success<A, E> | undefined => {
  const exit = settled(effect)
  return exit !== undefined && Exit.isSuccess(exit) ? exit : undefined
}

/** The exit of an effect that has its result; undefined: it has to be run. */
export const settled = <A, E, R>(effect: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined => {
  const known: unknown = effect
  // SAFETY: an effect that is an Exit has the types of the effect.
  return Exit.isExit(known) ? (known as Exit.Exit<A, E>) : undefined
}
