import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { arbitraryDefinition } from "../../src/testing/ArbitraryDefinition.ts"
import { keywordDocs } from "../../src/workflow/KeywordDocs.ts"
import { Kind, tokenize } from "../../src/workflow/Lexer.ts"
import { modifierDocs, optionDocs } from "../../src/workflow/OptionDocs.ts"
import { nodeKeywords } from "../../src/workflow/ParserCursor.ts"
import { optionNames } from "../../src/workflow/ParserOptions.ts"
import { print } from "../../src/workflow/Printer.ts"
import { expressions, readGrammar, scopesOf } from "./TextMate.ts"

const root = join(import.meta.dirname, "../..")
const grammar = readGrammar(readFileSync(join(root, "editors/millrace.tmLanguage.json"), "utf8"))

/** The scopes of a text's words, marks and strings, without `.millrace`. */
const scopesIn = (text: string): ReadonlyArray<readonly [text: string, scope: string]> => {
  const scopes = scopesOf(grammar, text)
  const parts: Array<[string, string]> = []
  for (let at = 0; at < text.length; at++) {
    const scope = (scopes[at] ?? "").replace(/\.millrace$/, "")
    const last = parts.at(-1)
    if (last !== undefined && scope !== "" && scope === last[1] && text[at - 1] !== " ") last[0] += text[at]
    else if (text[at]?.trim() !== "") parts.push([text[at] ?? "", scope])
  }
  return parts
}

describe("the TextMate grammar", () => {
  it("belongs to .wf files", () => {
    expect([grammar.scopeName, grammar.fileTypes]).toEqual(["source.millrace", ["wf"]])
  })

  it("has only expressions that JavaScript knows too", () => {
    expect(expressions(grammar).length).toBeGreaterThan(20)
    for (const source of expressions(grammar)) expect(() => new RegExp(source, "u")).not.toThrow()
  })

  it.each([...new Set([...nodeKeywords, ...Object.keys(keywordDocs)])])("knows the keyword %s", (keyword) => {
    expect(scopesIn(`${keyword} {`)[0]?.[1]).toMatch(/^keyword\.control/)
    expect(scopesIn(`${keyword}-not`)[0]?.[1]).toBe("variable.other.name")
  })

  it.each([...new Set([...Object.values(optionNames).flat(), "default", "description", "secret"])])(
    "knows the option %s",
    (option) => {
      expect(scopesIn(`${option} = 1`)).toEqual([
        [option, "support.type.property-name.option"],
        ["=", "keyword.operator.assignment"],
        ["1", "constant.numeric.integer"]
      ])
    }
  )

  it("knows the words that say something of inputs, and those that options may be", () => {
    for (const modifier of Object.keys(modifierDocs)) {
      const text = modifier === "required" || modifier === "boolean" ? modifier : `${modifier} = x`
      expect(scopesIn(text)[0]?.[1]).toMatch(/^(storage\.modifier|support\.type\.property-name)/)
    }
    const words = Object.values(optionDocs).flatMap((docs) =>
      Object.values<{ readonly words?: ReadonlyArray<string> }>(docs).flatMap((doc) => doc.words ?? [])
    )
    for (const word of new Set(words)) expect(scopesIn(`x = ${word}`)[2]?.[1]).toBe("constant.language")
  })

  it("colours steps, names, conditions, texts and comments", () => {
    const text = `workflow deploy-all { // first
  call workflow build-it { inputs { a = "x {{branch}} \\" y" } }
  call review # second
  while review.has_issues { max_iterations = 3 timeout = 500ms }
  unless dry { gate human_approval { on_timeout = continue } }
  call "agents/x.md" { jitter = true, options = plan.items }
}`
    const shown = scopesIn(text).map(([part, scope]) => `${part.trim()} · ${scope}`)
    expect(shown.join("\n")).toMatchSnapshot()
  })

  it("goes on with a text in the next line", () => {
    const scopes = scopesIn('run = "one\n# two // {{three}}\nfour" # five')
    expect(scopes.slice(2).map(([, scope]) => scope)).toEqual([
      "punctuation.definition.string.begin",
      "string.quoted.double",
      "string.quoted.double",
      "string.quoted.double",
      "variable.other.template",
      "string.quoted.double",
      "punctuation.definition.string.end",
      "comment.line.number-sign",
      "comment.line.number-sign"
    ])
  })
})

const expected = new Map<number, RegExp>([
  [Kind.String, /^(string|punctuation\.definition\.string|constant\.character\.escape|variable\.other\.template)/],
  [Kind.Integer, /^constant\.numeric\.integer/],
  [Kind.Duration, /^constant\.numeric\.duration/],
  [Kind.Identifier, /^(keyword\.control|entity|variable|support|storage|constant\.language)/],
  [Kind.Equals, /^keyword\.operator/],
  [Kind.LeftBrace, /^punctuation\.section\.block/],
  [Kind.RightBrace, /^punctuation\.section\.block/]
])

/** The tokens of a sound file that the grammar takes for something else than the language does. */
const disagreements = (text: string): ReadonlyArray<string> => {
  const scopes = scopesOf(grammar, text)
  const { comments, count, ends, kinds, starts } = tokenize(text)
  const wrong: Array<string> = []
  const check = (start: number, end: number, wanted: RegExp | undefined) => {
    const other = scopes.slice(start, end).find((scope) => wanted?.test(scope) === false)
    if (other !== undefined) wrong.push(`${text.slice(start, end)}: ${other}`)
  }
  for (let token = 0; token < count; token++)
    check(starts[token] ?? 0, ends[token] ?? 0, expected.get(kinds[token] ?? 0))
  for (let at = 0; at < comments.length; at += 2) check(comments[at] ?? 0, comments[at + 1] ?? 0, /^comment/)
  return wrong
}

describe("the TextMate grammar and the lexer", () => {
  it("agree on the examples", () => {
    const files = ["examples", "test"].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".wf"))
        .map((file) => join(root, folder, file))
    )
    const found = files.flatMap((file) => disagreements(readFileSync(file, "utf8")).map((it) => `${file}: ${it}`))
    expect(found).toEqual([])
  })

  it("agree on whatever workflows are printed", () => {
    fc.assert(
      fc.property(arbitraryDefinition, (definition) => {
        expect(disagreements(print(definition))).toEqual([])
      }),
      { numRuns: 30 }
    )
  })
})
