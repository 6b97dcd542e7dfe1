import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { render, renderAll, summary } from "../../src/workflow/DiagnosticRenderer.ts"

const at = (text: string, start: number, end: number, hint?: string): string =>
  render({
    severity: "error",
    code: "some-code",
    message: "something is wrong",
    source: { file: "a.wf", text },
    span: { start, end },
    ...(hint === undefined ? {} : { hint })
  })

const frame = (...lines: ReadonlyArray<string>): string => ["error[some-code]: something is wrong", ...lines].join("\n")

describe("the diagnostic renderer", () => {
  it("shows the place with a caret under it, and the hint", () => {
    expect(at("first\n  second line\nthird", 8, 14, "write it otherwise")).toBe(
      frame("  --> a.wf:2:3", "   |", " 2 |   second line", "   |   ^^^^^^", "   |", "help: write it otherwise")
    )
  })

  it("shows the file alone where there is no position, and nothing where there is no file", () => {
    const diagnostic = { severity: "warning", code: "c", message: "m" } as const
    expect(render({ ...diagnostic, source: { file: "a.wf", text: "x" } })).toBe("warning[c]: m\n  --> a.wf")
    expect(render({ ...diagnostic, hint: "h" })).toBe("warning[c]: m\nhelp: h")
  })

  it("widens tabs, and keeps the caret below its character", () => {
    expect(at("\tab\tc", 4, 5)).toBe(frame("  --> a.wf:1:5", "   |", " 1 |     ab    c", "   |           ^", "   |"))
  })

  it("gives wide characters two columns and combining ones none", () => {
    expect(at("漢e\u0301x", 3, 4)).toBe(frame("  --> a.wf:1:4", "   |", " 1 | 漢e\u0301x", "   |    ^", "   |"))
  })

  it("writes control and direction characters out", () => {
    expect(at("a\u001b[31m\u202eb", 1, 2)).toBe(
      frame("  --> a.wf:1:2", "   |", " 1 | a\\x1b[31m\\u{202e}b", "   |  ^^^^", "   |")
    )
  })

  it("writes control characters of messages, hints and file names out", () => {
    const text = render({
      severity: "error",
      code: "c",
      message: "\u001b[2J",
      source: { file: "\u0007.wf", text: "" },
      hint: "\u009b"
    })
    expect(text).toBe("error[c]: \\x1b[2J\n  --> \\x07.wf\nhelp: \\x9b")
  })

  it("cuts a long line around the caret", () => {
    const line = `${"a".repeat(200)}X${"b".repeat(200)}`
    const [, , , shown = "", marker = ""] = at(line, 200, 201).split("\n")
    expect(shown.length).toBeLessThan(120)
    expect(shown).toMatch(/^ 1 \| …a+Xb+…$/)
    expect(marker.indexOf("^")).toBe(shown.indexOf("X"))
  })

  it("stays quick and short on a line of a million characters", () => {
    expect(at("x".repeat(1_000_000), 500_000, 1_000_000).length).toBeLessThan(400)
  })

  it("shows the first and the last line of a span over several", () => {
    expect(at("one {\n  two\n  three\n}\nfour", 4, 22)).toBe(
      frame("  --> a.wf:1:5", "   |", " 1 | one {", "   |     ^", "... |", " 4 | }", "   | ^", "   |")
    )
  })

  it("shows two neighbouring lines without a gap", () => {
    expect(at("one {\n  two }", 4, 13)).toBe(
      frame("  --> a.wf:1:5", "   |", " 1 | one {", "   |     ^", " 2 |   two }", "   |   ^^^^^", "   |")
    )
  })

  it("points behind the last character at the end of the file", () => {
    expect(at("ab", 2, 2)).toBe(frame("  --> a.wf:1:3", "   |", " 1 | ab", "   |   ^", "   |"))
    expect(at("ab\n", 3, 3)).toBe(frame("  --> a.wf:2:1", "   |", " 2 |", "   | ^", "   |"))
  })

  it("leaves the carriage return of a line out", () => {
    expect(at("ab\r\ncd\r\n", 4, 6)).toBe(frame("  --> a.wf:2:1", "   |", " 2 | cd", "   | ^^", "   |"))
  })

  it("colours only what it is asked to", () => {
    const diagnostic = { severity: "error", code: "c", message: "m" } as const
    expect(render(diagnostic, { color: true })).toContain("\u001b[1;31merror[c]\u001b[0m")
    expect(render(diagnostic)).not.toContain("\u001b")
  })

  it("separates diagnostics by an empty line and counts them", () => {
    const error = { severity: "error", code: "a", message: "m" } as const
    const warning = { severity: "warning", code: "b", message: "n" } as const
    expect(renderAll([error, warning])).toBe("error[a]: m\n\nwarning[b]: n")
    expect(summary([error, warning, error])).toBe("2 errors, 1 warning")
    expect(summary([])).toBe("")
  })

  it("renders any span of any text without control characters", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.string())
    fc.assert(
      fc.property(text, fc.nat({ max: 30 }), fc.nat({ max: 30 }), (content, start, length) => {
        const from = Math.min(start, content.length)
        const rendered = at(content, from, Math.min(from + length, content.length))
        expect(rendered).toMatch(/^[^\p{Cc}]*(\n[^\p{Cc}]*)*$/u)
        expect(rendered).toContain("^")
      })
    )
  })
})
