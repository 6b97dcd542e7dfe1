import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { arbitraryDefinition } from "../../src/testing/ArbitraryDefinition.ts"
import { WorkflowDefinition } from "../../src/workflow/Definition.ts"
import { hasErrors } from "../../src/workflow/Diagnostic.ts"
import { renderAll } from "../../src/workflow/DiagnosticRenderer.ts"
import { tokenize } from "../../src/workflow/Lexer.ts"
import { maxNesting, parse } from "../../src/workflow/Parser.ts"
import { formatSource, print, printEither } from "../../src/workflow/Printer.ts"

const read = (text: string): WorkflowDefinition => {
  const file = parse({ file: "test.wf", text })
  if (file.definition === undefined || hasErrors(file.diagnostics)) throw new Error(renderAll(file.diagnostics))
  return file.definition
}

const format = (text: string): string => Either.getOrThrow(formatSource({ file: "test.wf", text }))

const empty: WorkflowDefinition = { name: "w", trigger: "manual", targets: [], inputs: [], body: [], always: [] }

describe("print", () => {
  it("reads back as the same definition, whatever the definition (law 10)", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(arbitraryDefinition, (definition) => {
        expect(read(print(definition))).toEqual(definition)
      }),
      { numRuns: 1_000 }
    )
  })

  it("is laid out as the formatter lays out", () => {
    fc.assert(
      fc.property(arbitraryDefinition, (definition) => {
        const text = print(definition)
        expect(format(text)).toBe(text)
      }),
      { numRuns: 150 }
    )
  })

  it("keeps definitions that have been through JSON", () => {
    const encode = Schema.encodeSync(WorkflowDefinition)
    const decode = Schema.decodeUnknownSync(WorkflowDefinition)
    fc.assert(
      fc.property(arbitraryDefinition, (definition) => {
        expect(decode(JSON.parse(JSON.stringify(encode(definition))))).toEqual(definition)
      }),
      { numRuns: 150 }
    )
  })
})

describe("print in detail", () => {
  const refusal = (definition: WorkflowDefinition): string | undefined =>
    Either.match(printEither(definition), { onLeft: ({ reason }) => reason, onRight: () => undefined })

  it("writes the canonical form", () => {
    const definition = read(`workflow w { meta { targets = a title = "T" } inputs { a required boolean, boolean }
      call a { timeout = 3600 } call "p/x.md" { retries = 2 on_fail = "q/y.md" with = s }
      if a.m { call b } script s { run = "one\ntwo\n" env = { A = "\t" } timeout = 1500ms } always { call z } }`)
    expect(print(definition)).toBe(`workflow w {
  meta {
    title = "T"
    targets = ["a"]
  }

  inputs {
    a boolean required,
    boolean
  }

  call a { timeout = 1h }
  call "p/x.md" {
    retries = 2
    on_fail = "q/y.md"
    with = "s"
  }

  if a.m {
    call b
  }

  script s {
    run = "one
two
"
    env = { A = "\\t" }
    timeout = 1500ms
  }

  always {
    call z
  }
}
`)
  })

  it("refuses what the language cannot say, instead of saying something else", () => {
    const call = (name: string): WorkflowDefinition["body"][number] => ({
      _tag: "Call",
      action: { _tag: "Name", name }
    })
    expect(refusal({ ...empty, body: [call("a b")] })).toBeDefined()
    expect(refusal({ ...empty, body: [call("a } call b { retries = 1")] })).toBeDefined()
    expect(refusal({ ...empty, body: [call("workflow")] })).toBeDefined()
    expect(refusal({ ...empty, name: "a b" })).toBeDefined()
    expect(refusal({ ...empty, body: [{ _tag: "Gate", name: "quality_gate" }] })).toBeDefined()
    expect(refusal({ ...empty, body: [{ _tag: "Always", body: [call("a")] }] })).toBeDefined()
    expect(refusal({ ...empty, body: [{ _tag: "Call", action: { _tag: "Path", path: "../x" } }] })).toBeDefined()
    expect(refusal({ ...empty, body: [call("a")] })).toBeUndefined()
    expect(() => print({ ...empty, name: "a b" })).toThrow(/cannot be written as \.wf text/)
  })

  it("refuses blocks that are nested deeper than a file may be", () => {
    const nested = Array.from({ length: maxNesting }).reduce<WorkflowDefinition["body"]>(
      (inner) => [{ _tag: "Do", body: inner }],
      []
    )
    expect(refusal({ ...empty, body: nested })).toContain("nested deeper")
  })
})

const comments = ["// one", "# two", "//", '# { } "', "// wide 漢"] as const

/** Between two tokens: nothing but what is needed, more space, or comments. */
const gap = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(" ", "\n", "\n\n\n", "\t", "\r\n") },
  { weight: 1, arbitrary: fc.constantFrom(...comments).map((comment) => ` ${comment}\n`) },
  { weight: 1, arbitrary: fc.constantFrom(...comments).map((comment) => `\n\n${comment}\n`) }
)

const tokenTexts = (text: string): ReadonlyArray<string> => {
  const { count, starts, ends } = tokenize(text)
  return Array.from({ length: count }, (_, index) => text.slice(starts[index], ends[index]))
}

const commentTexts = (text: string): ReadonlyArray<string> => {
  const { comments: places } = tokenize(text)
  return places.flatMap((start, index) => (index % 2 === 0 ? [text.slice(start, places[index + 1]).trimEnd()] : []))
}

describe("formatSource", () => {
  it("keeps the meaning and every comment of a file in any layout, and changes nothing the second time (law 10)", {
    timeout: 120_000
  }, () => {
    fc.assert(
      fc.property(arbitraryDefinition, fc.array(gap, { minLength: 1, maxLength: 80 }), (definition, gaps) => {
        const text = tokenTexts(print(definition))
          .map((token, index) => `${gaps[index % gaps.length]}${token}`)
          .join("")
        const formatted = format(text)
        expect(read(formatted)).toEqual(definition)
        expect(commentTexts(formatted)).toEqual(commentTexts(text))
        expect(format(formatted)).toBe(formatted)
      }),
      { numRuns: 1_000 }
    )
  })

  it("keeps what a definition does not: unknown options, repeated ones, their order and their form", () => {
    const text = 'workflow w {\n  call a {\n    retires = 2\n    timeout = 60\n    timeout = "1m"\n  }\n}\n'
    expect(format(text)).toBe(text)
  })

  it("lays out comments where they stood", () => {
    expect(
      format(`// head

# second
workflow w { // opens
   // first


   // second
call a { // why
retries = 2 // twice
}
  script s { run = "x" env = { A = "1" // one
  } }
  foreach f { over = t workflow = w max_parallel = 1 scope = { a = [ "x", // ex
    "y" ] } } // done
  // last
}
// tail`)
    ).toBe(`// head

# second
workflow w { // opens
  // first

  // second
  call a { // why
    retries = 2 // twice
  }
  script s {
    run = "x"
    env = {
      A = "1" // one
    }
  }
  foreach f {
    over = t
    workflow = w
    max_parallel = 1
    scope = {
      a = [
        "x", // ex
        "y"
      ]
    }
  } // done
  // last
}
// tail
`)
  })

  it("drops separators but the comma that an input's name needs", () => {
    expect(format("workflow w { inputs { a; b, required; } call a { retries = 1; output = x, } ; }")).toBe(
      "workflow w {\n  inputs {\n    a\n    b,\n    required\n  }\n  call a {\n    retries = 1\n    output = x\n  }\n}\n"
    )
  })

  it("breaks a list that is too long for its line", () => {
    const items = Array.from({ length: 12 }, (_, index) => `"snippet-${index}"`)
    expect(format(`workflow w { call a { with = [${items.join(" ")}] } }`)).toBe(
      `workflow w {\n  call a {\n    with = [\n${items.map((item) => `      ${item}`).join(",\n")}\n    ]\n  }\n}\n`
    )
  })

  it("leaves a file with errors alone", () => {
    const refused = Either.flip(formatSource({ file: "x.wf", text: "workflow w { cal a }" }))
    expect(Either.getOrThrow(refused)).toMatchObject({ _tag: "InvalidWorkflow", file: "x.wf" })
  })
})

describe("arbitrary definitions", () => {
  it("cover every node and every option", () => {
    const seen = new Set<string>()
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return
      const tag = "_tag" in value && typeof value._tag === "string" ? value._tag : undefined
      for (const [key, part] of Object.entries(value)) {
        if (tag !== undefined) seen.add(`${tag}.${key}`)
        visit(part)
      }
    }
    for (const definition of fc.sample(arbitraryDefinition, { numRuns: 800, seed: 1 })) visit(definition)
    const options = {
      Call: "action retries retryDelay backoff maxDelay jitter onFail output with as pluginDirs timeout heartbeat if",
      CallWorkflow: "workflow inputs retries onFail as timeout",
      If: "condition body",
      Unless: "condition body",
      While: "condition maxIterations stuckAfter onMaxIter body",
      DoWhile: "condition maxIterations stuckAfter onMaxIter body",
      Do: "output with body",
      Parallel: "failFast minSuccess maxParallel output with calls",
      Gate: "name prompt minApprovals mode timeout onTimeout as options",
      QualityGate: "source threshold onFail",
      Always: "body",
      Script: "name run env timeout retries onFail as",
      Foreach: "name over workflow maxParallel scope filter inputs ordered onCycle onChildFail",
      Pipeline: "name over maxParallel scope filter onChildFail calls",
      Fixed: "entries",
      From: "step field"
    }
    const wanted = Object.entries(options).flatMap(([tag, keys]) => keys.split(" ").map((key) => `${tag}.${key}`))
    expect(wanted.filter((key) => !seen.has(key))).toEqual([])
  })
})
