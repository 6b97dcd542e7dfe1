/**
 * ULIDs: 48 bits of time and 80 of randomness in Crockford's base 32, so that ids sort by creation.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

/** `random` gives numbers from 0 up to 1. */
export const ulid = (now: number, random: () => number): string => {
  let rest = ""
  for (let i = 0; i < draws; i++) rest += letters(Math.floor(random() * 2 ** 20))
  return timeOf(now) + rest
}

/** What those of a time begin with, ms: below all of that time and later. */
export const timeOf = (now: number): string => {
  let time = ""
  for (let left = now, i = 0; i < 10; i++) {
    time = (alphabet[left % 32] ?? "0") + time
    left = Math.floor(left / 32)
  }
  return time
}

/** Random numbers that one takes: 20 bits of each are used. */
const draws = 4

/** Four of them: 20 bits. */
const letters = (bits: number): string =>
  `${alphabet[bits >> 15]}${alphabet[(bits >> 10) & 31]}${alphabet[(bits >> 5) & 31]}${alphabet[bits & 31]}`

/** One of now. */
export const newUlid: Effect.Effect<string> = Effect.gen(function* () {
  const now = yield* Clock.currentTimeMillis
  const drawn = yield* Effect.replicateEffect(Random.next, draws)
  return ulid(now, () => drawn.pop() ?? 0)
})
