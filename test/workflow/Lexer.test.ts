import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { isIdentifier, Kind, offsetInString, stringValue, tokenize } from "../../src/workflow/Lexer.ts"

const names = new Map<number, string>(Object.entries(Kind).map(([name, kind]) => [kind, name]))

const tokens = (text: string): ReadonlyArray<string> => {
  const { count, kinds, starts, ends } = tokenize(text)
  return Array.from({ length: count }, (_, index) => {
    const kind = names.get(kinds[index] ?? 0) ?? "none"
    return kind === "End" ? kind : `${kind} ${text.slice(starts[index], ends[index])}`
  })
}

const codes = (text: string): ReadonlyArray<string> => tokenize(text).problems.map(({ code }) => code)

describe("the lexer", () => {
  it("keeps hyphens in names", () => {
    expect(tokens("push-and-pr _a a-1-")).toEqual(["Identifier push-and-pr", "Identifier _a", "Identifier a-1-", "End"])
  })

  it("takes digits with a unit glued to them as one duration", () => {
    expect(tokens("30s 5ms 2m 1h 30 s")).toEqual([
      "Duration 30s",
      "Duration 5ms",
      "Duration 2m",
      "Duration 1h",
      "Integer 30",
      "Identifier s",
      "End"
    ])
  })

  it("leaves digits with other letters to the parser", () => {
    expect(tokens("1parsec 1sec 3m-x")).toEqual([
      "Integer 1",
      "Identifier parsec",
      "Integer 1",
      "Identifier sec",
      "Integer 3",
      "Identifier m-x",
      "End"
    ])
  })

  it("passes over comments of both kinds, up to the end of the line", () => {
    const text = "a // b\n# c\r\nd"
    expect(tokens(text)).toEqual(["Identifier a", "Identifier d", "End"])
    const { comments } = tokenize(text)
    expect(comments.map((at, index) => (index % 2 === 0 ? text.slice(at, comments[index + 1]) : ""))).toEqual([
      "// b",
      "",
      "# c",
      ""
    ])
  })

  it("finds no comment in a text", () => {
    expect(tokens('"a // b # c"')).toEqual(['String "a // b # c"', "End"])
  })

  it("reads texts over several lines, and escaped quotes", () => {
    expect(tokens('"a\nb" "\\"" "\\\\"')).toEqual(['String "a\nb"', 'String "\\""', 'String "\\\\"', "End"])
  })

  it("knows every mark", () => {
    expect(tokens("{}[],;=.:").map((token) => token.split(" ")[0])).toEqual([
      "LeftBrace",
      "RightBrace",
      "LeftBracket",
      "RightBracket",
      "Comma",
      "Semicolon",
      "Equals",
      "Dot",
      "Colon",
      "End"
    ])
  })

  it("takes every kind of white space, and a byte order mark", () => {
    expect(tokens("\ufeffa\t\r\n\f\v\u00a0\u3000b")).toEqual(["Identifier a", "Identifier b", "End"])
  })

  it("reports each run of meaningless text once", () => {
    expect(codes("@@@ a $x")).toEqual(["unexpected-character", "unexpected-character"])
  })

  it("reports texts that never end, foreign quotes, foreign comments and numbers with a dot or a sign", () => {
    expect(codes('"a')).toEqual(["unclosed-string"])
    expect(codes("'a' `b`")).toEqual(["foreign-quotes", "foreign-quotes"])
    expect(codes("-- a\n/* b */")).toEqual(["foreign-comment", "foreign-comment"])
    expect(codes("1.5 -1 1.5h")).toEqual(["invalid-number", "invalid-number", "invalid-number"])
  })

  it("covers every text: tokens are in order, do not overlap, and leave out only spaces and comments", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" }), marks), (text) => {
        const { count, kinds, starts, ends, comments } = tokenize(text)
        expect(kinds[count - 1]).toBe(Kind.End)
        let rest = text.split("")
        let last = 0
        for (let index = 0; index < count; index++) {
          const [start, end] = [starts[index] ?? -1, ends[index] ?? -1]
          expect(start).toBeGreaterThanOrEqual(last)
          expect(end).toBeGreaterThanOrEqual(start)
          rest = rest.fill(" ", start, end)
          last = end
        }
        for (let index = 0; index < comments.length; index += 2) rest.fill(" ", comments[index], comments[index + 1])
        expect(rest.join("").trim()).toBe("")
      })
    )
  })
})

const marks = fc
  .array(fc.constantFrom('"', "\\", "/", "*", "#", "-", "'", "\n", "a", "1", ".", "{", "}", " ", "\r"))
  .map((parts) => parts.join(""))

describe("the value of a text", () => {
  it("knows four escapes, and every other escaped character as itself", () => {
    const text = '"a\\n\\t\\"\\\\\\q\\u"'
    expect(stringValue(text, 0, text.length)).toBe('a\n\t"\\qu')
  })

  it("is found again in the file by its offset", () => {
    const text = '  "a\\n\\"{{x}}"'
    expect(text.slice(offsetInString(text, 2, 3))).toBe('{{x}}"')
  })
})

describe("isIdentifier", () => {
  it("accepts what the lexer takes as one name", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 4 }), fc.stringMatching(/^[A-Za-z0-9_-]{0,5}$/)), (text) => {
        const all = tokens(text)
        expect(isIdentifier(text)).toBe(all.length === 2 && all[0] === `Identifier ${text}`)
      })
    )
  })
})
