/** Durations as people write them: `30s`, `5ms`, `2m`, `1h`; a bare integer counts seconds; and as options in code say them. */
import * as Duration from "effect/Duration"

const pattern = /^([0-9]+)(ms|s|m|h)?$/
const millisPer: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds, possibly more than a number can count exactly; undefined: it is no duration. */
export const readDuration = (text: string): number | undefined => {
  const parts = pattern.exec(text)
  return parts === null ? undefined : Number(parts[1]) * (millisPer[parts[2] ?? "s"] ?? 0)
}

/** How to write one. */
export const durationHint = "write an integer and `ms`, `s`, `m` or `h`, such as `30s`; a bare integer counts seconds"

/** An option in code, in ms; undefined where it is none: unreadable, negative, endless. */
export const millisOf = (input: unknown): number | undefined => {
  // What Duration reads as 0.
  if (typeof input === "string" ? input.trim().startsWith("-") : parts(input).some((part) => !(part >= 0))) {
    return undefined
  }
  const duration = Duration.decodeUnknown(input)
  const millis = duration._tag === "Some" ? Duration.toMillis(duration.value) : undefined
  return Number.isFinite(millis) ? millis : undefined
}

const parts = (input: unknown): ReadonlyArray<number | bigint> =>
  (Array.isArray(input) ? input : [input]).filter((part) => typeof part === "number" || typeof part === "bigint")
