import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { render } from "../../src/workflow/DiagnosticRenderer.ts"
import { type SemanticCode, semanticCodes } from "../../src/workflow/SemanticCodes.ts"
import { findingsOf, type World } from "../workflow/TestHost.ts"

/** Source and rendered findings together; remembers which codes were shown. */
const shown = new Set<string>()

const page = (text: string, world: World = {}): string => {
  const findings = findingsOf(text, world)
  for (const { code } of findings) shown.add(code)
  return `${text}\n${"-".repeat(80)}\n${findings.map((finding) => render(finding)).join("\n\n")}`
}

const pages: Readonly<Record<string, readonly [text: string, world: World]>> = {
  "steps and inputs in conditions": [
    `workflow review {
  inputs { fast boolean, name, name }
  call analyse
  if anaylse.has_issues {
    call mend
  }
  while report.open {
    max_iterations = 3
    call report
  }
  unless name {
    call report
  }
  gate quality_gate { source = scorer, threshold = 70 }
  parallel {
    call a
    call b { if = a.done }
  }
}`,
    {}
  ],
  "secrets that cannot be hidden": [
    `workflow main {
  inputs {
    token secret = true required
    pin secret = true default = "123"
    key secret = true default = ""
    quiet boolean secret = true
  }
  call a
}`,
    {}
  ],
  "other workflows": [
    `workflow main {
  call workflow deplyo
  call workflow deploy { inputs { brnch = "x", region = "{{reigon}}" } }
  call workflow locked
}`,
    {
      workflows: { deploy: 'workflow deploy { inputs { branch, region default = "" } gate human_aproval { } }' },
      broken: { locked: "permission denied" }
    }
  ],
  "a child's inputs": [
    `workflow main {
  inputs { region }
  gate human_approval { }
  call workflow deploy { inputs { region = "{{reigon}}", note = "{{ticket}}" } }
}`,
    { workflows: { deploy: "workflow deploy { inputs { region, note } call x }" } }
  ],
  "a circle": [
    "workflow a { call workflow b }",
    { workflows: { a: "workflow a { call workflow b }", b: "workflow b { call workflow a }" } }
  ],
  "a chain": [
    "workflow one { call workflow two }",
    {
      workflows: {
        two: "workflow two { call workflow three }",
        three: "workflow three { call workflow four }",
        four: "workflow four { call workflow five }",
        five: "workflow five { call workflow six }",
        six: "workflow six { call x }"
      }
    }
  ],
  "actions, gates, providers and targets": [
    `workflow main {
  meta { targets = [repo, worktre] }
  call biuld { on_fail = "agents/mend.md" }
  gate pr_chekcs { }
  foreach files { over = flies, max_parallel = 2, workflow = one }
  foreach sorted {
    over = files
    max_parallel = 2
    workflow = one
    filter = { glob = "*" }
    ordered = true
  }
  foreach unsorted { over = tickets, max_parallel = 2, workflow = one, on_child_fail = skip_dependents }
  foreach unfiltered { over = files, max_parallel = 2, workflow = one }
  pipeline scoped { over = tickets, max_parallel = 2, scope = { label = "x" } call build }
}`,
    {
      actions: ["build"],
      gates: ["pr_checks"],
      targets: ["repo", "worktree"],
      workflows: { one: "workflow one { call build }" },
      providers: {
        files: { ordered: false, needsFilter: true },
        tickets: {
          ordered: true,
          check: ({ label }) =>
            label === undefined
              ? { errors: [], warnings: [] }
              : { errors: ["there is no label 'x'"], warnings: ["labels are matched without case"] }
        }
      }
    }
  ],
  "what actions and workflows in code take": [
    `workflow main {
  inputs { order }
  call charge
  call charge { inputs { cents = "100" } on_fail = tell }
  call label
  call weigh
  call workflow pack { inputs { order = "{{order}}", parcel = "1" } }
  call workflow count
}`,
    {
      typed: {
        charge: [Schema.Struct({ order: Schema.String, cents: Schema.Int }), Schema.Struct({ receipt: Schema.String })],
        label: [Schema.Struct({ reciept: Schema.String, failed_step: Schema.String })],
        tell: [Schema.Struct({ failure_reason: Schema.String, whom: Schema.String })],
        weigh: [Schema.Array(Schema.String)]
      },
      code: { pack: Schema.Struct({ order: Schema.String, parcels: Schema.Int }), count: Schema.Int }
    }
  ],
  "values for actions in code": [
    `workflow main {
  inputs { file, limit default = "5" }
  call review { inputs { limit = many, strict = maybe } }
  call review { inputs = { limit = 0, strict = true, tags = "[1]" } }
  call review { inputs { limit = "{{limit}}", strict = false } }
  call measure
  call workflow pack { inputs { order = "{{findings}}", parcels = some } }
}`,
    {
      typed: {
        review: [
          Schema.Struct({
            file: Schema.String,
            strict: Schema.Boolean,
            limit: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { default: () => 10 }),
            tags: Schema.optional(Schema.Array(Schema.String))
          }),
          Schema.Struct({ findings: Schema.Int, summary: Schema.String })
        ],
        measure: [Schema.Struct({ findings: Schema.Int, summary: Schema.String })]
      },
      code: { pack: Schema.Struct({ order: Schema.String, parcels: Schema.Int }) }
    }
  ],
  "scripts, schemas and snippets": [
    `workflow main {
  script lost { run = "ci/lost.sh" }
  script dull { run = "ci/dull.sh" }
  script away { run = "../away.sh" }
  script sum { run = "printf \\"%s\\\\n\\" $(( {{count}} + 1 )) \\"\${{price}}\\"" }
  script text {
    run = "cat <<'EOF'
{{body}}
EOF"
  }
  call plan { output = plan, with = [style, tone] }
  call review { output = review }
}`,
    {
      scripts: { "ci/dull.sh": "not-executable" },
      snippets: ["style"],
      schemas: { review: "fields:\n  approved: bolean\n" }
    }
  ]
}

describe("semantic diagnostics", () => {
  it.each(Object.entries(pages))("shows mistakes in %s", (_, [text, world]) => {
    expect(page(text, world)).toMatchSnapshot()
  })

  it("shows a file whose name is not its workflow's", () => {
    const world = { workflows: { child: "workflow kid { call x }" } }
    expect(page("workflow main { call workflow child }", world)).toMatchSnapshot()
  })

  it("shows a marker expression that is none", () => {
    const world = { schemas: { s: "fields:\n  approved: boolean\nmarkers:\n  bad: approved != true\n" } }
    expect(page("workflow main { call a { output = s } }", world)).toMatchSnapshot()
  })

  it("has shown every code", () => {
    const codes = Object.keys(semanticCodes) as ReadonlyArray<SemanticCode>
    expect(codes.filter((code) => !shown.has(code))).toEqual([])
  })
})
