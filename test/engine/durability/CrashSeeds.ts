/** Crash tests of generated programs, spread over files: each has a processor of its own. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterAll } from "vitest"
import { crashEverywhere } from "../../../src/testing/CrashTest.ts"
import { generateProgram } from "../../../src/testing/ProgramGenerator.ts"
import type { TestProgram } from "../../../src/testing/TestProgram.ts"
import { print } from "../../../src/workflow/Printer.ts"

/** `SEED=n` runs the program of one seed alone, all of it, and prints it. */
export const onlySeed = process.env["SEED"] === undefined ? undefined : Number(process.env["SEED"])

/** Of the generated programs that the test command stops everywhere. */
const count = 200

/** One half of them. */
export const seedsOf = (half: 1 | 2): ReadonlyArray<number> => {
  if (onlySeed !== undefined) return half === 1 ? [onlySeed] : []
  return Array.from({ length: count / 2 }, (_, index) => ((half - 1) * count) / 2 + index + 1)
}

/** Programs whose writes are also lost and refused often; of the others fewer are, for the sake of time. */
const thorough = 20

export const show = (program: TestProgram): string =>
  [program.definition, ...program.workflows].map(print).join("\n") + JSON.stringify(program.actions)

const total = { programs: 0, writes: 0, resumed: 0 }

export const survives = (program: TestProgram, everyNth: number, secondCrashes: number) =>
  Effect.gen(function* () {
    const report = yield* crashEverywhere(program, { everyNth, secondCrashes })
    expect(report.failures.slice(0, 5).join("\n\n"), onlySeed === undefined ? "" : show(program)).toBe("")
    expect(report.resumed).toBeGreaterThanOrEqual(report.writes)
    total.programs += 1
    total.writes += report.writes
    total.resumed += report.resumed
  })

/** Every write of each program, once it is stopped; how many there were is printed. */
export const stopEverywhere = (seeds: ReadonlyArray<number>): void => {
  for (const seed of seeds) {
    const isThorough = seed <= thorough || seed === onlySeed
    it.live(
      `the program of seed ${seed}`,
      () => survives(generateProgram(seed), isThorough ? 3 : 12, isThorough ? 2 : 1),
      60_000
    )
  }
  afterAll(() => {
    console.log(`crashes: ${total.programs} programs, ${total.writes} writes, ${total.resumed} stopped and resumed`)
  })
}
