/** The simulation, as far as the test command goes, spread over two files: each has a processor of its own. */
import { describe, expect, it } from "vitest"
import { describeFailure, emptySummary, simulateAll } from "../../src/testing/simulation/Report.ts"

/** Seeds that the test command plays. */
const seeds = 1_000
/** Played without giving way. */
const batch = 20

/** Plays one half of them; `npm run simulate` plays as many as one has time for. */
export const playHalf = (half: 1 | 2): void => {
  const count = seeds / 2
  const first = (half - 1) * count + 1
  const played = Array.from({ length: count }, (_, index) => first + index)

  describe("engines, a store and people on a virtual clock", () => {
    it(`keep every invariant, and end or wait for a reason, whatever befalls them (seeds ${first} to ${first + count - 1})`, {
      timeout: 480_000
    }, async () => {
      const began = performance.now()
      let summary = emptySummary
      for (let next = 0; next < played.length; next += batch) {
        summary = simulateAll(played.slice(next, next + batch), summary)
        // Whoever runs this file wants to hear from it now and then.
        await new Promise((done) => setImmediate(done))
      }
      const seconds = ((performance.now() - began) / 1_000).toFixed(1)
      console.log(`simulation: ${summary.seeds} seeds, ${summary.events} events in ${seconds} s`)
      expect(summary.seeds).toBe(count)
      expect(summary.failures.map((report) => describeFailure(report))).toEqual([])
    })
  })
}
