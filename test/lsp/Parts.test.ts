import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { completionsAt } from "../../src/lsp/Completion.ts"
import { diagnosticsOf } from "../../src/lsp/Diagnostics.ts"
import { OpenDocument } from "../../src/lsp/Document.ts"
import { formattingOf } from "../../src/lsp/Formatting.ts"
import { encodeFrame, FrameDecoder } from "../../src/lsp/Frames.ts"
import { definitionAt } from "../../src/lsp/GoTo.ts"
import { hoverAt } from "../../src/lsp/Hover.ts"
import { Lines } from "../../src/lsp/Lines.ts"
import type { DocumentSymbol, Position } from "../../src/lsp/Protocol.ts"
import { symbolsOf } from "../../src/lsp/Symbols.ts"
import { Workspace } from "../../src/lsp/Workspace.ts"
import { arbitraryDefinition } from "../../src/testing/ArbitraryDefinition.ts"
import { formatSource, print } from "../../src/workflow/Printer.ts"
import { temporaryFolder } from "../action/support.ts"

const arbitraryText = fc
  .array(fc.constantFrom("a", "\n", "\r", "\r\n", "é", "🚀", " ", "b"), { maxLength: 40 })
  .map((parts) => parts.join(""))

const atOrBefore = (a: Position, b: Position): boolean =>
  a.line < b.line || (a.line === b.line && a.character <= b.character)

describe("frames", () => {
  it("are read whatever pieces their bytes come in", () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 5 }),
        fc.array(fc.nat(50), { maxLength: 30 }),
        (values, cuts) => {
          const bytes = Buffer.concat(values.map((value) => encodeFrame(value)))
          const decoder = new FrameDecoder()
          const read: Array<unknown> = []
          let from = 0
          for (const size of [...cuts, bytes.length]) {
            for (const frame of decoder.push(bytes.subarray(from, from + size))) {
              read.push(frame._tag === "Message" ? JSON.parse(frame.text) : frame)
            }
            from = Math.min(bytes.length, from + size)
          }
          expect(read).toEqual(values.map((value) => JSON.parse(JSON.stringify(value))))
        }
      )
    )
  })

  it("never stop the decoder, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }), (chunks) => {
        const decoder = new FrameDecoder()
        for (const chunk of chunks) decoder.push(chunk)
        decoder.push(Buffer.from(" ".repeat(20_000)))
        const [last] = decoder.push(encodeFrame("found")).slice(-1)
        expect(last).toEqual({ _tag: "Message", text: '"found"' })
      })
    )
  })
})

describe("positions", () => {
  it("and offsets are each other's inverse, but for the end of a line", () => {
    fc.assert(
      fc.property(arbitraryText, (text) => {
        const lines = new Lines(text)
        for (let offset = 0; offset <= text.length; offset++) {
          const isInsidePair = text[offset - 1] === "\r" && text[offset] === "\n"
          expect(lines.offsetOf(lines.positionOf(offset))).toBe(isInsidePair ? offset - 1 : offset)
        }
      })
    )
  })

  it("behind the end of a line or the text mean that end", () => {
    const lines = new Lines("ab\r\nc\rd")
    const offsets = [
      [0, 9],
      [1, 9],
      [2, 0],
      [2, 9],
      [9, 0]
    ].map(([line = 0, character = 0]) => lines.offsetOf({ line, character }))
    expect(offsets).toEqual([2, 5, 6, 7, 7])
  })
})

describe("a document", () => {
  it("is after its changes what the editor has", () => {
    const change = fc.record({ from: fc.nat(50), length: fc.nat(10), text: arbitraryText })
    fc.assert(
      fc.property(arbitraryText, fc.array(change, { maxLength: 5 }), (text, changes) => {
        let expected = text
        let document = new OpenDocument("file:///x.wf", 1, text)
        for (const { from, length, text: inserted } of changes) {
          const { lines } = document
          const range = lines.rangeOf({ start: from, end: from + length })
          const { end, start } = lines.spanOf(range)
          expected = expected.slice(0, start) + inserted + expected.slice(end)
          document = document.changed(2, [{ range, text: inserted }])
        }
        expect(document.text).toBe(expected)
      })
    )
  })

  it("is laid out by its edits as `fmt` lays it out", () => {
    fc.assert(
      fc.property(arbitraryDefinition, fc.constantFrom("\n", "\r\n"), fc.nat(3), (definition, lineEnd, spaces) => {
        // A text with NUL characters is refused as a binary file.
        const text = print(definition)
          .replaceAll("\0", "0")
          .replaceAll("\n", `${" ".repeat(spaces)}${lineEnd}`)
        const document = new OpenDocument("file:///x.wf", 1, text)
        const edited = document.changed(
          2,
          formattingOf(document).map(({ newText, range }) => ({ range, text: newText }))
        )
        const wanted = formatSource({ file: "x.wf", text })
        expect(edited.text).toBe(wanted._tag === "Right" ? wanted.right : text)
      }),
      { numRuns: 50 }
    )
  })

  it("has an outline in which every name lies in its range, and every range in the one around it", () => {
    const misplaced = (symbol: DocumentSymbol): ReadonlyArray<string> => {
      const { children, name, range, selectionRange } = symbol
      const isIn = atOrBefore(range.start, selectionRange.start) && atOrBefore(selectionRange.end, range.end)
      const outside = children.filter(
        (child) => !atOrBefore(range.start, child.range.start) || !atOrBefore(child.range.end, range.end)
      )
      return [...(isIn && name !== "" ? [] : [name]), ...outside.map((it) => it.name), ...children.flatMap(misplaced)]
    }
    fc.assert(
      fc.property(arbitraryDefinition, fc.nat(2_000), (definition, cut) => {
        const text = print(definition)
        for (const part of [text, text.slice(0, cut)]) {
          expect(symbolsOf(new OpenDocument("file:///x.wf", 1, part)).flatMap(misplaced)).toEqual([])
        }
      }),
      { numRuns: 50, endOnFailure: true }
    )
  })

  it("names what is not named yet", () => {
    const [workflow] = symbolsOf(new OpenDocument("file:///x.wf", 1, 'workflow w { call "a/" }'))
    expect(workflow?.children.map((symbol) => symbol.name)).toEqual(["(unnamed)"])
  })
})

const sample = `workflow main {
  meta { title = "x", targets = [a] }
  inputs { dry boolean, "odd" branch default = "main" }
  call review { output = findings, with = [tone, "a b"], plugin_dirs = ["p"] }
  call "agents/x.md" { inputs { a = "{{branch}}" } on_fail = "x/y" }
  while review.has_issues { max_iterations = 3 if "foreach:all".done { call mend } }
  do { with = tone call a } while a.b
  parallel { call a { if = "a.b" } call b { if = dry } }
  gate human_review { options = review.items, mode = review_decision }
  gate quality_gate { source = review, threshold = 3 }
  script test { run = "ci/test.sh {{dry" env = { A = "{{x}}" } }
  call workflow main { inputs = { dry = true } }
  foreach all { over = json, workflow = main, max_parallel = 2, scope = { from = "a.b", deep = { x = [1, {}] } } inputs { } }
  pipeline p { over = json, max_parallel = 1, call a { if = a.b } }
  always { call report }
} // end`

describe("questions about a text", () => {
  it.scoped("have an answer at every place of it, however much of it is written", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const uri = pathToFileURL(join(folder, "main.wf")).href
      const workspace = new Workspace({})
      const ask = (text: string, offset: number) =>
        Effect.gen(function* () {
          const document = new OpenDocument(uri, 1, text)
          workspace.put(document)
          const subject = yield* workspace.subject(document)
          const at = document.lines.positionOf(offset)
          const ranges = [
            ...completionsAt(subject, at).map(({ textEdit }) => textEdit.range),
            ...[hoverAt(subject, at)].flatMap((hover) => (hover === undefined ? [] : [hover.range]))
          ]
          definitionAt(subject, at)
          return ranges.every((range) => atOrBefore(range.start, at) && atOrBefore(at, range.end))
        })
      for (let offset = 0; offset <= sample.length; offset++) {
        expect([offset, yield* ask(sample, offset)]).toEqual([offset, true])
        expect([offset, yield* ask(sample.slice(0, offset), offset)]).toEqual([offset, true])
      }
      const cut = new OpenDocument(uri, 1, sample.slice(0, 700))
      expect(diagnosticsOf(yield* workspace.subject(cut)).length).toBeGreaterThan(0)
    })
  )
})
