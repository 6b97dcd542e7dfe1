import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { arbitraryDefinition } from "../../src/testing/ArbitraryDefinition.ts"
import { WorkflowDefinition } from "../../src/workflow/Definition.ts"
import { hasErrors, sort } from "../../src/workflow/Diagnostic.ts"
import { renderAll } from "../../src/workflow/DiagnosticRenderer.ts"
import { tokenize } from "../../src/workflow/Lexer.ts"
import { decodeSource, maxNesting, parse } from "../../src/workflow/Parser.ts"
import { print } from "../../src/workflow/Printer.ts"

const file = (text: string) => parse({ file: "test.wf", text })
const isDefinition = Schema.is(WorkflowDefinition)

describe("the parser, on any text", () => {
  it("takes the deepest nesting allowed, and refuses deeper ones without a stack overflow", () => {
    const nested = (levels: number) =>
      file(`workflow w {${"if x.y {".repeat(levels)}${"}".repeat(levels)}}`).diagnostics
    expect(nested(maxNesting - 1)).toEqual([])
    expect(nested(maxNesting).map(({ code }) => code)).toEqual(["nesting-too-deep"])
    expect(nested(100_000).map(({ code }) => code)).toEqual(["nesting-too-deep"])
    for (const opening of ["if x.y {", "do {", "always {", "else {", "parallel { call a {", "[", "call a { with = ["]) {
      expect(file(`workflow w { call a { with = ${opening.repeat(100_000)}`).diagnostics.length).toBeGreaterThan(0)
    }
  })

  it("never throws, whatever the bytes (law 10)", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = Buffer.from(bytes).toString("latin1")
        const decoded = Either.getOrElse(decodeSource("x.wf", bytes), () => ({ file: "x.wf", text }))
        for (const source of [decoded, { file: "x.wf", text }]) {
          const { definition, diagnostics } = parse(source)
          expect(hasErrors(diagnostics) || isDefinition(definition)).toBe(true)
        }
      }),
      { numRuns: 1_000 }
    )
  })

  it("never throws on valid files with tokens removed, repeated, exchanged or cut off (law 10)", {
    timeout: 120_000
  }, () => {
    fc.assert(
      fc.property(arbitraryDefinition, fc.array(mutation, { minLength: 1, maxLength: 6 }), (valid, mutations) => {
        const mutated = mutations.reduce(mutate, print(valid))
        const { definition, diagnostics } = file(mutated)
        expect(sort(diagnostics)).toEqual(diagnostics)
        for (const { span } of diagnostics) {
          expect(span?.start).toBeGreaterThanOrEqual(0)
          expect(span?.end).toBeLessThanOrEqual(mutated.length)
        }
        renderAll(diagnostics)
        expect(hasErrors(diagnostics) || isDefinition(definition)).toBe(true)
      }),
      { numRuns: 1_000 }
    )
  })

  it("never throws on sequences of tokens (law 10)", { timeout: 120_000 }, () => {
    const words = ["workflow", "call", "do", "while", "if", "parallel", "inputs", "meta", "gate", "x", "=", "{", "}"]
    const token = fc.constantFrom(
      ...words,
      "[",
      "]",
      ",",
      ";",
      ".",
      ":",
      '"',
      '"t"',
      "3",
      "5m",
      "@",
      "//",
      "\n",
      "else"
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 60 }), (tokens) => {
        const { definition, diagnostics } = file(`workflow w { ${tokens.join(" ")}`)
        expect(definition).toBeDefined()
        renderAll(diagnostics)
        expect(hasErrors(diagnostics) || isDefinition(definition)).toBe(true)
      }),
      { numRuns: 1_000 }
    )
  })
})

type Mutation = readonly [kind: "remove" | "repeat" | "insert" | "cut", place: number, text: string]

const mutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom("remove" as const, "repeat" as const, "insert" as const, "cut" as const),
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom("{", "}", "[", "]", "=", '"', "call", "while", "x", ",", "3", "\0", "--", "inputs")
)

const mutate = (text: string, [kind, place, inserted]: Mutation): string => {
  const { count, starts, ends } = tokenize(text)
  const index = Math.floor(place * (count - 1))
  const [start, end] = [starts[index] ?? 0, ends[index] ?? 0]
  switch (kind) {
    case "remove":
      return text.slice(0, start) + text.slice(end)
    case "repeat":
      return `${text.slice(0, end)} ${text.slice(start)}`
    case "insert":
      return `${text.slice(0, start)}${inserted} ${text.slice(start)}`
    case "cut":
      return text.slice(0, end)
  }
}
