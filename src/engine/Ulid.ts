/**
 * ULIDs: 48 bits of time and 80 of randomness in Crockford's base 32, so that ids sort by creation.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

/** `random` gives numbers from 0 up to 1. */
export const ulid = (now: number, random: () => number): string => {
  let time = ""
  for (let left = now, i = 0; i < 10; i++) {
    time = (alphabet[left % 32] ?? "0") + time
    left = Math.floor(left / 32)
  }
  let rest = ""
  for (let i = 0; i < 16; i++) rest += alphabet[Math.floor(random() * 32)] ?? "0"
  return time + rest
}

/** One of now. */
export const newUlid: Effect.Effect<string> = Effect.gen(function* () {
  const now = yield* Clock.currentTimeMillis
  const draws = yield* Effect.replicateEffect(Random.next, 16)
  return ulid(now, () => draws.pop() ?? 0)
})
