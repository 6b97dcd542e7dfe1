/**
 * Law 7 for typed workflows: stopped at any write and gone on with, they end with the same records; what was done is
 * taken back once and in order, and a chain of runs loses nothing.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { crashEverywhere } from "../../src/testing/CrashTest.ts"
import { typedSubject } from "../../src/testing/TypedProgram.ts"
import { programs } from "./Programs.ts"

describe("a typed run that was stopped at any write, and whose store answered or not, ends with the same records", () => {
  for (const program of programs) {
    it.live(
      program.name,
      () =>
        Effect.gen(function* () {
          const report = yield* crashEverywhere(typedSubject(program), { everyNth: 2, secondCrashes: 3 })
          expect(report.failures.slice(0, 5).join("\n\n")).toBe("")
          expect(report.resumed).toBeGreaterThan(report.writes)
        }),
      120_000
    )
  }
})
