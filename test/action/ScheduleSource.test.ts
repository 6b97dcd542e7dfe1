import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { readCron, scheduleSource } from "../../src/action/ScheduleSource.ts"
import { definitionOf } from "../engine/TestEngine.ts"

const schedules = (cron: string, timeZone = "UTC") =>
  new Map([["nightly", { cron: Either.getOrThrow(readCron(cron, timeZone)), inputs: { day: "x" } }]])

const nightly = definitionOf("workflow nightly { meta { trigger = scheduled } inputs { day required } }")

describe("the trigger source scheduled", () => {
  it.effect("gives an event at each of its times, whose id is the time", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1, 2, 59, 30))
      const taken = Stream.runCollect(Stream.take(scheduleSource(schedules("0 3 * * *")).events(nightly), 2))
      const fiber = yield* Effect.fork(taken)
      yield* TestClock.adjust("30 seconds")
      yield* TestClock.adjust("1 day")
      expect(Chunk.toReadonlyArray(yield* Fiber.join(fiber))).toEqual([
        { id: "scheduled:2026-01-01T03:00:00.000Z", inputs: { day: "x" } },
        { id: "scheduled:2026-01-02T03:00:00.000Z", inputs: { day: "x" } }
      ])
    })
  )

  it.effect("keeps to its time zone when the clocks change", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 2, 28, 0))
      const source = scheduleSource(schedules("0 9 * * *", "Europe/Berlin"))
      const fiber = yield* Effect.fork(Stream.runCollect(Stream.take(source.events(nightly), 2)))
      yield* TestClock.adjust("2 days")
      expect(Chunk.toReadonlyArray(yield* Fiber.join(fiber)).map(({ id }) => id)).toEqual([
        "scheduled:2026-03-28T08:00:00.000Z",
        "scheduled:2026-03-29T07:00:00.000Z"
      ])
    })
  )

  it.effect("gives nothing for a workflow without a schedule", () =>
    Effect.gen(function* () {
      const events = scheduleSource(new Map()).events(nightly)
      expect(Chunk.size(yield* Stream.runCollect(events))).toBe(0)
    })
  )
})
