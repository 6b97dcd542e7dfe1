/**
 * A fiber that gives way between any two of its operations, as a long-running one does now and then: what it has looked
 * at before may be otherwise when it goes on.
 */
import * as Effect from "effect/Effect"

/** Fewer, and a fiber would do nothing but give way. */
const operationsOfATurn = 20

/** Runs an effect in turns of some operations, the first of which has so many behind it. */
export const givingWay = <A, E, R>(operations: number, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let before: Effect.Effect<void> = Effect.void
  for (let n = 0; n < operations; n++) before = Effect.zipRight(before, Effect.void)
  return Effect.withMaxOpsBeforeYield(Effect.zipRight(before, effect), operationsOfATurn)
}

/** Where in its turn it stands, and how many turns the others have. */
export const moments = Array.from({ length: operationsOfATurn }, (_, operations) =>
  [0, 1, 2, 3, 5, 8, 13, 21].map((turns) => ({ operations, turns }))
).flat()
