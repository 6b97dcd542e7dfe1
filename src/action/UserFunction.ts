/**
 * Functions that users write: what they give may be a value, a promise of one or an Effect of one, and what they throw
 * may be anything.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { kind } from "../workflow/Json.ts"

/** What users' functions may give in place of an `A`. */
export type Given<A, R = never> = A | PromiseLike<A> | Effect.Effect<A, unknown, R | Scope.Scope>

/** What a thrown value says; one that is neither an Error nor text says nothing. */
export const thrownText = (thrown: unknown): string | undefined => {
  const text = thrown instanceof Error ? thrown.message || thrown.name : thrown
  return typeof text === "string" && text !== "" ? text : undefined
}

/** That something threw, as the end of a sentence whose beginning names it. */
export const threw = (what: string, thrown: unknown): string => {
  const text = thrownText(thrown)
  return text === undefined ? `${what} threw` : `${what} threw: ${text}`
}

/** The text that a user's function gives, named by `what`; or why it gives none, as a sentence. */
export const textOf = (what: string, call: () => unknown): Either.Either<string, string> =>
  Either.flatMap(Either.try({ try: call, catch: (thrown) => threw(what, thrown) }), (value) =>
    typeof value === "string" ? Either.right(value) : Either.left(`${what} has to give a text, not ${kind(value)}`)
  )

/** Why a user's Effect failed. One that interrupts itself has failed; when its caller is interrupted, nobody asks. */
export const causeText = (cause: Cause.Cause<unknown>): string => {
  if (Cause.isInterruptedOnly(cause)) return "interrupted itself"
  const text = thrownText(Cause.squash(cause))
  return text === undefined ? "failed" : `failed: ${text}`
}

/**
 * Calls a user's function and gives what it settles to; fails with why it did not, as the end of a sentence. The
 * signal is aborted when the wait is interrupted; a promise that goes on is left to itself.
 */
export const settle = (call: (signal: AbortSignal) => unknown): Effect.Effect<unknown, string, Scope.Scope> =>
  Effect.suspend(() => {
    const controller = new AbortController()
    const called = Effect.try({ try: () => call(controller.signal), catch: (thrown) => thrown })
    return Effect.onInterrupt(Effect.flatMap(called, settled), () =>
      Effect.sync(() => controller.abort(new Error("interrupted")))
    )
  }).pipe(Effect.catchAllCause((cause) => Effect.fail(causeText(cause))))

const settled = (value: unknown): Effect.Effect<unknown, unknown, Scope.Scope> => {
  // SAFETY: an Effect that needs more than its caller provides dies for want of the service, which is told.
  if (Effect.isEffect(value)) return value as Effect.Effect<unknown, unknown, Scope.Scope>
  if (!Predicate.isPromiseLike(value)) return Effect.succeed(value)
  return Effect.async((resume) => {
    Promise.resolve(value).then(
      (result) => resume(Exit.succeed(result)),
      (thrown: unknown) => resume(Exit.fail(thrown))
    )
  })
}
