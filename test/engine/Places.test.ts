import { describe, expect, it } from "@effect/vitest"
import { Places } from "../../src/engine/Places.ts"
import { apply, emptyJournal } from "../../src/persistence/Journal.ts"
import { stepPath, runRecord, stepRecord } from "../../src/testing/SampleRecords.ts"
import type { StepPath, StepRecord } from "../../src/persistence/Records.ts"

/** The places of a run with these live rows, and those that were superseded. */
const placesOf = (
  epoch: number,
  rows: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>> = {}
) => {
  const journal = emptyJournal(runRecord("A", { epoch }))
  const live = new Map<StepPath, StepRecord>()
  const superseded = new Map<StepPath, StepRecord>()
  const add = (path: string, position: number, isSuperseded: boolean) => {
    const step = stepRecord(path, { position, superseded: isSuperseded })
    apply(journal, { _tag: "Step", step })
    if (isSuperseded) superseded.set(step.path, step)
    else live.set(step.path, step)
  }
  for (const [path, position] of Object.entries(rows)) add(path, position, false)
  for (const [path, position] of Object.entries(before)) add(path, position, true)
  const places = new Places({ journal, live, superseded })
  const pass = (path: string) => places.pass(live.get(stepPath(path)) ?? stepRecord(path))
  return { of: (path: string) => places.of(stepPath(path)), pass }
}

describe("the place of a row", () => {
  it("is behind all others in a run's first epoch, whatever a replay has come to", () => {
    const { of, pass } = placesOf(1, { "/a": 1, "/b": 2 })
    expect(of("/c")).toBe(3)
    pass("/a")
    expect(of("/d")).toBe(4)
  })

  it("is that of the row which it replaces", () => {
    const { of, pass } = placesOf(2, { "/a": 1, "/c": 3 }, { "/b": 2 })
    pass("/a")
    expect(of("/b")).toBe(2)
    expect(of("/@body")).toBe(4)
  })

  it("is between the kept rows where the program is, also behind all that is below the one in front", () => {
    const { of, pass } = placesOf(2, { "/a": 1, "/block": 2, "/block/one": 3, "/block/two": 4, "/d": 5 })
    pass("/a")
    const first = of("/new")
    expect(first).toBeGreaterThan(1)
    expect(first).toBeLessThan(2)
    pass("/block")
    const [second, third] = [of("/new~2"), of("/new~3")]
    expect(second).toBeGreaterThan(4)
    expect(third).toBeGreaterThan(second)
    expect(third).toBeLessThan(5)
    pass("/d")
    expect(of("/new~4")).toBe(6)
  })

  it("is found for tens of thousands in one gap, each behind the one before", () => {
    const { of, pass } = placesOf(2, { "/a": 1_000, "/b": 1_001 })
    pass("/a")
    const found = [1_000, ...Array.from({ length: 20_000 }, (_, n) => of(`/new~${n}`)), 1_001]
    const wrong = found.findIndex((place, n) => n > 0 && place <= (found[n - 1] ?? 0))
    expect(wrong).toBe(-1)
  })
})
