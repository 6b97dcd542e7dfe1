import { describe, expect, it } from "@effect/vitest"
import { builtins, isBuiltin, variablesOf } from "../../src/workflow/Variables.ts"

describe("built-in names", () => {
  it("are the listed ones and everything below item.", () => {
    expect(builtins.every(({ name }) => isBuiltin(name))).toBe(true)
    expect(["item.title", "item.", "prior_context"].every(isBuiltin)).toBe(true)
    expect(["items", "branch", "constructor", "item"].some(isBuiltin)).toBe(false)
  })
})

describe("variablesOf", () => {
  it("takes every text at the top but markers and context", () => {
    const structured = { markers: "m", context: "c", branch: "main", count: 2, deep: { a: "b" }, empty: "" }
    expect(variablesOf(structured)).toEqual({ branch: "main", empty: "" })
  })

  it("keeps a text called __proto__ as a name of its own", () => {
    const variables = variablesOf(JSON.parse('{"__proto__": "x"}'))
    expect(Object.entries(variables)).toEqual([["__proto__", "x"]])
  })

  it("finds none in what is no object", () => {
    expect([variablesOf(["a"]), variablesOf("a"), variablesOf(undefined), variablesOf(null)]).toEqual([{}, {}, {}, {}])
  })
})
