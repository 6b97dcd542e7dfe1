import { describe, expect, it } from "@effect/vitest"
import type { WorkflowDefinition } from "../../src/workflow/Definition.ts"
import { validate } from "../../src/workflow/Validator.ts"
import { fileOf, findingsOf, hostOf, messagesOf, type World } from "./TestHost.ts"

const body = (text: string, inputs = ""): string => `workflow main {\n${inputs}\n${text}\n}`

const unknownStep = (name: string): string => `unknown-step: no step before this one is called \`${name}\``

const none: ReadonlyArray<string> = []

const providers = {
  tickets: { ordered: true },
  files: { ordered: false, needsFilter: true }
}

describe("names of steps in conditions", () => {
  it.each([
    ["an earlier call", "call a if a.m { }"],
    ["an earlier script", 'script a { run = "true" } if a.m { }'],
    ["an earlier gate", "gate human_approval { } if human_approval.m { }"],
    ["a call by path", 'call "agents/a.md" if a.m { }'],
    ["a branch of an earlier parallel block", "parallel { call a call b } if b.m { }"],
    ["a step in an earlier if", "call x if x.m { call a } if a.m { }"],
    ["a step in an earlier loop", "call x while x.m { max_iterations = 2 call a } if a.m { }"],
    ["a step in an earlier do", "do { call a } if a.m { }"],
    ["a step in an earlier nested always", "do { always { call a } } if a.m { }"],
    ["an on_fail action", "call a { on_fail = mend } if mend.m { }"],
    ["an on_fail action given by path", 'call a { on_fail = "agents/mend.md" } if mend.m { }'],
    ["the on_fail action of a branch", "parallel { call a { on_fail = mend } } if mend.m { }"],
    ["a foreach by its short name", "foreach f { over = tickets max_parallel = 1 workflow = child } if f.m { }"],
    [
      "a foreach by its full name",
      'foreach f { over = tickets max_parallel = 1 workflow = child } parallel { call x { if = "foreach:f.m" } }'
    ],
    ["a pipeline", "pipeline p { over = tickets max_parallel = 1 call x } if p.m { }"],
    ["a called workflow", "call workflow child if child.m { }"],
    ["a step of a called workflow", "call workflow child if inner.m { }"],
    ["a step of a workflow that the called one calls", "call workflow child if innermost.m { }"],
    ["a do-while's own body", "do { max_iterations = 2 call a } while a.m"],
    ["what a loop's body did in the round before", "call x while x.m { max_iterations = 2 if a.m { call b } call a }"],
    ["the body, in the always block", "call a always { if a.m { call b } }"]
  ])("may name %s", (_, text) => {
    const workflows = {
      child: "workflow child { call inner call workflow grandchild }",
      grandchild: "workflow grandchild { call innermost }"
    }
    expect(messagesOf(body(text), { workflows, providers })).toEqual(none)
  })

  it.each([
    ["a step that does not exist", "call a if b.m { }", "b"],
    ["a later step", "if a.m { } call a", "a"],
    ["a step of the body whose while decides whether it runs", "while a.m { max_iterations = 2 call a }", "a"],
    ["a branch of the same parallel block", "parallel { call a call b { if = a.m } }", "a"],
    [
      "a step of a foreach's children",
      "foreach f { over = tickets max_parallel = 1 workflow = child } if inner.m { }",
      "inner"
    ],
    ["a call inside a pipeline, from outside", "pipeline p { over = tickets max_parallel = 1 call x } if x.m { }", "x"],
    [
      "a step outside, from inside a pipeline",
      "call a pipeline p { over = tickets max_parallel = 1 call x { if = a.m } }",
      "a"
    ],
    ["a later call of the pipeline", "pipeline p { over = tickets max_parallel = 1 call x { if = y.m } call y }", "y"],
    ["a step of the always block, from the body", "if a.m { } always { call a }", "a"],
    ["a step of a called workflow's always block", "call workflow child if cleanup.m { }", "cleanup"]
  ])("may not name %s", (_, text, name) => {
    const workflows = { child: "workflow child { call inner always { call cleanup } }" }
    expect(messagesOf(body(text), { workflows, providers })).toEqual([unknownStep(name)])
  })

  it("look at what the item went through before, in a pipeline", () => {
    const text = "pipeline p { over = tickets max_parallel = 1 call x call y { if = x.m } }"
    expect(messagesOf(body(text), { providers })).toEqual(none)
  })

  it("are checked in quality gates and gate options too", () => {
    const text = 'gate quality_gate { source = a threshold = 70 } gate human_review { options = "b.items" }'
    expect(messagesOf(body(text))).toEqual([unknownStep("a"), unknownStep("b")])
    const right = `call a foreach f { over = tickets max_parallel = 1 workflow = child }
      gate quality_gate { source = "foreach:f" threshold = 70 } gate human_review { options = "f.items" }`
    expect(messagesOf(body(right), { providers, workflows: { child: "workflow child { call x }" } })).toEqual(none)
  })

  it("say nothing more where a called workflow cannot be read", () => {
    expect(messagesOf(body("call workflow lost if inner.m { }"))).toEqual(["unknown-workflow: no workflow `lost`"])
  })

  it("may be those of a branch's condition, on an input or a step", () => {
    const text = body("call a parallel { call b { if = a.m } call c { if = flag } }", "inputs { flag boolean }")
    expect(messagesOf(text)).toEqual(none)
  })
})

describe("conditions on inputs", () => {
  it("need a declared boolean input", () => {
    const inputs = "inputs { flag boolean name }"
    expect(messagesOf(body("if flag { } unless flag { }", inputs))).toEqual(none)
    expect(findingsOf(body("call a if name { } if flg { } if other { } if a { }", inputs)).map((d) => d.hint)).toEqual([
      "declare it as boolean: `name boolean`",
      "did you mean `flag`?",
      "declare it: `inputs { other boolean }`",
      "a step's marker is written `a.marker`"
    ])
  })
})

describe("other workflows", () => {
  it("must exist and be readable", () => {
    const world: World = {
      workflows: { deploy: "workflow deploy { call x }", bad: "workflow bad { call }", empty: "}" },
      broken: { locked: "permission denied" },
      providers
    }
    const text = `call workflow deplyo call workflow locked call workflow bad call workflow empty
      foreach f { over = tickets max_parallel = 1 workflow = nowhere }`
    const messages = messagesOf(body(text), world)
    expect(messages).toContain("unknown-workflow: no workflow `deplyo`")
    expect(messages).toContain("unknown-workflow: no workflow `nowhere`")
    expect(messages).toContain("workflow-broken: the workflow `locked` cannot be loaded: permission denied")
    expect(messages).toContain("workflow-broken: the workflow `empty` cannot be loaded: its text has errors")
    expect(messages.filter((message) => message.includes("in sub-workflow 'bad': ")).length).toBe(1)
  })

  it("must be given their required inputs, and are warned about undeclared ones", () => {
    const child = `workflow child { inputs { a b required default = "x" c default = "y" d boolean d2 boolean required }
      call x }`
    const text = `call workflow child { inputs { a = "1" e = "2" } }
      foreach f { over = tickets max_parallel = 1 workflow = child inputs { b = "{{item.id}}" } }`
    expect(messagesOf(body(text), { workflows: { child }, providers })).toEqual([
      "input-missing: the workflow `child` requires the input `b`",
      "(warning) input-undeclared: the workflow `child` declares no input `e`",
      "input-missing: the workflow `child` requires the input `a`"
    ])
  })

  it("may not call each other in a circle", () => {
    const workflows = {
      a: "workflow a { call workflow b }",
      b: "workflow b { always { foreach f { over = tickets max_parallel = 1 workflow = a } } }",
      c: "workflow c { call workflow c }"
    }
    expect(messagesOf(workflows.a, { workflows, providers })).toEqual([
      "workflow-cycle: in sub-workflow 'b': workflows call each other in a circle: a -> b -> a"
    ])
    expect(messagesOf(body("call workflow a"), { workflows, providers })).toEqual([
      "workflow-cycle: in sub-workflow 'b': workflows call each other in a circle: a -> b -> a"
    ])
    expect(messagesOf(workflows.c, { workflows })).toEqual([
      "workflow-cycle: workflows call each other in a circle: c -> c"
    ])
  })

  it("are found in a circle even if a file is called otherwise than its workflow", () => {
    const workflows = { a: "workflow x { call workflow b }", b: "workflow y { call workflow a }" }
    expect(messagesOf("workflow a { call workflow b }", { workflows })).toContain(
      "workflow-cycle: in sub-workflow 'b': workflows call each other in a circle: a -> b -> a"
    )
  })

  it("form chains of at most five, the first included", () => {
    const chain = (length: number) =>
      Object.fromEntries(
        Array.from({ length }, (_, n) => [
          `w${n}`,
          `workflow w${n} { ${n + 1 < length ? `call workflow w${n + 1}` : "call x"} }`
        ])
      )
    expect(messagesOf(chain(5)["w0"] ?? "", { workflows: chain(5) })).toEqual(none)
    expect(messagesOf(chain(6)["w0"] ?? "", { workflows: chain(6) })).toEqual([
      "workflow-chain: 6 workflows call each other in a chain: w0 -> w1 -> w2 -> w3 -> w4 -> w5"
    ])
  })

  it("are looked at once each, however many ways lead to them", () => {
    const layer = (n: number) => `workflow w${n} { call workflow w${n + 1} if y.m { call workflow w${n + 1} } }`
    const workflows = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`w${n}`, layer(n)]))
    const messages = messagesOf(body("call workflow w0"), {
      workflows: { ...workflows, w40: "workflow w40 { call y }" }
    })
    expect(messages.filter((message) => message.startsWith("unknown-step")).length).toBe(0)
    expect(messages).toHaveLength(1)
  })

  it("bring their own findings, each once, under their name", () => {
    const workflows = {
      child: "workflow child { call typo if nobody.m { } call workflow grandchild }",
      grandchild: "workflow other { call typo }"
    }
    const text = body("call workflow child call workflow child call fine")
    const findings = findingsOf(text, { workflows, actions: ["fine"] })
    expect(findings.map(({ message, source }) => [source?.file, message])).toEqual([
      ["workflows/child.wf", "in sub-workflow 'child': no action `typo`"],
      ["workflows/child.wf", "in sub-workflow 'child': no step before this one is called `nobody`"],
      [
        "workflows/grandchild.wf",
        "in sub-workflow 'grandchild': the workflow `other` stands in a file called `grandchild.wf`"
      ],
      ["workflows/grandchild.wf", "in sub-workflow 'grandchild': no action `typo`"]
    ])
  })
})

describe("names in a child's inputs", () => {
  const workflows = { child: 'workflow child { inputs { a default = "" } call x }' }
  const unknown = "(warning) unknown-variable: nothing provides `{{brnch}}`"

  const check = (before: string, world: World = {}) =>
    messagesOf(
      body(
        `${before} call workflow child { inputs { a = "{{brnch}} {{branch}} {{inputs.branch}} {{item.x}} {{dry_run}}" } }`,
        "inputs { branch }"
      ),
      {
        workflows,
        ...world
      }
    )

  it("must be inputs, built-ins, injected values or outputs of earlier steps", () => {
    expect(check("")).toEqual([unknown])
    expect(check("", { contextNames: ["brnch"] })).toEqual(none)
    expect(check("gate human_approval { }")).toEqual([unknown])
  })

  it("may come from any earlier step whose output nothing describes", () => {
    expect(check("call a")).toEqual(none)
    expect(check('script a { run = "true" }')).toEqual(none)
    expect(check("call workflow child")).toEqual(none)
  })

  it("may come from the fields of a schema", () => {
    const described = { schemas: { s: "fields: { brnch: string }", t: "fields: { other: string, brnch: number }" } }
    expect(check("call a { output = s }", described)).toEqual(none)
    expect(check("call a { output = t }", described)).toEqual([unknown])
    expect(check("do { output = t call a }", described)).toEqual([unknown])
    expect(check("do { output = t do { output = s call a } }", described)).toEqual(none)
    expect(check("do { output = t parallel { call a } }", described)).toEqual(none)
    expect(check("do { output = t parallel { output = t call a { output = s } } }", described)).toEqual(none)
  })

  it("are checked in a foreach's inputs too", () => {
    const text = 'foreach f { over = tickets max_parallel = 1 workflow = child inputs { a = "{{item.id}} {{nope}}" } }'
    expect(messagesOf(body(text), { workflows, providers })).toEqual([
      "(warning) unknown-variable: nothing provides `{{nope}}`"
    ])
  })
})

describe("what stands outside of the file", () => {
  it("actions are looked for everywhere, in always blocks and on_fail too", () => {
    const text = `call build call biuld { on_fail = a1 }
      parallel { call a2 { on_fail = a3 } } script s { run = "true" on_fail = a4 }
      pipeline p { over = tickets max_parallel = 1 call a5 { on_fail = a6 } }
      call workflow child { on_fail = a7 } call build { on_fail = continue }
      always { call a8 }`
    const world = { actions: ["build"], providers, workflows: { child: "workflow child { call build }" } }
    const names = ["biuld", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"]
    expect(messagesOf(body(text), world)).toEqual(names.map((name) => `unknown-action: no action \`${name}\``))
    expect(
      findingsOf(body(text), world)
        .slice(0, 2)
        .map(({ hint }) => hint)
    ).toEqual(["did you mean `build`?", "searched agents/, .claude/agents/"])
  })

  it("gates need a resolver, but for the built-in ones", () => {
    const text = `call a gate human_approval { } gate human_review { } gate quality_gate { source = a threshold = 1 }
      gate pr_checks { } gate pr_chekcs { }`
    expect(messagesOf(body(text), { gates: ["pr_checks"] })).toEqual([
      "unknown-gate: no resolver for the gate `pr_chekcs`"
    ])
  })

  it("schemas and snippets are looked for on calls and blocks", () => {
    const text = `call a { output = s1 with = [p1, ok] } do { output = s2 with = p2 call b }
      parallel { output = s3 with = p3 call c { output = s4 with = [p4] } }`
    expect(messagesOf(body(text), { snippets: ["ok"] })).toEqual(
      [1, 2, 3, 4].flatMap((n) => [
        `schema-missing: no output schema \`s${n}\``,
        `snippet-missing: no snippet \`p${n}\``
      ])
    )
  })

  it("what is odd about a schema is a warning in its own file, once", () => {
    const schemas = { s: "fields:\n  a: string\nmarker:\n  m: a == x\n" }
    const findings = findingsOf(body("call a { output = s } call b { output = s }"), { schemas })
    expect(findings.map(({ code, severity, source, hint }) => [severity, source?.file, code, hint])).toEqual([
      ["warning", "schemas/s.yaml", "schema-unknown-key", "did you mean 'markers'?"]
    ])
  })

  it("broken schemas are reported in their own file, once", () => {
    const schemas = { s: "fields:\n  a: strng\nmarkers:\n  m: a = 1\n" }
    const findings = findingsOf(body("call a { output = s } call b { output = s }"), { schemas })
    expect(findings.map(({ code, source }) => [source?.file, code])).toEqual([
      ["schemas/s.yaml", "schema-type"],
      ["schemas/s.yaml", "marker-expression"]
    ])
  })

  it("scripts must stand at their path and be executable; paths with names are left for later", () => {
    const run = (text: string) => `script s { run = "${text}" }`
    const scripts = { "ci/ok.sh": "ok", "ci/dull.sh": "not-executable", "ci/it's": "not-executable" } as const
    const texts = [
      "ci/ok.sh",
      "ci/dull.sh",
      "ci/it's",
      "ci/lost.sh",
      "/bin/true",
      "ci/../../x",
      "ci/{{x}}.sh",
      "make",
      "cat a/b"
    ]
    const findings = findingsOf(body(texts.map(run).join("\n")), { scripts })
    expect(findings.map(({ code, hint }) => `${code} (${hint})`)).toEqual([
      "script-not-executable (run `chmod +x ci/dull.sh`)",
      "script-not-executable (run `chmod +x 'ci/it'\\''s'`)",
      "script-missing (searched ./ci/lost.sh)",
      "script-unsafe-path (a script stands below the working directory or a configured root)",
      "script-unsafe-path (a script stands below the working directory or a configured root)"
    ])
  })

  it("shell commands must have a place for their names, also behind escapes in the text", () => {
    const text = body('script s { run = "printf \\"%s\\\\n\\" \\"a\\" $(( {{x}} )) ; echo {{y}}" }')
    const [finding, ...others] = findingsOf(text)
    expect(others).toEqual([])
    expect(finding?.code).toBe("shell-template")
    expect(text.slice(finding?.span?.start, finding?.span?.end)).toBe("{{x}}")
  })

  it("targets must be among the host's, if it has a list", () => {
    const text = "workflow main { meta { targets = [repo, worktre] } call a }"
    expect(messagesOf(text)).toEqual(none)
    expect(messagesOf(text, { targets: ["repo", "worktree"] })).toEqual(["unknown-target: no target `worktre`"])
    expect(messagesOf("workflow main { meta { targets = x } call a }", { targets: [] })).toEqual([
      "unknown-target: no target `x`"
    ])
  })
})

describe("fan-outs", () => {
  const workflows = { child: "workflow child { call x }" }
  const foreach = (options: string) => body(`foreach f { max_parallel = 1 workflow = child ${options} }`)

  it("need a provider", () => {
    const text = `foreach f { over = tikets max_parallel = 1 workflow = child }
      pipeline p { over = nothing max_parallel = 1 call x }`
    expect(findingsOf(body(text), { providers, workflows }).map(({ hint, message }) => [message, hint])).toEqual([
      ["no item provider `tikets`", "did you mean `tickets`?"],
      ["no item provider `nothing`", "there are `tickets`, `files`"]
    ])
  })

  it("need a filter where the provider says so", () => {
    expect(messagesOf(foreach("over = files"), { providers, workflows })).toEqual([
      "filter-needed: the provider `files` needs a filter"
    ])
    expect(messagesOf(foreach("over = files filter = { }"), { providers, workflows })).toHaveLength(1)
    expect(messagesOf(foreach('over = files filter = { glob = "*" }'), { providers, workflows })).toEqual(none)
  })

  it("take an order only where the provider knows one, and skip dependents only in order", () => {
    const options = 'over = files filter = { glob = "*" } ordered = true on_child_fail = skip_dependents'
    expect(messagesOf(foreach(options), { providers, workflows })).toEqual([
      "order-unsupported: the provider `files` knows no order of its items"
    ])
    expect(messagesOf(foreach("over = tickets on_child_fail = skip_dependents"), { providers, workflows })).toEqual([
      "skip-without-order: `skip_dependents` needs `ordered = true`: without an order no item depends on another"
    ])
    const right = "over = tickets ordered = true on_child_fail = skip_dependents"
    expect(messagesOf(foreach(right), { providers, workflows })).toEqual(none)
  })

  it("ask the provider about scope and filter, unless they hold names", () => {
    const asked: Array<unknown> = []
    const picky = {
      ordered: false,
      check: (scope: unknown, filter: unknown) => {
        asked.push([scope, filter])
        return { errors: ["no such label"], warnings: ["this is slow"] }
      }
    }
    const world = { providers: { picky }, workflows }
    expect(messagesOf(foreach('over = picky scope = { label = "x" }'), world)).toEqual([
      "provider-refusal: `picky`: no such label",
      "(warning) provider-warning: `picky`: this is slow"
    ])
    expect(messagesOf(foreach('over = picky scope = { deep = ["{{label}}"] } filter = { a = "b" }'), world)).toEqual(
      none
    )
    expect(messagesOf(foreach('over = picky filter = { a = { b = "{{c}}" } }'), world)).toEqual(none)
    expect(asked).toEqual([[{ label: "x" }, {}]])
    expect(messagesOf(body("pipeline p { over = picky max_parallel = 1 call x }"), world)).toHaveLength(2)
  })
})

describe("validate", () => {
  it("finds nothing wrong in a workflow that uses everything", () => {
    const text = `workflow release {
      meta { title = "Release" targets = [repo] }
      inputs { branch default = "main" fast boolean token secret = true default = "" }
      call plan { output = plan with = [style] retries = 2 on_fail = mend }
      while plan.has_tasks { max_iterations = 3 call implement call plan }
      parallel { call review { if = implement.done } call lint { if = fast } }
      unless fast { script test { run = "ci/test.sh" env = { BRANCH = "{{branch}}" } } }
      gate quality_gate { source = plan threshold = 80 }
      gate human_review { options = plan.tasks }
      foreach ship { over = tickets max_parallel = 2 workflow = child ordered = true inputs { id = "{{item.id}}" } }
      script tag { run = "git tag \\"{{branch}}\\" && echo '{{token}}'" }
      always { if review.has_issues { call notify } }
    }`
    const world: World = {
      actions: ["plan", "mend", "implement", "review", "lint", "notify", "x"],
      workflows: { child: "workflow child { inputs { id } call x }" },
      providers,
      schemas: { plan: "fields: { tasks: array, confidence: number }\nmarkers: { has_tasks: tasks.length > 0 }" },
      snippets: ["style"],
      scripts: { "ci/test.sh": "ok" },
      targets: ["repo"]
    }
    expect(messagesOf(text, world)).toEqual(none)
  })

  it("reports declared twice and a file of another name", () => {
    const file = fileOf("other", "workflow main { inputs { a b a } call x }")
    expect(validate(file, hostOf({})).map(({ code, severity }) => [severity, code])).toEqual([
      ["warning", "file-name"],
      ["error", "duplicate-input"]
    ])
  })

  it("works on a definition made in code, which has no places", () => {
    const definition: WorkflowDefinition = {
      name: "main",
      trigger: "manual",
      targets: [],
      inputs: [],
      body: [
        { _tag: "If", condition: { _tag: "Marker", step: "a", marker: "m" }, body: [] },
        { _tag: "Script", name: "s", run: "echo $(( {{x}} ))" }
      ],
      always: []
    }
    const findings = validate({ definition }, hostOf({}))
    expect(findings.map(({ code }) => code)).toEqual(["unknown-step", "shell-template"])
    expect(findings.every((finding) => !("span" in finding) && !("source" in finding))).toBe(true)
  })

  it("says nothing where there is no definition", () => {
    expect(validate(fileOf("x", "nonsense"), hostOf({}))).toEqual([])
  })

  it("takes time linear in the size of a large workflow", { timeout: 5_000 }, () => {
    const steps = Array.from({ length: 5_000 }, (_, n) => `call s${n} if s${n}.m { call t${n} }`)
    expect(messagesOf(body(steps.join("\n")))).toEqual(none)
  })
})
