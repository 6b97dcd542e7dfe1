import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ActionOutput } from "../../src/action/Action.ts"
import type { OutputSchema } from "../../src/workflow/OutputSchema.ts"
import { parse } from "../../src/workflow/OutputSchemaYaml.ts"
import { action, runIn } from "./TestEngine.ts"

const schemaOf = (name: string, text: string): OutputSchema => {
  const { schema, diagnostics } = parse(name, { file: `${name}.yaml`, text })
  if (schema === undefined) throw new Error(diagnostics.map(({ message }) => message).join("\n"))
  return schema
}

const review = schemaOf(
  "review",
  `fields:
  approved: boolean
  summary: string?
  findings:
    type: array
    items:
      severity: enum(high, low)
`
)

const ruled = schemaOf("ruled", "fields:\n  n: number\n  note: string\nmarkers:\n  zebra: n > 1\n  ant: n > 0\n")

const schemas = { review, ruled }

/** One call with a schema, whose attempts give these outputs in order. */
const call = (output: string, outputs: ReadonlyArray<ActionOutput>, options = "", dryRun = false) => {
  const errors: Array<string | undefined> = []
  const a = action(({ attempt, retryError }) => {
    errors.push(retryError)
    return outputs[attempt - 1] ?? {}
  })
  const text = `workflow w { call a { output = ${output} retries = ${outputs.length - 1} ${options} } }`
  return Effect.map(runIn({ actions: { a }, schemas }, text, { dryRun }), (end) => ({ ...end, errors }))
}

const fits = { approved: false, summary: "one finding", findings: [{ severity: "high" }], extra: [1] }

describe("a call with an output schema", () => {
  it.live("has its markers and context from the output, whichever executor gave it; other fields are kept", () =>
    Effect.gen(function* () {
      const end = yield* call("review", [{ structuredOutput: fits }])
      expect(end.step("/a").result).toMatchObject({
        markers: ["has_findings", "has_high_findings", "not_approved"],
        context: "one finding",
        structured: fits
      })
    })
  )

  it.live("has the markers of the schema's own rules, sorted, and the first text as its context", () =>
    Effect.gen(function* () {
      const end = yield* call("ruled", [{ structuredOutput: { n: 2, note: "the note" } }])
      expect(end.step("/a").result).toMatchObject({ markers: ["ant", "zebra"], context: "the note" })
    })
  )

  it.live("keeps markers and context that its executor gives itself", () =>
    Effect.gen(function* () {
      const end = yield* call("review", [{ structuredOutput: fits, markers: ["own"], context: "own" }])
      expect(end.step("/a").result).toMatchObject({ markers: ["own"], context: "own", structured: fits })
    })
  )

  it.live("fails an attempt whose output does not fit, naming every mismatch, and tells the next attempt", () =>
    Effect.gen(function* () {
      const wrong = { approved: "yes", findings: [{ severity: "bad" }, {}] }
      const end = yield* call("review", [{ structuredOutput: wrong }, { structuredOutput: fits }])
      const message = end.errors[1] ?? ""
      expect(message).toContain("the output does not fit the schema 'review'")
      for (const path of ["approved", "findings[0].severity", "findings[1].severity"]) expect(message).toContain(path)
      expect(end.step("/a").attempts.map(({ outcome, error }) => [outcome, error])).toEqual([
        ["failed", message],
        ["completed", null]
      ])
    })
  )

  it.live("fails an attempt without structured output", () =>
    Effect.gen(function* () {
      const end = yield* call("review", [{ resultText: "hello" }])
      expect(end.run.error).toBe("a: no structured output, but its schema is 'review'")
    })
  )

  it.live("needs no output in a dry run", () =>
    Effect.gen(function* () {
      const end = yield* call("review", [{}], "", true)
      expect(end.outline).toEqual(["/a completed"])
    })
  )

  it.live("fails without retries when the schema cannot be found", () =>
    Effect.gen(function* () {
      const end = yield* call("gone", [{}, {}, {}])
      expect(end.run.error).toBe("a: no output schema 'gone'")
      expect([end.step("/a").attempts.length, end.errors]).toEqual([1, []])
    })
  )

  it.live("makes markers that later conditions see, and texts that become variables", () =>
    Effect.gen(function* () {
      const seen: Array<string | undefined> = []
      const end = yield* runIn(
        {
          actions: {
            a: action(() => ({ structuredOutput: { n: 2, note: "the note" } })),
            b: action(({ variables }) => {
              seen.push(variables["note"])
              return {}
            })
          },
          schemas
        },
        "workflow w { call a { output = ruled } if a.zebra { call b } }"
      )
      expect(end.outline).toEqual(["/a completed", "/if:a.zebra/b completed"])
      expect(seen).toEqual(["the note"])
    })
  )
})
