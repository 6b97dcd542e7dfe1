import { describe, expect, it } from "vitest"
import { describeFailure } from "../../src/testing/simulation/Report.ts"
import { simulate } from "../../src/testing/simulation/Simulation.ts"
import { playHalf } from "./support.ts"

playHalf(1)

describe("a simulation", () => {
  // A process stood still between its look at its lease and the commit that it then asked for.
  it.each([2718, 3334])("of seed %i asks for no commit when the lease is over", (seed) => {
    expect(describeFailure(simulate(seed))).toBe(undefined)
  })

  it("does the same again for the same seed", () => {
    expect(simulate(17).log).toEqual(simulate(17).log)
    expect(simulate(17).log).not.toEqual(simulate(18).log)
  })
})
