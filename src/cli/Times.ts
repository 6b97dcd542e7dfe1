/**
 * Ages and points in time as users write them: `30d`, `12h`, `2026-11-01`, `2026-11-01T08:30`. A time without a zone is
 * UTC, as all that is shown.
 */
import * as Effect from "effect/Effect"
import { UsageError } from "./CliError.ts"

/** ms */
const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

const isUnit = (text: string | undefined): text is keyof typeof units => text !== undefined && text in units

const ageIn = (word: string): number | undefined => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([a-z])$/.exec(word) ?? []
  return amount !== undefined && isUnit(unit) ? Number(amount) * units[unit] : undefined
}

/** An age, in ms. */
export const readAge = (option: string, word: string): Effect.Effect<number, UsageError> => {
  const age = ageIn(word)
  if (age !== undefined) return Effect.succeed(age)
  const hint = "a number and a unit: 90s, 30m, 12h, 30d, 4w"
  return Effect.fail(new UsageError({ message: `${option} needs an age, not '${word}'`, hint }))
}

const date = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/

/** The age of `2026-02-30` is none. */
const timeIn = (word: string): number | undefined => {
  const [, day, time = "00:00", zone = "Z"] = date.exec(word) ?? []
  if (day === undefined) return undefined
  const midnight = Date.parse(`${day}T00:00Z`)
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined
  const at = Date.parse(`${day}T${time}${zone}`)
  return Number.isNaN(at) ? undefined : at
}

/** An age before now, or a date; ms since the epoch. */
export const readSince = (option: string, word: string, now: number): Effect.Effect<number, UsageError> => {
  const age = ageIn(word)
  const at = age === undefined ? timeIn(word) : now - age
  if (at !== undefined) return Effect.succeed(at)
  const hint =
    "an age (2h, 7d), a date (2026-11-01), or a date and a time (2026-11-01T08:30, UTC; or with a zone, …+02:00)"
  return Effect.fail(new UsageError({ message: `${option} needs an age or a date, not '${word}'`, hint }))
}
