import { describe, expect, it } from "@effect/vitest"
import { defaults } from "../../src/workflow/Definition.ts"
import { keywordDocs } from "../../src/workflow/KeywordDocs.ts"
import {
  gateDocs,
  modifierDocs,
  type OptionDoc,
  optionDoc,
  optionDocs,
  optionTable
} from "../../src/workflow/OptionDocs.ts"
import { parse } from "../../src/workflow/Parser.ts"
import type { Owner } from "../../src/workflow/ParserOptions.ts"

const docs: ReadonlyArray<readonly [Owner, string, OptionDoc]> = Object.entries(optionDocs).flatMap(
  ([owner, options]) =>
    // SAFETY: the keys of `optionDocs` are the owners.
    Object.entries<OptionDoc>(options).map(([name, doc]) => [owner as Owner, name, doc] as const)
)

/** A value that the option takes. */
const sampleOf = ({ value, words }: OptionDoc): string => {
  if (words !== undefined) return words[0] ?? ""
  switch (value) {
    case "number":
      return "2"
    case "duration":
      return "7s"
    case "boolean":
      return "true"
    case "list":
    case "options":
    case "targets":
      return '["x"]'
    case "map":
    case "values":
      return '{ x = "y" }'
    case "condition":
      return "a.b"
    default:
      return '"x"'
  }
}

/** A node with these options. */
const nodeOf = (owner: Owner, options: string): string => {
  const wrap: Readonly<Record<Owner, string>> = {
    call: `call x { ${options} }`,
    "call in a parallel block": `parallel { call x { ${options} } }`,
    "call in a pipeline": `pipeline p { over = json, max_parallel = 1, call x { ${options} } }`,
    "call workflow": `call workflow x { ${options} }`,
    if: `if a.b { ${options} }`,
    unless: `unless a.b { ${options} }`,
    while: `while a.b { ${options} }`,
    "do … while": `do { ${options} } while a.b`,
    do: `do { ${options} }`,
    parallel: `parallel { ${options} call x call y }`,
    gate: `gate human_review { ${options} }`,
    "gate quality_gate": `gate quality_gate { ${options} }`,
    script: `script x { ${options} }`,
    foreach: `foreach x { ${options} }`,
    pipeline: `pipeline x { ${options} call y }`,
    meta: `meta { ${options} }`
  }
  return wrap[owner]
}

const codesOf = (owner: Owner, options: string): ReadonlyArray<string> =>
  parse({ file: "x.wf", text: `workflow x { ${nodeOf(owner, options)} }` }).diagnostics.map(
    ({ code, message }) => `${code}: ${message}`
  )

/** The options that the node needs beside the one looked at. */
const needed = (owner: Owner, except: string): string =>
  docs
    .filter(([other, name, doc]) => other === owner && name !== except && doc.required === true)
    .map(([, name, doc]) => `${name} = ${sampleOf(doc)}`)
    .join(", ")

describe("the table of options", () => {
  it.each(docs)("says of `%s` and `%s` what the parser does", (owner, name, doc) => {
    const others = needed(owner, name)
    for (const value of [sampleOf(doc), ...(doc.words ?? [])]) {
      expect(codesOf(owner, `${others}, ${name} = ${value}`)).toEqual([])
    }
    const without = codesOf(owner, others)
    const isMissing = without.some((it) => it.startsWith("missing-option") && it.includes(`\`${name}\``))
    expect(isMissing).toBe(doc.required === true)
    const isChoice = doc.value === "word" && !(owner === "meta" && name === "trigger")
    const [wrong = ""] = isChoice ? codesOf(owner, `${others}, ${name} = nonsense`) : ["not-one-of"]
    expect(wrong).toMatch(/^not-one-of/)
  })

  it.each(docs)("has a sentence for `%s` and `%s`, without its full stop", (_, __, { summary }) => {
    expect(summary).toMatch(/^[A-Z`].*[^.]$/)
  })

  it("names the defaults that are the interpreter's", () => {
    const written = (owner: Owner, name: string) => optionDoc(owner, name)?.default
    expect({
      retries: written("call", "retries"),
      retryDelay: written("call", "retry_delay"),
      backoff: written("call", "backoff"),
      maxDelay: written("call", "max_delay"),
      jitter: written("call", "jitter"),
      failFast: written("parallel", "fail_fast"),
      onMaxIter: written("while", "on_max_iter"),
      minApprovals: written("gate", "min_approvals"),
      gateMode: written("gate", "mode"),
      gateTimeout: written("gate", "timeout"),
      onTimeout: written("gate", "on_timeout"),
      qualityOnFail: written("gate quality_gate", "on_fail"),
      ordered: written("foreach", "ordered"),
      onCycle: written("foreach", "on_cycle"),
      onChildFail: written("foreach", "on_child_fail"),
      trigger: written("meta", "trigger")
    }).toEqual(
      Object.fromEntries(
        Object.entries({ ...defaults, maxDelay: "1h", gateTimeout: "24h" }).map(([name, value]) => [name, `${value}`])
      )
    )
    expect([defaults.maxDelay, defaults.gateTimeout]).toEqual([3_600_000, 86_400_000])
  })

  it("is written as Markdown", () => {
    expect(optionTable("gate quality_gate")).toMatchInlineSnapshot(`
      "| option | value | default | meaning |
      | --- | --- | --- | --- |
      | \`source\` | a step's name | required | The step whose \`confidence\` is looked at |
      | \`threshold\` | a whole number | required | The least confidence that passes, 0 to 100 |
      | \`on_fail\` | \`fail\`, \`continue\` | fail | What follows when the confidence is too low |"
    `)
    expect(optionDoc("if", "constructor")).toBeUndefined()
  })
})

describe("the other tables of the language", () => {
  it("have examples that parse", () => {
    for (const [keyword, { example }] of Object.entries(keywordDocs)) {
      const text = keyword === "workflow" ? example : `workflow x { ${example} }`
      expect([keyword, parse({ file: "x.wf", text }).diagnostics]).toEqual([keyword, []])
    }
  })

  it("have sentences without their full stops", () => {
    const summaries = Object.values(keywordDocs).map(({ summary }) => summary)
    for (const text of [...summaries, ...Object.values(modifierDocs), ...Object.values(gateDocs)]) {
      expect(text).toMatch(/^[A-Z].*[^.]$/)
    }
  })
})
