/** Durations as people write them: `30s`, `5ms`, `2m`, `1h`; a bare integer counts seconds. */

const pattern = /^([0-9]+)(ms|s|m|h)?$/
const millisPer: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds, possibly more than a number can count exactly; undefined: it is no duration. */
export const readDuration = (text: string): number | undefined => {
  const parts = pattern.exec(text)
  return parts === null ? undefined : Number(parts[1]) * (millisPer[parts[2] ?? "s"] ?? 0)
}

/** How to write one. */
export const durationHint = "write an integer and `ms`, `s`, `m` or `h`, such as `30s`; a bare integer counts seconds"
