import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { evaluate, misfit, parse } from "../../src/workflow/MarkerExpression.ts"
import type { Field, FieldType } from "../../src/workflow/OutputSchema.ts"

const holds = (text: string, value: unknown): boolean => evaluate(Either.getOrThrow(parse(text)), value)

const field = (name: string, type: FieldType): Field => ({ name, type, optional: false, examples: [] })

const fields = [
  field("approved", { _tag: "Boolean" }),
  field("score", { _tag: "Number" }),
  field("summary", { _tag: "String" }),
  field("risk", { _tag: "Enum", values: ["low", "high"] }),
  field("tags", { _tag: "Array", items: { _tag: "String" } }),
  field("anything", { _tag: "Array" }),
  field("findings", {
    _tag: "Array",
    items: { _tag: "Object", fields: [field("severity", { _tag: "Enum", values: ["critical", "low"] })] }
  })
]

describe("MarkerExpression", () => {
  it.each([
    ["approved == false", { approved: false }, true],
    ["approved == false", { approved: true }, false],
    ["approved == false", {}, false],
    ["approved == true", { approved: "true" }, true],
    ["score == 5", { score: 5 }, true],
    ["score == 5.0", { score: 5 }, true],
    ["score == 5", { score: "5" }, true],
    ["risk == very high", { risk: "very high" }, true],
    ["  score<80 ", { score: 79.5 }, true],
    ["score > -1", { score: -1 }, false],
    ["score < 80", { score: "7" }, false],
    ["findings.length > 0", { findings: [1] }, true],
    ["findings.length == 0", { findings: [] }, true],
    ["findings.length == 0", {}, false],
    ["summary.length < 3", { summary: "ab" }, true],
    ["findings[severity == critical].length > 0", { findings: [{ severity: "low" }, { severity: "critical" }] }, true],
    ["findings[severity == critical].length > 1", { findings: [{ severity: "critical" }, null, "critical"] }, false],
    ["findings[ line == 3 ].length == 1", { findings: [{ line: 3 }, { line: 4 }] }, true],
    ["findings[severity == critical].length == 0", { findings: "critical" }, false],
    ["constructor.length > 0", {}, false]
  ])("%s of %j is %s", (text, value, expected) => {
    expect(holds(text, value)).toBe(expected)
  })

  it.each([
    "",
    "approved",
    "approved = false",
    "approved != false",
    "score >= 3",
    "score <= 3",
    "score > high",
    'risk == "high"',
    "risk == 'high'",
    "a == b == c",
    "a == 1 && b == 2",
    "(a == 1)",
    "a.b == 1",
    "a.size > 0",
    "findings[severity == critical] > 0",
    "findings[severity == critical]",
    "findings[severity > critical].length > 0",
    "findings[0].length > 0",
    "findings.length > many",
    "findings[severity == a][b == c].length > 0",
    "== 3",
    "score =="
  ])("refuses %j", (text) => {
    expect(Either.isLeft(parse(text))).toBe(true)
  })

  it("says what is wrong", () => {
    expect(parse('risk == "high"')).toEqual(Either.left("texts are written without quotes"))
    expect(parse("score > high")).toEqual(Either.left("expected a number instead of 'high'"))
  })

  it.each([
    ["approvd == true", "no field 'approvd'"],
    ["approved == yes", "'approved' is true or false, never 'yes'"],
    ["score == many", "'score' is a number, never 'many'"],
    ["risk == medium", "'risk' is one of low, high, never 'medium'"],
    ["tags == a", "'tags' is a list, never 'a'"],
    ["summary > 3", "'summary' is a text, not a number"],
    ["score.length > 3", "'score' is a number, which has no length"],
    ["tags[a == b].length > 0", "the elements of 'tags' are no objects"],
    ["summary[a == b].length > 0", "'summary' is a text, not a list"],
    ["findings[level == high].length > 0", "the elements of 'findings' have no field 'level'"],
    ["findings[severity == high].length > 0", "'severity' is one of critical, low, never 'high'"],
    ["anything[a == b].length > 0", undefined],
    ["summary.length > 0", undefined],
    ["findings[severity == low].length > 0", undefined]
  ])("finds that %j cannot hold: %s", (text, expected) => {
    expect(misfit(Either.getOrThrow(parse(text)), fields)).toBe(expected)
  })

  it("reads a long text at once", { timeout: 2_000 }, () => {
    expect(Either.isLeft(parse(`a[${"b".repeat(200_000)}`))).toBe(true)
    expect(Either.isLeft(parse(`${"a-".repeat(200_000)}!`))).toBe(true)
  })
})
