import { describe, expect, it } from "@effect/vitest"
import { builtins, isBuiltin, redacted, redactSecrets, variablesOf } from "../../src/workflow/Variables.ts"

const input = (name: string, secret: boolean) => ({ name, secret, boolean: false, required: false })

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

describe("redactSecrets", () => {
  it("replaces the values of inputs that are declared secret", () => {
    expect(redactSecrets({ a: "1", token: "t" }, [input("a", false), input("token", true), input("x", true)])).toEqual({
      a: "1",
      token: redacted
    })
  })

  it("gives inputs without secrets as they are", () => {
    const inputs = { a: "1" }
    expect(redactSecrets(inputs, [input("a", false)])).toBe(inputs)
  })
})
