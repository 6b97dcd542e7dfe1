import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { hasErrors } from "../../src/workflow/Diagnostic.ts"
import { parse } from "../../src/workflow/Parser.ts"
import { blockKeys, encodeKey, stepName, stepReferences } from "../../src/workflow/StepNames.ts"

const body = (text: string) => {
  const { definition, diagnostics } = parse({ file: "test.wf", text: `workflow w {\n${text}\n}` })
  expect(hasErrors(diagnostics)).toBe(false)
  return definition?.body ?? []
}

const everyKind = `
  call build
  call "agents/code review.md"
  call workflow child
  if review.has_issues { }
  unless fast { }
  while review.bad { max_iterations = 1 }
  do { max_iterations = 1 } while review.bad
  do { }
  parallel { call a }
  gate human_approval { }
  gate quality_gate { source = a threshold = 1 }
  script lint { run = "x" }
  foreach tickets { over = t workflow = w max_parallel = 1 }
  pipeline items { over = t max_parallel = 1 call a }
`

describe("step names and keys", () => {
  it("name the step of every kind of node", () => {
    expect(body(everyKind).map(stepName)).toEqual([
      "build",
      "code review",
      "workflow:child",
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      "human_approval",
      "quality_gate",
      "lint",
      "foreach:tickets",
      "pipeline:items"
    ])
  })

  it("make a path segment of every kind of node", () => {
    expect(blockKeys(body(everyKind))).toEqual([
      "build",
      "code%20review",
      "workflow:child",
      "if:review.has_issues",
      "unless:fast",
      "while:review.bad",
      "do-while:review.bad",
      "do",
      "parallel",
      "human_approval",
      "quality_gate",
      "lint",
      "foreach:tickets",
      "pipeline:items"
    ])
  })

  it("name a nested always block by its kind", () => {
    expect(
      body("do { always { call a } }").flatMap((node) => (node._tag === "Do" ? blockKeys(node.body) : []))
    ).toEqual(["always"])
  })

  it("number equal keys of a block from the second on, and count each key for itself", () => {
    expect(blockKeys(body("call a\ncall b\ncall a\ndo { }\ncall a\ndo { }"))).toEqual([
      "a",
      "b",
      "a~2",
      "do",
      "a~3",
      "do~2"
    ])
  })

  it("give workflows and fan-outs a short name to refer to", () => {
    expect(
      body(everyKind)
        .flatMap(stepReferences)
        .filter((name) => name !== "quality_gate")
    ).toEqual([
      "build",
      "code review",
      "workflow:child",
      "child",
      "human_approval",
      "lint",
      "foreach:tickets",
      "tickets",
      "pipeline:items",
      "items"
    ])
  })
})

describe("encodeKey", () => {
  it("encodes what has a meaning in a path", () => {
    expect(encodeKey("a/b~2@3 %ü漢👍")).toBe("a%2Fb%7E2%403%20%25%C3%BC%E6%BC%A2%F0%9F%91%8D")
  })

  it("encodes well-formed text as percent-encoded UTF-8", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(decodeURIComponent(encodeKey(text))).toBe(text)
        expect(encodeKey(text)).toMatch(/^[A-Za-z0-9_.:%-]*$/)
      })
    )
  })

  it("keeps different texts different, halves of surrogate pairs among them", () => {
    expect(new Set(["\ud800", "\udc00", "\ud801", "\ufffd"].map(encodeKey)).size).toBe(4)
  })
})
