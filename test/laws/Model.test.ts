/**
 * The model itself, against ends written by hand; and the engine, on the same programs.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import type { End } from "./Ends.ts"
import { allowedEnds, allows } from "./Model.ts"
import { play } from "./Play.ts"
import { handWritten } from "./Programs.ts"

const sorted = (end: string): End => end.split(", ").sort()
const texts = (ends: Iterable<End>): ReadonlyArray<string> =>
  [...new Set([...ends].map((end) => end.join("\n")))].sort()

describe("the model allows exactly the ends written by hand, and the engine comes to one of them", () => {
  for (const { name, it: played, ends } of handWritten) {
    it(`${name}`, async () => {
      expect(texts(allowedEnds(played))).toEqual(texts(ends.map(sorted)))
      const { end, left } = await play(played)
      expect(left).toEqual([])
      expect(texts(ends.map(sorted)), end.join("\n")).toContain(end.join("\n"))
    })
  }

  it("in at most 300 lines of code", () => {
    const text = readFileSync(join(import.meta.dirname, "Model.ts"), "utf8")
    const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$|^import .* from ".*"$/gm, "")
    expect(code.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(300)
  })

  it("looks for an end as it lists them", () => {
    for (const { it: played, ends } of handWritten) {
      expect(ends.every((end) => allows(played, sorted(end)))).toBe(true)
      expect(allows(played, [...sorted(ends[0] ?? ""), "step /other completed 1 @0"].sort())).toBe(false)
    }
  })
})
