import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { readEnd, readHead, readTrimmedTail } from "../../src/action/LogFile.ts"
import { temporaryFolder, write } from "./support.ts"

describe("a log file", () => {
  it.scoped("gives the first and last characters of any text", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "log")
      const text = fc.string({ unit: fc.constantFrom("a", "ä", "€", "😀", " ", "\n"), maxLength: 30 })
      for (const [sample, count] of fc.sample(fc.tuple(text, fc.integer({ min: 0, max: 20 })), {
        numRuns: 200,
        seed: 3
      })) {
        writeFileSync(file, sample)
        const points = Array.from(sample)
        const head = yield* readHead(file, count)
        expect(head).toEqual({ text: points.slice(0, count).join(""), whole: points.length <= count })
        const trimmed = Array.from(sample.trim())
        const tail = trimmed.filter((_, index) => index >= trimmed.length - count)
        expect(yield* readTrimmedTail(file, count)).toBe(tail.join(""))
      }
    })
  )

  it.scoped("gives the end of a large text from a whole character on", () =>
    Effect.gen(function* () {
      const file = write(yield* temporaryFolder, "log", "😀😀x")
      expect(yield* readEnd(file, 6)).toEqual({ text: "😀x".slice(0, 3), whole: false })
      expect(yield* readEnd(file, 3)).toEqual({ text: "x", whole: false })
      expect(yield* readEnd(file, 9)).toEqual({ text: "😀😀x", whole: true })
      expect(yield* Effect.flip(readEnd(`${file}.gone`, 9))).toBeInstanceOf(Error)
    })
  )
})
