import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { action, awaitEnd, calm, failing, isEvent, layerOf, start, watch, type World } from "./TestEngine.ts"

/** Runs a workflow of the one step `a` on the test clock, giving it the time that each of its retries waits for. */
const delays = (text: string, actions: World["actions"]) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const watched = yield* watch
    const id = yield* start(text)
    const drawn: Array<number> = []
    for (let retry = 1; retry <= 4; retry++) {
      const { timestamp } = yield* watched.until(isEvent("StepRetrying"), retry)
      const [row] = yield* persistence.steps(id)
      const delay = (row?.wakeAt ?? timestamp) - timestamp
      drawn.push(delay)
      yield* TestClock.adjust(delay)
    }
    const end = yield* awaitEnd(id, watched)
    const attempts = end.step("/a").attempts
    const waited = attempts.slice(1).map((attempt, i) => attempt.startedAt - (attempts[i]?.endedAt ?? 0))
    return { end, drawn, waited }
  }).pipe(Effect.provide(layerOf({ actions: actions ?? {}, settings: calm })))

describe("the wait before a retry", () => {
  it.scoped("is nothing by default", () =>
    Effect.gen(function* () {
      const { drawn, waited } = yield* delays("workflow w { call a { retries = 4 } }", { a: failing("no") })
      expect(drawn).toEqual([0, 0, 0, 0])
      expect(waited).toEqual([0, 0, 0, 0])
    })
  )

  it.scoped("is retry_delay, the same each time", () =>
    Effect.gen(function* () {
      const { waited } = yield* delays("workflow w { call a { retries = 4 retry_delay = 2s } }", { a: failing("no") })
      expect(waited).toEqual([2_000, 2_000, 2_000, 2_000])
    })
  )

  it.scoped("doubles up to max_delay with exponential backoff", () =>
    Effect.gen(function* () {
      const { waited, end } = yield* delays(
        "workflow w { call a { retries = 4 retry_delay = 1s backoff = exponential max_delay = 5s } }",
        { a: failing("no") }
      )
      expect(waited).toEqual([1_000, 2_000, 4_000, 5_000])
      expect(end.run.error).toBe("a: no")
    })
  )

  it.scoped("with jitter lies between half and the whole of it, and is recorded before it begins", () =>
    Effect.gen(function* () {
      const { drawn, waited } = yield* delays("workflow w { call a { retries = 4 retry_delay = 10s jitter = true } }", {
        a: failing("no")
      })
      for (const delay of drawn) {
        expect(delay).toBeGreaterThanOrEqual(5_000)
        expect(delay).toBeLessThanOrEqual(10_000)
      }
      expect(new Set(drawn).size).toBeGreaterThan(1)
      expect(waited).toEqual(drawn)
    })
  )

  it.scoped("names the retry that is to come in its event", () =>
    Effect.gen(function* () {
      let calls = 0
      const late = action(() => {
        calls += 1
        if (calls <= 4) throw new Error(`no ${calls}`)
        return {}
      })
      const { end } = yield* delays("workflow w { call a { retries = 4 } }", { a: late })
      const retries = end.events.filter(isEvent("StepRetrying"))
      expect(retries.map(({ attempt, error }) => [attempt, error])).toEqual(
        [1, 2, 3, 4].map((n) => [n, `'a' threw: no ${n}`])
      )
      expect(end.run.status).toBe("completed")
    })
  )
})
