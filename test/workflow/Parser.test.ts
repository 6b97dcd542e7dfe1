import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Node, WorkflowDefinition } from "../../src/workflow/Definition.ts"
import { sort } from "../../src/workflow/Diagnostic.ts"
import { renderAll } from "../../src/workflow/DiagnosticRenderer.ts"
import { parse, parseEffect } from "../../src/workflow/Parser.ts"

const file = (text: string) => parse({ file: "test.wf", text })

/** The definition of a file without any finding. */
const definitionOf = (text: string): WorkflowDefinition => {
  const { definition, diagnostics } = file(text)
  if (definition === undefined || diagnostics.length > 0) throw new Error(renderAll(diagnostics))
  return definition
}

const body = (text: string): ReadonlyArray<Node> => definitionOf(`workflow w {\n${text}\n}`).body
const node = (text: string): Node | undefined => body(text)[0]
const codes = (text: string): ReadonlyArray<string> =>
  file(`workflow w {\n${text}\n}`).diagnostics.map(({ code }) => code)

const name = (text: string) => ({ _tag: "Name", name: text }) as const
const call = (text: string) => ({ _tag: "Call", action: name(text) }) as const
const marker = (step: string, text: string) => ({ _tag: "Marker", step, marker: text }) as const

describe("a workflow file", () => {
  it("has a name, and defaults for all the rest", () => {
    expect(definitionOf("workflow push-and-pr {}")).toEqual({
      name: "push-and-pr",
      trigger: "manual",
      targets: [],
      inputs: [],
      body: [],
      always: []
    })
  })

  it("takes keywords wherever a name stands", () => {
    const definition = definitionOf(`workflow workflow {
      inputs { inputs required default = "x" call boolean }
      call do
      call workflow while
      if unless.parallel { call if }
      unless call { gate gate { } }
      script script { run = always env = { meta = foreach } }
    }`)
    expect(definition).toMatchObject({
      name: "workflow",
      inputs: [{ name: "inputs" }, { name: "call" }],
      body: [
        call("do"),
        { _tag: "CallWorkflow", workflow: "while" },
        { _tag: "If", condition: marker("unless", "parallel"), body: [call("if")] },
        { _tag: "Unless", condition: { _tag: "Input", name: "call" }, body: [{ _tag: "Gate", name: "gate" }] },
        { _tag: "Script", name: "script", run: "always", env: { meta: "foreach" } }
      ]
    })
  })

  it("concatenates its always blocks, and keeps nested ones as nodes", () => {
    const { always, body: nodes } = definitionOf(
      "workflow w { always { call a } do { always { call b } } always { call c } }"
    )
    expect(always).toEqual([call("a"), call("c")])
    expect(nodes).toEqual([{ _tag: "Do", body: [{ _tag: "Always", body: [call("b")] }] }])
  })

  it("reads meta, with any trigger and one or several targets", () => {
    expect(
      definitionOf('workflow w { meta { title = "T" description = "D" trigger = nightly targets = "x" group = g } }')
    ).toMatchObject({ title: "T", description: "D", trigger: "nightly", targets: ["x"], group: "g" })
    expect(definitionOf('workflow w { meta { trigger = "on push" targets = [x, "y",] } }')).toMatchObject({
      trigger: "on push",
      targets: ["x", "y"]
    })
  })

  it("tolerates separators between options, and comments everywhere", () => {
    expect(body("# one\ncall a { retries = 2, timeout = 5m; } // two\n; call b")).toEqual([
      { ...call("a"), retries: 2, timeout: 300_000 },
      call("b")
    ])
  })
})

describe("inputs", () => {
  const inputs = (text: string) => definitionOf(`workflow w { inputs { ${text} } }`).inputs

  it("have modifiers in any order", () => {
    expect(inputs('a b required default = "x" description = "d" c default = true boolean d secret = true')).toEqual([
      { name: "a", boolean: false, required: false, secret: false },
      { name: "b", boolean: false, required: true, secret: false, default: "x", description: "d" },
      { name: "c", boolean: true, required: false, secret: false, default: "true" },
      { name: "d", boolean: false, required: false, secret: true }
    ])
  })

  it("are called default, description or secret where no equals sign follows", () => {
    expect(inputs("default description secret a").map((input) => input.name)).toEqual([
      "default",
      "description",
      "secret",
      "a"
    ])
    expect(inputs('default default = "x"')).toMatchObject([{ name: "default", default: "x" }])
  })

  it("are called required or boolean at the beginning or behind a comma or semicolon", () => {
    expect(
      inputs("required, boolean; required boolean required").map(({ name: text, boolean, required }) => [
        text,
        boolean,
        required
      ])
    ).toEqual([
      ["required", false, false],
      ["boolean", false, false],
      ["required", true, true]
    ])
  })
})

describe("calls", () => {
  it("take every option, with numbers and words quoted or bare", () => {
    const expected = {
      ...call("a"),
      retries: 2,
      retryDelay: 1500,
      backoff: "exponential",
      maxDelay: 60_000,
      jitter: true,
      onFail: { _tag: "Continue" },
      output: "schema",
      with: ["x"],
      as: "bot",
      pluginDirs: ["p"],
      timeout: 30_000,
      heartbeat: 3_600_000,
      maxTurns: 4,
      model: "m",
      inputs: { k: "1" }
    }
    const rest = "output = schema with = x as = bot plugin_dirs = [p] model = m inputs { k = 1 }"
    expect(
      node(`call a { retries = 2 retry_delay = 1500ms backoff = exponential max_delay = 1m jitter = true
        on_fail = continue timeout = 30 heartbeat = 1h max_turns = 4 ${rest} }`)
    ).toEqual(expected)
    expect(
      node(`call a { retries = "2" retry_delay = "1500ms" backoff = "exponential" max_delay = "60" jitter = "true"
        on_fail = "continue" timeout = "30s" heartbeat = "60m" max_turns = "4" ${rest} }`)
    ).toEqual(expected)
  })

  it("take any quoted text as a path, and on_fail only one with a slash", () => {
    expect(body('call "x.md" { on_fail = "y.md" } call x { on_fail = "a/y.md" } call y { on_fail = z }')).toEqual([
      { _tag: "Call", action: { _tag: "Path", path: "x.md" }, onFail: name("y.md") },
      { ...call("x"), onFail: { _tag: "Path", path: "a/y.md" } },
      { ...call("y"), onFail: name("z") }
    ])
  })

  it("merge both forms of inputs", () => {
    const expected = { _tag: "CallWorkflow", workflow: "c", inputs: { a: "1", b: "2" }, retries: 1 }
    expect(node('call workflow c { inputs { a = "1" } retries = 1 inputs = { b = "2" } }')).toEqual(expected)
    expect(node('call workflow c { retries = 1 inputs = { "a" = "1", b = 2 } }')).toEqual(expected)
  })

  it("keep what is written but empty apart from what is absent", () => {
    expect(node("call a { inputs { } with = [] }")).toEqual({ ...call("a"), inputs: {}, with: [] })
    expect(node("call a { }")).toEqual(call("a"))
  })

  it("let the last of a repeated option count", () => {
    const { definition, diagnostics } = file("workflow w { call a { retries = 1 retries = 2 } }")
    expect(definition?.body).toEqual([{ ...call("a"), retries: 2 }])
    expect(diagnostics).toMatchObject([{ severity: "warning", code: "repeated-option" }])
  })
})

describe("loops", () => {
  it("end with their condition", () => {
    expect(node("do { max_iterations = 3 stuck_after = 2 on_max_iter = continue call a } while a.b")).toEqual({
      _tag: "DoWhile",
      condition: marker("a", "b"),
      maxIterations: 3,
      stuckAfter: 2,
      onMaxIter: "continue",
      body: [call("a")]
    })
  })

  it("leave a while with a block to the next node", () => {
    const [first, second] = body("do { call a }\nwhile a.b { max_iterations = 1 }")
    expect(first).toEqual({ _tag: "Do", body: [call("a")] })
    expect(second).toMatchObject({ _tag: "While", condition: marker("a", "b") })
  })

  it("may follow each other", () => {
    expect(
      body("do { max_iterations = 1 } while a.b while c.d { max_iterations = 1 }").map(({ _tag }) => _tag)
    ).toEqual(["DoWhile", "While"])
  })

  it("read the old form to the same meaning, as an error", () => {
    const { definition, diagnostics } = file("workflow w { do a.b { max_iterations = 1 call c } }")
    expect(diagnostics.map(({ code }) => code)).toEqual(["foreign-do-condition"])
    expect(definition?.body).toEqual([
      { _tag: "DoWhile", condition: marker("a", "b"), maxIterations: 1, body: [call("c")] }
    ])
  })

  it("hand output and snippets on only as a plain block", () => {
    expect(node("do { output = x with = [a, b] }")).toEqual({ _tag: "Do", output: "x", with: ["a", "b"], body: [] })
    expect(codes("do { output = x max_iterations = 1 } while a.b")).toEqual(["unknown-option"])
  })
})

describe("conditions", () => {
  it("of branches are quoted or bare markers, or inputs", () => {
    expect(
      node('parallel { call a { if = "s.m.n" } call b { if = s.m } call c { if = flag } call d { if = "flag" } }')
    ).toMatchObject({
      calls: [
        { if: marker("s", "m.n") },
        { if: marker("s", "m") },
        { if: { _tag: "Input", name: "flag" } },
        { if: { _tag: "Input", name: "flag" } }
      ]
    })
  })

  it("quote a step that is no identifier", () => {
    expect(node('if "foreach:f".failed { }')).toMatchObject({ condition: marker("foreach:f", "failed") })
    expect(node('unless "foreach:f.failed" { }')).toMatchObject({ condition: marker("foreach:f", "failed") })
    expect(node('while "a.b"."c.d" { max_iterations = 1 }')).toMatchObject({ condition: marker("a.b", "c.d") })
    expect(node('parallel { call a { if = "foreach:f".failed } }')).toMatchObject({
      calls: [{ if: marker("foreach:f", "failed") }]
    })
  })
})

describe("gates", () => {
  it("take options as a list, a map in written order, and a step's field", () => {
    const options = (text: string) => node(`gate human_approval { options = ${text} }`)
    expect(options('["b", a]')).toMatchObject({
      options: {
        _tag: "Fixed",
        entries: [
          { key: "b", text: "b" },
          { key: "a", text: "a" }
        ]
      }
    })
    expect(options('{ z = "Z" "2" = "two" "1" = "one" }')).toMatchObject({
      options: {
        _tag: "Fixed",
        entries: [
          { key: "z", text: "Z" },
          { key: "2", text: "two" },
          { key: "1", text: "one" }
        ]
      }
    })
    expect(options("plan.choices")).toMatchObject({ options: { _tag: "From", step: "plan", field: "choices" } })
    expect(options('"foreach:f.items"')).toMatchObject({ options: { _tag: "From", step: "foreach:f", field: "items" } })
  })

  it("have their other options", () => {
    expect(
      node("gate pr_approval { min_approvals = 2 mode = min_approvals timeout = 90 on_timeout = continue as = bot }")
    ).toEqual({
      _tag: "Gate",
      name: "pr_approval",
      minApprovals: 2,
      mode: "min_approvals",
      timeout: 90_000,
      onTimeout: "continue",
      as: "bot"
    })
    expect(node('gate quality_gate { source = "foreach:f" threshold = "80" on_fail = "continue" }')).toEqual({
      _tag: "QualityGate",
      source: "foreach:f",
      threshold: 80,
      onFail: "continue"
    })
  })

  it("report options that a resolver's gate cannot have", () => {
    expect(codes('gate deploy_window { options = ["a"] }')).toEqual(["options-outside-human-gate"])
    expect(codes("gate deploy_window { source = x }")).toEqual(["unknown-option"])
  })
})

describe("fan-outs", () => {
  it("accept max_parallel = 0", () => {
    expect(
      body("foreach f { over = t workflow = w max_parallel = 0 } pipeline p { over = t max_parallel = 0 call a }")
    ).toMatchObject([{ maxParallel: 0 }, { maxParallel: 0 }])
  })

  it("keep nested values as texts, lists and maps", () => {
    expect(
      node(
        "foreach f { over = t workflow = w max_parallel = 2 scope = { a = [x, 1, { b = true c = 5m }] } filter = { s = a.b } ordered = true on_child_fail = skip_dependents }"
      )
    ).toEqual({
      _tag: "Foreach",
      name: "f",
      over: "t",
      workflow: "w",
      maxParallel: 2,
      scope: { a: ["x", "1", { b: "true", c: "5m" }] },
      filter: { s: "a.b" },
      ordered: true,
      onChildFail: "skip_dependents"
    })
  })
})

describe("positions", () => {
  const text =
    'workflow w {\n  inputs { a default = "x" }\n  call b { inputs { k = "v" } with = [p, q] }\n  if b.m { }\n}\n'
  const { definition, spans } = file(text)
  const cut = (span: { readonly start: number; readonly end: number } | undefined) =>
    span && text.slice(span.start, span.end)
  const [first, second] = definition?.body ?? []

  it("are kept of the workflow, inputs, nodes, names and options", () => {
    expect(cut(definition && spans.node(definition))).toBe(text.trim())
    expect(cut(definition && spans.name(definition))).toBe("w")
    const input = definition?.inputs[0]
    expect(cut(input && spans.node(input))).toBe('a default = "x"')
    expect(cut(input && spans.option(input, "default"))).toBe('"x"')
    expect(cut(first && spans.node(first))).toBe('call b { inputs { k = "v" } with = [p, q] }')
    expect(cut(first && spans.name(first))).toBe("b")
    expect(cut(first && spans.option(first, "with"))).toBe("[p, q]")
    expect(cut(second && spans.option(second, "condition"))).toBe("b.m")
  })

  it("are kept of the parts of maps and lists", () => {
    expect(cut(first && spans.option(first, "inputs.k"))).toBe('"v"')
    expect(cut(first && spans.option(first, "with.1"))).toBe("q")
    expect(cut(first && spans.option(first, "inputs.other"))).toBeUndefined()
    expect(spans.node({})).toBeUndefined()
  })
})

describe("a file with mistakes", () => {
  it("still has a definition of what could be read", () => {
    const { definition } = file("workflow w { call a { retries = x } cal b\ncall c }")
    expect(definition?.body).toEqual([call("a"), call("b"), call("c")])
  })

  it("has all its mistakes reported in the order of their places", () => {
    const { diagnostics } = file('workflow w { call a { retries = x } cal b call "../c" }')
    expect(diagnostics.map(({ code }) => code)).toEqual(["not-a-number", "unknown-keyword", "unsafe-path"])
    expect(sort(diagnostics)).toEqual(diagnostics)
  })

  it.effect("fails as InvalidWorkflow with its problems and their rendering", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(parseEffect({ file: "x.wf", text: "workflow w {\n  cal a\n}" }))
      expect(error).toMatchObject({
        _tag: "InvalidWorkflow",
        file: "x.wf",
        problems: [{ severity: "error", code: "unknown-keyword", file: "x.wf", line: 2, column: 3 }]
      })
      expect(error.message).toContain("x.wf:2:3")
      expect(error.message).toContain("did you mean `call`?")
    })
  )

  it.effect("does not fail for warnings", () =>
    Effect.gen(function* () {
      const parsed = yield* parseEffect({ file: "x.wf", text: "workflow w { call a { retires = 2 } }" })
      expect(parsed.definition?.name).toBe("w")
      expect(parsed.diagnostics).toHaveLength(1)
    })
  )
})
