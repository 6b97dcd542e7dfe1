import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { payloadKeys, payloadOf, textKeys, textsOf } from "../../src/workflow/Payload.ts"

const of = (schema: Schema.Schema.AnyNoContext, texts: Readonly<Record<string, string>>) =>
  payloadOf(schema.ast, (name) => texts[name])

const valueOf = (schema: Schema.Schema.AnyNoContext, text: string): unknown => {
  const payload = Either.getOrThrow(of(Schema.Struct({ x: schema }), { x: text }))
  return payload?.["x"]
}

class Address extends Schema.Class<Address>("Address")({ street: Schema.String, number: Schema.NumberFromString }) {}

describe("the keys of a payload", () => {
  it("are those of its encoded side, with those that may be left out", () => {
    const schema = Schema.Struct({
      a: Schema.String,
      b: Schema.optional(Schema.Int),
      c: Schema.optionalWith(Schema.Int, { default: () => 3 }),
      d: Schema.UndefinedOr(Schema.String),
      e: Schema.propertySignature(Schema.Date).pipe(Schema.fromKey("when"))
    })
    expect(payloadKeys(schema.ast)).toMatchObject({
      _tag: "Keys",
      keys: [
        { name: "a", required: true },
        { name: "b", required: false },
        { name: "c", required: false },
        { name: "d", required: false },
        { name: "when", required: true }
      ]
    })
  })

  it("say what is wrong with a text, with all that the key's schema asks for", () => {
    const schema = Schema.Struct({
      count: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { default: () => 1 }),
      at: Schema.propertySignature(Schema.Date).pipe(Schema.fromKey("when")),
      name: Schema.String,
      odd: Schema.transform(Schema.String, Schema.String, {
        strict: true,
        decode: () => {
          throw new Error("no")
        },
        encode: (text) => text
      })
    })
    const takes = payloadKeys(schema.ast)
    const problem = (key: string, text: string) => (takes._tag === "Keys" ? takes.problemOf(key, text) : "no keys")
    expect(problem("count", "many")).toBe('Expected number, actual "many"')
    expect(problem("count", "1.5")).toBe("Expected an integer, actual 1.5")
    expect(problem("count", "0")).toBe("Expected a positive number, actual 0")
    expect(problem("when", "yesterday")).toContain("actual Invalid Date")
    expect(["3", ""].map((text) => problem("count", text))).toEqual([undefined, undefined])
    expect(problem("name", "3")).toBeUndefined()
    expect(problem("at", "no key")).toBeUndefined()
    expect(problem("odd", "only a run can tell")).toBeUndefined()
  })

  it("of a union say what is wrong with a text where no member takes it", () => {
    const takes = payloadKeys(
      Schema.Union(Schema.Struct({ n: Schema.Int }), Schema.Struct({ n: Schema.Literal("all") })).ast
    )
    const problem = (text: string) => (takes._tag === "Keys" ? takes.problemOf("n", text) : "no keys")
    expect(["3", "all"].map(problem)).toEqual([undefined, undefined])
    expect(problem("some")).toBe('Expected number, actual "some"')
  })

  it("are those of all members of a union, needed where each needs them", () => {
    const schema = Schema.Union(
      Schema.Struct({ kind: Schema.Literal("mail"), to: Schema.String }),
      Schema.Struct({ kind: Schema.Literal("file"), path: Schema.String })
    )
    expect(payloadKeys(schema.ast)).toMatchObject({
      keys: [
        { name: "kind", required: true },
        { name: "to", required: false },
        { name: "path", required: false }
      ]
    })
    expect(of(schema, { kind: "file", path: "a" })).toEqual(Either.right({ kind: "file", path: "a" }))
  })

  it("are none where nothing is taken, and cannot be told where it is no object", () => {
    expect(payloadKeys(Schema.Void.ast)).toMatchObject({ _tag: "Keys", keys: [] })
    expect(payloadKeys(Schema.Struct({}).ast)).toMatchObject({ _tag: "Keys", keys: [] })
    expect(payloadKeys(Schema.Array(Schema.Int).ast)).toEqual({ _tag: "NoObject", wanted: "ReadonlyArray<Int>" })
    expect(of(Schema.Void, { a: "1" })).toEqual(Either.right(undefined))
  })

  it("of a class are those of its encoded side", () => {
    expect(of(Address, { street: "Elm", number: "7" })).toEqual(Either.right({ street: "Elm", number: "7" }))
    expect(of(Address, {})).toEqual(Either.left(["street", "number"]))
  })
})

describe("a text as a value", () => {
  it("stays a text where the schema takes one, whatever it looks like", () => {
    expect(valueOf(Schema.String, "3")).toBe("3")
    expect(valueOf(Schema.NumberFromString, "3")).toBe("3")
    expect(valueOf(Schema.Union(Schema.String, Schema.Number), "3")).toBe("3")
    expect(valueOf(Schema.Literal("true", "false"), "true")).toBe("true")
    expect(valueOf(Schema.Unknown, "{}")).toBe("{}")
  })

  it("is a number, a truth value, a list or an object where the schema wants one", () => {
    expect(valueOf(Schema.Int, " -42 ")).toBe(-42)
    expect(valueOf(Schema.Number, "1.5e3")).toBe(1500)
    expect(valueOf(Schema.Boolean, "True")).toBe(true)
    expect(valueOf(Schema.Boolean, "false")).toBe(false)
    expect(valueOf(Schema.Array(Schema.Int), "[1, 2]")).toEqual([1, 2])
    expect(valueOf(Schema.Struct({ a: Schema.String }), '{"a": "b"}')).toEqual({ a: "b" })
    expect(valueOf(Schema.NullOr(Schema.Int), "null")).toBe(null)
    expect(valueOf(Schema.optional(Schema.Literal(1, 2)).from, "2")).toBe(2)
  })

  it("that is empty is none, where the key may be left out and takes no empty text", () => {
    const schema = Schema.Struct({
      limit: Schema.optional(Schema.Int),
      note: Schema.optional(Schema.String),
      count: Schema.Int
    })
    const texts = { limit: "", note: "", count: "" }
    expect(of(schema, texts)).toEqual(Either.right({ note: "", count: "" }))
  })

  it("that does not fit is handed on, for the schema to say so", () => {
    expect(valueOf(Schema.Int, "007")).toBe("007")
    expect(valueOf(Schema.Boolean, "yes")).toBe("yes")
    expect(valueOf(Schema.Array(Schema.Int), "[1, 2")).toBe("[1, 2")
  })
})

describe("what an end leaves behind", () => {
  it("as variables are its texts, and not to be told of anything", () => {
    const success = Schema.Struct({ a: Schema.String, b: Schema.Int, c: Schema.NullOr(Schema.String), d: Schema.Date })
    expect(textKeys(success.ast)).toEqual(["a", "c", "d"])
    expect(textKeys(Schema.Void.ast)).toEqual([])
    expect(textKeys(Schema.Int.ast)).toEqual([])
    expect(textKeys(Schema.Unknown.ast)).toBeUndefined()
  })
})

describe("a payload as inputs", () => {
  it("is texts, and JSON for all else; what is not there has no input", () => {
    const encoded = { a: "x", b: 3, c: true, d: ["y"], e: undefined, f: null }
    expect(textsOf(encoded)).toEqual({ a: "x", b: "3", c: "true", d: '["y"]', f: "null" })
    expect(textsOf(null)).toEqual({})
  })

  it("comes back as it was, for whoever reads it by the same schema", () => {
    const schema = Schema.Struct({
      text: Schema.String,
      n: Schema.Int,
      on: Schema.Boolean,
      list: Schema.Array(Schema.Int)
    })
    const value = { text: "3", n: 3, on: false, list: [1] }
    expect(of(schema, textsOf(value))).toEqual(Either.right(value))
  })
})
