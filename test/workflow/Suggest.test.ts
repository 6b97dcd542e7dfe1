import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { editDistance, nearest } from "../../src/workflow/Suggest.ts"

const options = ["retries", "retry_delay", "timeout", "on_fail", "output", "if", "with"]

describe("nearest", () => {
  it("finds the word that was meant", () => {
    expect(nearest("retires", options)).toBe("retries")
    expect(nearest("timout", options)).toBe("timeout")
    expect(nearest("on-fail", options)).toBe("on_fail")
    expect(nearest("OUTPUT", options)).toBe("output")
    expect(nearest("ouptut", options)).toBe("output")
  })

  it("finds nothing where nothing is near", () => {
    expect(nearest("colour", options)).toBeUndefined()
    expect(nearest("x", options)).toBeUndefined()
    expect(nearest("", options)).toBeUndefined()
    expect(nearest("a".repeat(10_000), ["a".repeat(9_999)])).toBeUndefined()
  })

  it("does not suggest the word itself", () => {
    expect(nearest("output", ["output", "outputs"])).toBe("outputs")
  })

  it("prefers the nearer word, and the first of two equally near ones", () => {
    expect(nearest("abcd", ["abxx", "abcx", "abcy"])).toBe("abcx")
  })
})

describe("editDistance", () => {
  it("counts insertions, deletions, replacements and swaps", () => {
    expect(editDistance("", "abc")).toBe(3)
    expect(editDistance("abc", "")).toBe(3)
    expect(editDistance("abc", "acb")).toBe(1)
    expect(editDistance("abc", "axc")).toBe(1)
    expect(editDistance("kitten", "sitting")).toBe(3)
  })

  it("is symmetrical and zero only for equal words", () => {
    const short = fc.string({ maxLength: 6 })
    fc.assert(
      fc.property(short, short, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a))
        expect(editDistance(a, b) === 0).toBe(a === b)
      })
    )
  })
})
