import { describe, expect, it } from "vitest"
import { simulate } from "../../src/testing/simulation/Simulation.ts"
import { playHalf } from "./support.ts"

playHalf(1)

describe("a simulation", () => {
  it("does the same again for the same seed", () => {
    expect(simulate(17).log).toEqual(simulate(17).log)
    expect(simulate(17).log).not.toEqual(simulate(18).log)
  })
})
