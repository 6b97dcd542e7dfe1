import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { closing, instructions, opening, parseFlowOutput } from "../../src/workflow/FlowOutput.ts"

const block = (text: string): string => `${opening}\n${text}\n${closing}\n`

const ignored = (why: string) => ({ warnings: [`the flow output is ignored: ${why}`] })

describe("parseFlowOutput", () => {
  it("reads markers, context and the whole block as structured output", () => {
    const json = '{"markers": ["has_issues"], "context": "2 issues in auth", "base_branch": "main"}'
    expect(parseFlowOutput(`log\n${block(json)}bye`)).toEqual({
      output: { markers: ["has_issues"], context: "2 issues in auth", structured: JSON.parse(json) },
      warnings: []
    })
  })

  it("finds nothing where there is no block", () => {
    expect(parseFlowOutput("just a log")).toEqual({ warnings: [] })
    expect(parseFlowOutput(`print ${opening} and then ${closing}`)).toEqual({ warnings: [] })
  })

  it("takes the last opening delimiter that JSON or a fence follows", () => {
    const text = `${block('{"context": "first"}')}${block('{"context": "second"}')}I printed ${opening} above.`
    expect(parseFlowOutput(text).output?.context).toBe("second")
  })

  it("keeps the order of markers and drops repeats", () => {
    expect(parseFlowOutput(block('{"markers": ["b", "a", "b"]}')).output?.markers).toEqual(["b", "a"])
  })

  it("takes an array as structured output without markers and context", () => {
    expect(parseFlowOutput(block('[{"markers": ["x"]}, 2]')).output).toEqual({
      markers: [],
      structured: [{ markers: ["x"] }, 2]
    })
  })

  it("takes an object `structured_output` as the structured output", () => {
    const { output } = parseFlowOutput(block('{"markers": ["m"], "structured_output": {"a": "1"}, "b": "2"}'))
    expect(output).toEqual({ markers: ["m"], structured: { a: "1" } })
    const other = parseFlowOutput(block('{"structured_output": "text", "b": "2"}'))
    expect(other.output?.structured).toEqual({ structured_output: "text", b: "2" })
  })

  it.each([
    ["a fence with a language", '```json\n{"context": "c"}\n```'],
    ["a bare fence", '```\n{"context": "c"}\n```'],
    ["a fence on one line", '```{"context": "c"}```'],
    ["a fence that is never closed", '```json\n{"context": "c"}'],
    ["trailing commas", '{"context": "c", "list": [1, 2, ], }'],
    ["Windows line ends", '{\r\n"context": "c",\r\n}']
  ])("repairs %s", (_, text) => {
    expect(parseFlowOutput(block(text))).toMatchObject({ output: { context: "c" }, warnings: [] })
  })

  it("repairs backslashes that escape nothing, and only those", () => {
    const { output } = parseFlowOutput(block(String.raw`{"context": "\d \u00e9 \u12 C:\dir \"q\" a\\b \/", }`))
    expect(output?.context).toBe('\\d é \\u12 C:\\dir "q" a\\b /')
  })

  it("keeps a code fence and commas inside texts", () => {
    expect(parseFlowOutput(block('{"context": "```x``` ,} ,]",}')).output?.context).toBe("```x``` ,} ,]")
  })

  it.each([
    ["broken JSON", "{not json}", "it holds no valid JSON"],
    ["a fence around prose", "```\nhello\n```", "it holds no valid JSON"],
    ["markers that are a text", '{"markers": "a"}', "its `markers` are no list of texts"],
    ["markers that hold a number", '{"markers": ["a", 1]}', "its `markers` are no list of texts"],
    ["null as markers", '{"markers": null}', "its `markers` are no list of texts"],
    ["a context that is no text", '{"context": 5}', "its `context` is no text"],
    ["null as context", '{"context": null}', "its `context` is no text"]
  ])("ignores a block with %s and says so", (_, text, why) => {
    expect(parseFlowOutput(block(text))).toEqual(ignored(why))
  })

  it("ignores a block that is never closed", () => {
    expect(parseFlowOutput(`${opening}\n{"context": "c"}`)).toEqual(ignored(`it has no ${closing}`))
  })

  it("does not take what objects inherit for the block's own", () => {
    const { output } = parseFlowOutput(block('{"__proto__": {"markers": ["x"], "context": "y"}}'))
    expect(output?.markers).toEqual([])
    expect(output?.context).toBeUndefined()
  })

  it("reads back what JSON.stringify writes", () => {
    const output = fc.record({
      markers: fc.uniqueArray(fc.string()),
      context: fc.string(),
      extra: fc.jsonValue({ maxDepth: 3 })
    })
    fc.assert(
      fc.property(fc.string(), output, (log, value) => {
        fc.pre(!JSON.stringify(value).includes("FLOW_OUTPUT"))
        const { context, markers } = parseFlowOutput(log + block(JSON.stringify(value))).output ?? {}
        expect({ context, markers }).toEqual({ context: value.context, markers: value.markers })
      })
    )
  })

  it("never throws", () => {
    const piece = fc.constantFrom(opening, closing, "{", "}", "[", "]", '"', "\\", "\\u", ",", "```", "a", " ", "\n")
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 3 })), { maxLength: 40 }), (pieces) => {
        const { output, warnings } = parseFlowOutput(pieces.join(""))
        expect(output === undefined || warnings.length === 0).toBe(true)
      }),
      { numRuns: 2_000 }
    )
  })

  it.each([
    ["openings", opening.repeat(100_000)],
    ["openings before blanks", `${opening}${" ".repeat(100)}`.repeat(20_000)],
    ["commas and blanks", block(`{${", ".repeat(1_000_000)}x}`)],
    ["backslashes", block(`{"a": "${"\\q".repeat(1_000_000)}",}`)],
    ["nested lists", block("[".repeat(1_000_000))],
    ["fences", `${opening}${"`".repeat(2_000_000)}${closing}`]
  ])("takes time linear in the output: %s", { timeout: 5_000 }, (_, text) => {
    expect(parseFlowOutput(text).warnings.length).toBeLessThanOrEqual(1)
  })
})

describe("instructions", () => {
  it("show a block that parses without warnings", () => {
    expect(parseFlowOutput(instructions)).toMatchObject({ output: { markers: [] }, warnings: [] })
  })
})
