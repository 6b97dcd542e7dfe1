/**
 * I1–I6 and law 7: a crash at every write. `SEED=n` runs the program of one seed alone, and prints it.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { crashEverywhere } from "../../../src/testing/CrashTest.ts"
import { generateProgram } from "../../../src/testing/ProgramGenerator.ts"
import type { TestProgram } from "../../../src/testing/TestProgram.ts"
import { print } from "../../../src/workflow/Printer.ts"
import { programs } from "./Programs.ts"

const seed = process.env["SEED"]
/** Of the generated programs with these seeds; together they cover every node kind but scripts. */
const count = 55
const seeds = seed === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [Number(seed)]

const show = (program: TestProgram): string =>
  [program.definition, ...program.workflows].map(print).join("\n") + JSON.stringify(program.actions)

const survives = (program: TestProgram) =>
  Effect.gen(function* () {
    const report = yield* crashEverywhere(program, { everyNth: seed === undefined ? 3 : 1, secondCrashes: 2 })
    const printed = seed === undefined ? "" : show(program)
    expect(report.failures.slice(0, 5).join("\n\n"), printed).toBe("")
    expect(report.resumed).toBeGreaterThan(report.writes)
  })

describe("a run that was stopped at any write, and whose store answered or not, ends with the same records", () => {
  for (const program of programs) it.live(program.name, () => survives(program), 60_000)
  for (const seed of seeds) it.live(`the program of seed ${seed}`, () => survives(generateProgram(seed)), 60_000)
})

describe("the generated programs", () => {
  it("hold every kind of node", () => {
    const all = seeds.map((seed) => show(generateProgram(seed))).join("\n")
    const wanted = [
      "call",
      "parallel",
      "gate",
      "if",
      "unless",
      "while",
      "do",
      "always",
      "foreach",
      "call workflow",
      "gate quality_gate"
    ]
    const missing = seed === undefined ? wanted.filter((kind) => !all.includes(`  ${kind} `)) : []
    expect(missing).toEqual([])
  })
})
