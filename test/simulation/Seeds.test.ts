/**
 * The simulation, as far as the test command goes: `npm run simulate` plays as many seeds as one has time for.
 */
import { describe, expect, it } from "vitest"
import { describeFailure, emptySummary, simulateAll } from "../../src/testing/simulation/Report.ts"
import { simulate } from "../../src/testing/simulation/Simulation.ts"

const seeds = Array.from({ length: 200 }, (_, index) => index + 1)

describe("engines, a store and people on a virtual clock", () => {
  it("keep every invariant, and end or wait for a reason, whatever befalls them", { timeout: 240_000 }, () => {
    const summary = simulateAll(seeds, emptySummary)
    expect(summary.seeds).toBe(seeds.length)
    expect(summary.failures.map((report) => describeFailure(report))).toEqual([])
  })

  it("do the same again for the same seed", () => {
    expect(simulate(17).log).toEqual(simulate(17).log)
    expect(simulate(17).log).not.toEqual(simulate(18).log)
  })
})
