import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readAge, readSince } from "../../src/cli/Times.ts"

const now = Date.UTC(2026, 10, 21, 12)

const age = (word: string) => Effect.runSync(readAge("--older-than", word))
const since = (word: string) => new Date(Effect.runSync(readSince("--since", word, now))).toISOString()

describe("an age", () => {
  it("is a number and a unit", () => {
    expect(["0s", "90s", "1.5m", "12h", "30d", "4w"].map(age)).toEqual([
      0, 90_000, 90_000, 43_200_000, 2_592_000_000, 2_419_200_000
    ])
  })

  it.each(["", "30", "d", "-1d", "1 d", "30x", "1e3d", "30days", "toString"])("is not %j", (word) => {
    expect(Effect.runSync(Effect.flip(readAge("--older-than", word)))).toMatchObject({
      message: `--older-than needs an age, not '${word}'`
    })
  })
})

describe("a point in time", () => {
  it("is an age before now, or a date and a time, UTC where no zone is given", () => {
    expect(since("2h")).toBe("2026-11-21T10:00:00.000Z")
    expect(since("7d")).toBe("2026-11-14T12:00:00.000Z")
    expect(since("2026-11-01")).toBe("2026-11-01T00:00:00.000Z")
    expect(since("2026-11-01T08:30")).toBe("2026-11-01T08:30:00.000Z")
    expect(since("2026-11-01 08:30:05.25")).toBe("2026-11-01T08:30:05.250Z")
    expect(since("2026-11-01T08:30Z")).toBe("2026-11-01T08:30:00.000Z")
    expect(since("2026-11-01T08:30-05:00")).toBe("2026-11-01T13:30:00.000Z")
    expect(since("2024-02-29")).toBe("2024-02-29T00:00:00.000Z")
  })

  it.each(["", "yesterday", "2026", "2026-02-30", "2026-13-01", "2026-11-01T25:00", "2026-11-01T", "1", "11/01/2026"])(
    "is not %j",
    (word) => {
      expect(Effect.runSync(Effect.flip(readSince("--since", word, now)))).toMatchObject({
        message: `--since needs an age or a date, not '${word}'`
      })
    }
  )
})
