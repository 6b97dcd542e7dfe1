/**
 * Law 7 for generated typed workflows: stopped at any write and gone on with, they end with the same records.
 */
import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { crashEverywhere } from "../../src/testing/CrashTest.ts"
import { generatedSubject } from "../../src/testing/simulation/GeneratedSubject.ts"

const only = process.env["SEED"]
const seeds = only === undefined ? Array.from({ length: 40 }, (_, index) => index + 1) : [Number(only)]
const total = { programs: 0, writes: 0, resumed: 0 }

describe("a generated typed run that was stopped at any write ends with the same records", () => {
  for (const seed of seeds) {
    it.live(
      `the typed program of seed ${seed}`,
      () =>
        Effect.gen(function* () {
          const report = yield* crashEverywhere(generatedSubject(seed), { everyNth: 8, secondCrashes: 1 })
          expect(report.failures.slice(0, 5).join("\n\n")).toBe("")
          total.programs += 1
          total.writes += report.writes
          total.resumed += report.resumed
        }),
      120_000
    )
  }
  afterAll(() => {
    console.log(
      `typed crashes: ${total.programs} programs, ${total.writes} writes, ${total.resumed} stopped and resumed`
    )
  })
})
