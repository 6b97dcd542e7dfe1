import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { compile, hasNames, names, render, substitute } from "../../src/workflow/Template.ts"

const values: Readonly<Record<string, string>> = { a: "1", b: "{{a}}", " a ": "spaced", "item.id": "7" }
const lookup = (name: string) => values[name]
const empty = { unknown: "empty" } as const
const keep = { unknown: "keep" } as const

describe("Template", () => {
  it("replaces names and never scans what it put in", () => {
    expect(substitute("x{{a}}y{{b}}z", lookup, empty)).toBe("x1y{{a}}z")
  })

  it("takes everything up to the next }} as the name, untrimmed", () => {
    expect(substitute("{{ a }}", lookup, empty)).toBe("spaced")
    expect(names("{{{{a}}}}")).toEqual([{ name: "{{a", start: 0, end: 7 }])
    expect(substitute("{{a}}}", lookup, empty)).toBe("1}")
  })

  it("copies {{ without }}", () => {
    expect(substitute("{{a", lookup, empty)).toBe("{{a")
    expect(substitute("{{a}} {{ b", lookup, empty)).toBe("1 {{ b")
    expect(hasNames("}} {{")).toBe(false)
  })

  it("reads inputs.NAME as NAME", () => {
    expect(substitute("{{inputs.a}} {{inputs.item.id}}", lookup, empty)).toBe("1 7")
    expect(names("{{inputs.}}")[0]?.name).toBe("inputs.")
  })

  it("makes an unknown name empty, or keeps it as written", () => {
    expect(substitute("<{{no}}>", lookup, empty)).toBe("<>")
    expect(substitute("<{{inputs.no}}>", lookup, keep)).toBe("<{{inputs.no}}>")
  })

  it("renders a compiled text again and again", () => {
    const template = compile("{{a}}-{{b}}")
    expect(render(template, () => "x", empty)).toBe("x-x")
    expect(render(template, lookup, empty)).toBe("1-{{a}}")
  })

  it("changes nothing where every name stands for itself", () => {
    const pieces = fc.array(fc.constantFrom("{{", "}}", "{", "}", "a", "inputs.", " ", "\n"), { maxLength: 30 })
    fc.assert(
      fc.property(pieces, (parts) => {
        const text = parts.join("")
        expect(substitute(text, () => undefined, keep)).toBe(text)
      })
    )
  })

  it("agrees with a pass over the text from left to right", () => {
    const pieces = fc.array(fc.constantFrom("{{", "}}", "{", "}", "a", "b", " a "), { maxLength: 20 })
    fc.assert(
      fc.property(pieces, (parts) => {
        const text = parts.join("")
        expect(substitute(text, lookup, empty)).toBe(leftToRight(text))
      })
    )
  })
})

const leftToRight = (text: string): string => {
  const start = text.indexOf("{{")
  const end = start === -1 ? -1 : text.indexOf("}}", start + 2)
  if (end === -1) return text
  return text.slice(0, start) + (values[text.slice(start + 2, end)] ?? "") + leftToRight(text.slice(end + 2))
}
