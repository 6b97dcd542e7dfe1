import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import { parseFlowOutput } from "../../src/workflow/FlowOutput.ts"
import { applySchema, contextOf, markersOf, type OutputSchema, validate } from "../../src/workflow/OutputSchema.ts"
import { instructions, jsonSchemaText } from "../../src/workflow/OutputSchemaPrompt.ts"
import { parse } from "../../src/workflow/OutputSchemaYaml.ts"

const source = (text: string) => ({ file: "schemas/review.yaml", text })

const schemaOf = (text: string): OutputSchema => {
  const { diagnostics, schema } = parse("review", source(text))
  if (schema === undefined) throw new Error(JSON.stringify(diagnostics))
  return schema
}

/** Errors and warnings as `code 'text at the span' message (hint)`. */
const problemsOf = (text: string): ReadonlyArray<string> =>
  parse("review", source(text)).diagnostics.map(({ code, hint, message, span }) => {
    const at = JSON.stringify(text.slice(span?.start, span?.end))
    return `${code} ${at}: ${message}${hint === undefined ? "" : ` (${hint})`}`
  })

const review = `
fields:
  findings:
    type: array
    items:
      file: string
      line: number?
      severity: enum(critical, high, medium)
      category:
        type: string
        desc: "OWASP category"
        examples: [injection, auth]
      suggestion?:
        type: string
  approved: boolean
  summary: string
  meta: { type: object, fields: { round: number } }
  extra?: object
`

const good = {
  findings: [{ file: "a.ts", severity: "high", category: "auth" }],
  approved: false,
  summary: "one finding",
  meta: { round: 1 },
  unlisted: [1]
}

describe("parsing an output schema", () => {
  it("reads short and long forms, optional fields, enums, lists and objects", () => {
    const schema = schemaOf(review)
    expect(schema.fields.map(({ name, optional, type }) => [name, type._tag, optional])).toEqual([
      ["findings", "Array", false],
      ["approved", "Boolean", false],
      ["summary", "String", false],
      ["meta", "Object", false],
      ["extra", "Object", true]
    ])
    const [findings] = schema.fields
    const items = findings?.type._tag === "Array" ? findings.type.items : undefined
    expect(items).toMatchObject({
      _tag: "Object",
      fields: [
        { name: "file", type: { _tag: "String" }, optional: false },
        { name: "line", type: { _tag: "Number" }, optional: true },
        { name: "severity", type: { _tag: "Enum", values: ["critical", "high", "medium"] } },
        { name: "category", description: "OWASP category", examples: ["injection", "auth"] },
        { name: "suggestion", optional: true }
      ]
    })
  })

  it("takes a type or a map of fields as items, even fields named like the long form's keys", () => {
    expect(schemaOf("fields: { a: { type: array, items: string } }").fields[0]?.type).toEqual({
      _tag: "Array",
      items: { _tag: "String" }
    })
    const type = schemaOf("fields:\n  a:\n    type: array\n    items:\n      type: string\n      desc: string")
      .fields[0]?.type
    expect(type).toMatchObject({ items: { _tag: "Object", fields: [{ name: "type" }, { name: "desc" }] } })
  })

  it("reads markers", () => {
    const schema = schemaOf(
      `${review}markers:\n  bad: findings[severity == high].length > 0\n  no: "approved == false"`
    )
    expect(schema.markers?.map(({ marker }) => marker)).toEqual(["bad", "no"])
  })

  it("follows aliases and merges no keys of its own", () => {
    expect(schemaOf("fields:\n  a: &t { type: number }\n  b: *t").fields[1]?.type).toEqual({ _tag: "Number" })
  })

  it("reports all errors with their places", () => {
    const text = `fields:
  a: strng
  b: enum()
  c: { desc: no type }
  d: { type: enum(x, y) }
  e: { type: string, items: string }
  f:
  g: { type: array, itms: string }
feilds: 1
`
    expect(problemsOf(text)).toMatchInlineSnapshot(`
      [
        "schema-type "strng": unknown type 'strng' (did you mean 'string'?)",
        "schema-type "enum()": 'enum()' lists no values (such as enum(low, high), each value once)",
        "schema-type "{ desc: no type }": 'c' has no type (expected string, number, boolean, enum, array, object)",
        "schema-type "enum(x": 'enum(x' lists no values (within { } write it in quotes: "enum(a, b)")",
        "schema-unknown-key "y)": unknown key 'y)' (known are type, desc, examples, items, fields)",
        "schema-shape "string": \`items\` belongs to a field of type array",
        "schema-type "f": 'f' has no type (expected string, number, boolean, enum, array, object)",
        "schema-unknown-key "itms": unknown key 'itms' (did you mean 'items'?)",
        "schema-unknown-key "feilds": unknown key 'feilds' (did you mean 'fields'?)",
      ]
    `)
  })

  it("reports every marker expression that is wrong", () => {
    const text = `${review}markers:
  a: approved != true
  b: findngs.length > 0
  c: summary == "x"
  d: findings[severity == low].length > 0
`
    expect(problemsOf(text)).toMatchInlineSnapshot(`
      [
        "marker-expression "approved != true": marker 'a': expected FIELD == value, FIELD < n, FIELD > n, FIELD.length > n or FIELD[key == value].length > n",
        "marker-expression "findngs.length > 0": marker 'b': no field 'findngs'; did you mean 'findings'?",
        "marker-expression "summary == \\"x\\"": marker 'c': texts are written without quotes",
        "marker-expression "findings[severity == low].length > 0": marker 'd': 'severity' is one of critical, high, medium, never 'low'",
      ]
    `)
  })

  it("reports broken YAML, and what is no map", () => {
    expect(problemsOf("fields: [a\nb: }").length).toBeGreaterThan(0)
    expect(problemsOf("fields:\n  a: string\n  a: number")[0]).toContain("schema-syntax")
    expect(problemsOf("")).toEqual(['schema-shape "": a schema is a map with `fields`'])
    expect(problemsOf("markers: {}")).toEqual(['schema-shape "markers: {}": the schema has no `fields`'])
    expect(problemsOf("fields: []")).toEqual(['schema-shape "[]": `fields` is a map of names to types'])
  })

  it("limits depth and number of fields, however they are multiplied", () => {
    const deep = `fields: ${"{ a: { type: object, fields: ".repeat(20)}{ b: string }${" } }".repeat(20)}`
    expect(problemsOf(deep)[0]).toContain("nested more than 16 deep")
    const bomb = Array.from({ length: 8 }, (_, level) => {
      const parts = Array.from({ length: 9 }, (_, n) => `f${n}: { type: object, fields: *l${level} }`).join(", ")
      return `l${level + 1}: &l${level + 1} { ${parts} }`
    })
    const text = `l0: &l0 { x: string }\n${bomb.join("\n")}\nfields: *l8\n`
    expect(problemsOf(text).some((problem) => problem.includes("at most 1000 fields"))).toBe(true)
    expect(problemsOf("fields: &a { x: { type: object, fields: *a } }").length).toBeGreaterThan(0)
  })

  it("never throws, and gives a schema exactly if there is no error", () => {
    const piece = fc.constantFrom(
      "fields",
      "markers",
      ":",
      " ",
      "\n",
      "  ",
      "{",
      "}",
      "[",
      "]",
      "a",
      "b?",
      "string",
      "enum(a, b)",
      "type",
      "items",
      "&x",
      "*x",
      "#",
      '"',
      "'",
      "?",
      "-",
      "|",
      ",",
      "a == 1",
      "!t",
      "---"
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
        const { diagnostics, schema } = parse("s", source(pieces.join("")))
        expect(schema === undefined).toBe(diagnostics.some(({ severity }) => severity === "error"))
      }),
      { numRuns: 2_000 }
    )
  })
})

describe("validating an output", () => {
  it("accepts what fits and keeps fields that are not listed", () => {
    expect(validate(schemaOf(review), good)).toEqual([])
    expect(applySchema(schemaOf(review), good)).toEqual(
      Either.right({
        structured: good,
        markers: ["has_findings", "has_high_findings", "not_approved"],
        context: "one finding"
      })
    )
  })

  it("accepts null and absence for optional fields only", () => {
    const schema = schemaOf("fields: { a: string?, b: string }")
    expect(validate(schema, { a: null, b: "x" })).toEqual([])
    expect(validate(schema, { b: null })).toEqual([{ path: "b", message: "expected a text, got null" }])
  })

  it("names every mismatch by its path", () => {
    const value = {
      findings: [{ file: 1, severity: "bad", category: "c" }, "x", { severity: "high", category: "c", line: "7" }],
      summary: null,
      meta: [],
      extra: 5
    }
    expect(validate(schemaOf(review), value).map(({ message, path }) => `${path}: ${message}`)).toEqual([
      "findings[0].file: expected a text, got a number",
      'findings[0].severity: expected one of critical, high, medium, got "bad"',
      "findings[1]: expected an object, got a text",
      "findings[2].file: missing, expected a text",
      "findings[2].line: expected a number, got a text",
      "approved: missing, expected true or false",
      "summary: expected a text, got null",
      "meta: expected an object, got a list",
      "extra: expected an object, got a number"
    ])
  })

  it("gives the mismatches as one text for the next attempt", () => {
    expect(applySchema(schemaOf("fields: { a: string, odd key: number }"), {})).toEqual(
      Either.left(
        `the output does not fit the schema 'review':\n- a: missing, expected a text\n- "odd key": missing, expected a number`
      )
    )
    expect(applySchema(schemaOf("fields: { a: string }"), [])).toEqual(
      Either.left("the output does not fit the schema 'review':\n- expected an object, got a list")
    )
    const list = schemaOf("fields: { a: { type: array, items: string } }")
    expect(Either.flip(applySchema(list, { a: Array.from({ length: 150 }, () => 1) }))).toSatisfy(
      (text: Either.Either<string, unknown>) => Either.getOrThrow(text).endsWith("- and 50 more")
    )
  })
})

describe("markers and context", () => {
  const bare = schemaOf("fields: {}")

  it.each([
    [{ approved: false }, ["not_approved"]],
    [{ approved: true, findings: [] }, []],
    [{ findings: ["x"] }, ["has_findings"]],
    [
      { findings: [{ severity: "low" }, { severity: "critical" }, { severity: "critical" }, { severity: "not one" }] },
      ["has_critical_findings", "has_findings", "has_low_findings"]
    ]
  ])("derives from %j the default markers %j", (value, markers) => {
    expect(markersOf(bare, value)).toEqual(markers)
  })

  it("derives only the schema's own markers, sorted, where it has some", () => {
    const schema = schemaOf(
      "fields: { findings: array, approved: boolean }\nmarkers: { z: approved == true, a: findings.length > 0 }"
    )
    expect(markersOf(schema, { approved: true, findings: [{ severity: "high" }] })).toEqual(["a", "z"])
    expect(markersOf(schemaOf("fields: {}\nmarkers: {}"), { approved: false })).toEqual([])
  })

  it("takes context, else summary, else the first declared text", () => {
    const schema = schemaOf("fields: { risk: enum(low), note: string?, title: string? }")
    expect(contextOf(schema, { title: "t", note: "n", summary: "s", context: "c" })).toBe("c")
    expect(contextOf(schema, { title: "t", note: "n", summary: "s", context: 1 })).toBe("s")
    expect(contextOf(schema, { title: "t", note: "n", risk: "low" })).toBe("n")
    expect(contextOf(schema, { title: "t", note: null })).toBe("t")
    expect(contextOf(schema, { risk: "low", other: "o" })).toBe("")
  })
})

describe("what agents are told", () => {
  it("shows a block that parses, then every field", () => {
    const text = instructions(schemaOf(review))
    expect(parseFlowOutput(text).warnings).toEqual([])
    expect(text).toMatchInlineSnapshot(`
      "When you have finished, end your answer with this block, and write it nowhere else. Replace the values by yours; write valid JSON without comments.

      <<<FLOW_OUTPUT>>>
      {
        "findings": [
          {
            "file": "text",
            "line": 0,
            "severity": "critical|high|medium",
            "category": "injection",
            "suggestion": "text"
          }
        ],
        "approved": true,
        "summary": "text",
        "meta": {
          "round": 0
        },
        "extra": {}
      }
      <<<END_FLOW_OUTPUT>>>

      Fields:
      - findings: a list of objects
      - findings[].file: a text
      - findings[].line: a number, optional
      - findings[].severity: one of critical, high, medium
      - findings[].category: a text. OWASP category (for example "injection", "auth")
      - findings[].suggestion: a text, optional
      - approved: true or false
      - summary: a text
      - meta: an object
      - meta.round: a number
      - extra: an object, optional
      "
    `)
  })

  it("gives the schema as JSON Schema", () => {
    expect(JSON.parse(jsonSchemaText(schemaOf(review)))).toMatchObject({
      type: "object",
      required: ["findings", "approved", "summary", "meta"],
      properties: {
        findings: {
          type: "array",
          items: {
            required: ["file", "severity", "category"],
            properties: {
              line: { anyOf: [{ type: "number" }, { type: "null" }] },
              severity: { enum: ["critical", "high", "medium"] },
              category: { type: "string", description: "OWASP category", examples: ["injection", "auth"] }
            }
          }
        },
        extra: { anyOf: [{ type: "object" }, { type: "null" }] }
      }
    })
  })
})
