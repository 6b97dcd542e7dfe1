/**
 * Cases of laws: generated programs and interruption moments. `LAW_RUNS=n` tries n of each law, `LAW_SEED=n` starts from a
 * another seed than the test command's.
 */
import * as fc from "fast-check"
import { generateProgram } from "../../src/testing/ProgramGenerator.ts"
import { print } from "../../src/workflow/Printer.ts"
import type { TestProgram } from "../../src/testing/TestProgram.ts"
import type { End } from "./Ends.ts"
import { allowedEnds, allows, type Case } from "./Model.ts"

/** Cases of each law in the test command. */
export const runs = Number(process.env["LAW_RUNS"] ?? 1_000)
/** Longest time of a law, ms: the machine may be busy. */
export const limit = 120_000 + runs * 200

/** The same in every run of the test command, so that a change is judged by what it changes. */
const seed = Number(process.env["LAW_SEED"] ?? 1)

/** Tries a law on as many cases as the test command asks for. */
export const holds = <T>(cases: fc.Arbitrary<T>, law: (it: T) => Promise<void>, numRuns = runs): Promise<void> =>
  fc.assert(fc.asyncProperty(cases, law), {
    numRuns,
    endOnFailure: true,
    seed
  })

const programSeed = fc.noShrink(fc.integer({ min: 1, max: 2 ** 31 - 1 }))

/** Programs whose steps may end at the same time and cut each other off. */
export const racing: fc.Arbitrary<TestProgram> = fc
  .record({ seed: programSeed, size: fc.integer({ min: 1, max: 3 }), depth: fc.constantFrom(1, 1, 2) })
  .map(({ depth, seed, size }) => generateProgram(seed, { racing: true, size, depth }))

/** Programs whose end does not depend on the schedule. */
export const calm: fc.Arbitrary<TestProgram> = fc
  .record({ seed: programSeed, size: fc.integer({ min: 1, max: 3 }), depth: fc.constantFrom(1, 1, 2) })
  .map(({ depth, seed, size }) => generateProgram(seed, { size, depth }))

/** ms after a run's start: often when something else happens too. */
export const moment = fc.oneof(
  fc.integer({ min: 1, max: 12 }).map((n) => n * 10),
  fc.integer({ min: 1, max: 250 })
)

const shown = ({ program, cancelAfter }: Case): string =>
  [
    `${program.name}${cancelAfter === undefined ? "" : `, cancelled after ${cancelAfter} ms`}`,
    ...[program.definition, ...program.workflows].map(print),
    JSON.stringify({ ...program.options, actions: program.actions, answers: program.answers })
  ].join("\n")

/** Fails with the program, and what differs from the likeliest end that is allowed. */
export const expectAllowed = (it: Case, end: End): void => {
  if (allows(it, end)) return
  const likely: End = allowedEnds(it).next().value ?? []
  const missing = likely.filter((line) => !end.includes(line)).map((line) => `  expected ${line}`)
  const extra = end.filter((line) => !likely.includes(line)).map((line) => `  came     ${line}`)
  throw new Error(`an end that the model does not allow\n${[...missing, ...extra].join("\n")}\n${shown(it)}`)
}

/** Fails with the program. */
export const expectNone = (it: Case, problems: ReadonlyArray<string>): void => {
  if (problems.length > 0) throw new Error(`${problems.join("\n")}\n${shown(it)}`)
}
