import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { afterJson, isKept } from "../../src/workflow/Json.ts"
import { problemText } from "../../src/workflow/SchemaProblems.ts"

const problem = <A, I>(schema: Schema.Schema<A, I>, value: unknown): string =>
  Either.match(Schema.decodeUnknownEither(schema, { errors: "all" })(value), {
    onLeft: problemText,
    onRight: () => "fits"
  })

describe("what a schema says of a value that it refuses", () => {
  const Order = Schema.Struct({ id: Schema.String, lines: Schema.Array(Schema.Struct({ "unit price": Schema.Int })) })

  it("names each place, and what was expected there, in one line", () => {
    expect(problem(Order, { id: 5, lines: [{ "unit price": 1 }, { "unit price": "2" }] })).toBe(
      'id: Expected string, actual 5; lines[1]."unit price": Expected number, actual "2"'
    )
    expect(problem(Order, {})).toBe("id: is missing; lines: is missing")
  })

  it("names no place where it is the value itself", () => {
    expect(problem(Schema.Int, 1.5)).toBe("Expected an integer, actual 1.5")
  })

  it("does not say of a key that may be left out that it is there", () => {
    expect(problem(Schema.Struct({ n: Schema.optional(Schema.Int) }), { n: "a" })).toBe(
      'n: Expected number, actual "a"'
    )
    expect(problem(Schema.Undefined, 1)).toBe("Expected undefined, actual 1")
  })

  it("shows no part of a value that is too long to be shown whole", () => {
    const text = problem(Schema.Int, "secret".repeat(200))
    expect(text).toBe("Expected number, actual is too long to show")
  })

  it("says how many problems it does not list", () => {
    const text = problem(Schema.Array(Schema.Int), Array.from({ length: 14 }, String))
    expect(text.split("; ")).toHaveLength(11)
    expect(text).toMatch(/; and 4 more$/)
  })
})

describe("what JSON keeps", () => {
  it("is all that reads the same afterwards", () => {
    const kept = [null, true, 0, "a", [], {}, { a: [{ b: null }] }, Object.create(null)]
    for (const value of kept) expect([value, isKept(value)]).toEqual([value, true])
  })

  it("is nothing that reads otherwise, or not at all", () => {
    const others = [
      undefined,
      Number.NaN,
      1n,
      () => 1,
      Symbol("s"),
      new Date(0),
      new Map(),
      [undefined],
      { a: undefined }
    ]
    for (const value of others) expect(isKept(value)).toBe(false)
  })

  it("is told of a value that holds itself, without end", () => {
    const value: Array<unknown> = []
    value.push(value)
    expect(isKept(value)).toBe(false)
    expect(afterJson(value)).toEqual(Either.left("Converting circular structure to JSON"))
  })

  it("is what a value becomes otherwise", () => {
    expect(afterJson({ a: undefined, at: new Date(0), n: [Number.NaN] })).toEqual(
      Either.right({ at: "1970-01-01T00:00:00.000Z", n: [null] })
    )
  })
})
