import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import { loop, type StepOutcome } from "../../src/orchestration/index.ts"
import { runCase, Stage, step, success } from "./support.ts"

const specs = (count: number) => Array.from({ length: count }, (_, index) => step(`s${index}`))

describe("loop", () => {
  it("runs rounds until next stops, gives no steps, or the cap is reached, and gives the last round's outcomes", async () => {
    const round = fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 3 }) },
      fc.constantFrom(0, "stop" as const)
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 3 }),
        fc.array(round, { maxLength: 5 }),
        fc.integer({ min: -1, max: 6 }),
        async (initial, rounds, max) => {
          const sizes = [initial]
          while (sizes.length < Math.max(1, max)) {
            const next = rounds[sizes.length - 1]
            if (initial === 0 || next === undefined || next === "stop" || next === 0) break
            sizes.push(next)
          }
          const stage = new Stage(2)
          const seen: Array<ReadonlyArray<StepOutcome>> = []
          const next = (outcomes: ReadonlyArray<StepOutcome>) => {
            seen.push(outcomes)
            const decision = rounds[seen.length - 1]
            return decision === undefined || decision === "stop" ? Option.none() : Option.some(specs(decision))
          }
          const last = await runCase(Effect.provide(loop(specs(initial), max, next), stage.layer))
          expect(last).toEqual(specs(sizes.at(-1) ?? 0).map(({ taskId }) => success(taskId)))
          expect(stage.runs.length).toBe(sizes.reduce((sum, size) => sum + size, 0))
          expect(seen.length).toBeLessThanOrEqual(Math.max(1, max))
        }
      ),
      { numRuns: 300 }
    )
  })

  it("refuses two steps of one task id in a later round too", async () => {
    const twice = () => Option.some([step("a"), step("a")])
    const refused = await runCase(Effect.flip(Effect.provide(loop([step("a")], 3, twice), new Stage(2).layer)))
    expect(refused).toMatchObject({ _tag: "DuplicateTaskId", taskId: "a" })
  })
})
