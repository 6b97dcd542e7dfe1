/**
 * I1–I6 and law 7: a crash at every write. `SEED=n` runs the program of one seed alone, and prints it.
 */
import { describe, expect, it } from "@effect/vitest"
import { generateProgram } from "../../../src/testing/ProgramGenerator.ts"
import { onlySeed, seedsOf, show, stopEverywhere, survives } from "./CrashSeeds.ts"
import { programs } from "./Programs.ts"

const seeds = seedsOf(1)

describe("a run that was stopped at any write, and whose store answered or not, ends with the same records", () => {
  for (const program of programs) it.live(program.name, () => survives(program, 3, 2), 60_000)
  stopEverywhere(seeds)
})

describe("the generated programs", () => {
  it("hold every kind of node", () => {
    const all = seeds.map((seed) => show(generateProgram(seed))).join("\n")
    const wanted = [
      "call",
      "script",
      "parallel",
      "gate",
      "if",
      "unless",
      "while",
      "do",
      "always",
      "foreach",
      "pipeline",
      "call workflow",
      "gate quality_gate"
    ]
    const missing = onlySeed === undefined ? wanted.filter((kind) => !all.includes(`  ${kind} `)) : []
    expect(missing).toEqual([])
  })
})
