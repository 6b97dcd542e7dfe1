import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { arbitraryDefinition } from "../../src/testing/ArbitraryDefinition.ts"
import type { WorkflowDefinition } from "../../src/workflow/Definition.ts"
import { boxes, fromDefinition, type Graph, type GraphMember, maxBoxes } from "../../src/workflow/Graph.ts"
import { type Box, layOut } from "../../src/workflow/GraphLayout.ts"
import { escapeMermaid, toMermaid } from "../../src/workflow/GraphMermaid.ts"
import { graphStatuses, statesOf } from "../../src/workflow/GraphStates.ts"
import { escapeXml, toSvg } from "../../src/workflow/GraphSvg.ts"
import { parse } from "../../src/workflow/Parser.ts"
import { xmlProblem } from "./Xml.ts"

const read = (text: string): WorkflowDefinition => {
  const { definition, diagnostics } = parse({ file: "test.wf", text })
  if (definition === undefined || diagnostics.length > 0) throw new Error(JSON.stringify(diagnostics))
  return definition
}

const graphOf = (text: string): Graph => fromDefinition(read(text))

const everything = `workflow release {
  inputs { dry boolean }
  call plan { output = plan, retries = 2 }
  parallel {
    max_parallel = 2
    min_success = 1
    call lint
    call test { if = plan.big }
    call "agents/types.md" { on_fail = mend }
  }
  while review.has_issues {
    max_iterations = 5
    call mend
    if review.big { call split }
    script build { run = "make" }
  }
  do {
    max_iterations = 1
    call review
    unless dry { call post }
  } while review.has_issues
  do { with = [style, tone], call write }
  gate human_approval { min_approvals = 2 }
  gate human_review { mode = review_decision }
  gate quality_gate { source = review, threshold = 80 }
  foreach tickets { over = json, workflow = solve, max_parallel = 4, ordered = true }
  pipeline files { over = files, max_parallel = 2, call analyse, call write }
  call workflow deploy { on_fail = continue, retries = 1 }
  always { call report }
}`

const solve = 'workflow solve { call think call workflow release always { script clean { run = "rm x" } } }'

describe("a graph as Mermaid", () => {
  it("shows every kind of step and block", () => {
    expect(toMermaid(graphOf(everything))).toMatchSnapshot()
  })

  it("shows the steps of called workflows where they are given, and no circle twice", () => {
    const known = new Map([
      ["solve", read(solve)],
      ["release", read("workflow release { foreach all { over = json, workflow = solve, max_parallel = 1 } }")]
    ])
    const graph = fromDefinition(
      read("workflow release { call workflow solve foreach all { over = json, workflow = solve, max_parallel = 1 } }"),
      {
        workflow: (name) => known.get(name)
      }
    )
    expect(toMermaid(graph)).toMatchSnapshot()
    expect(boxes(graph).map(({ path }) => path)).toContain("/foreach:all#/think")
  })

  it("shows what became of the steps of a run", () => {
    const graph = graphOf("workflow w { call build while build.bad { max_iterations = 3, call mend } call ship }")
    const states = statesOf(graph, [
      { path: "/build", status: "completed" },
      { path: "/while:build.bad/@1/mend", status: "completed" },
      { path: "/while:build.bad/@2/mend", status: "timed_out" }
    ])
    expect(toMermaid(graph, states)).toMatchSnapshot()
  })

  it("lets no text of a workflow end its label, begin a tag or be read as anything else", () => {
    expect(escapeMermaid('a"]-->b')).toBe("a#34;#93;--#62;b")
    expect(escapeMermaid("<script>`#quot;` %% style: x;")).toBe(
      "#60;script#62;#96;#35;quot#59;#96; #37;#37; style#58; x#59;"
    )
    expect(escapeMermaid("tab\tline\nbell\u0007 \ud800")).toBe("tab line bell#65533; #65533;")
    expect(escapeMermaid("prüfen 検査 🚀")).toBe("prüfen 検査 🚀")
    const labels = toMermaid(graphOf('workflow end { call "x/a\\"] b.md" { output = "o\\"p" } }'))
    expect(labels).toContain('n2["a#34;#93; b<br/>schema o#34;p"]')
  })
})

describe("a graph as SVG", () => {
  it("is well-formed, and holds every label and path", () => {
    const graph = graphOf(everything)
    const svg = toSvg(graph)
    expect(xmlProblem(svg)).toBeUndefined()
    for (const { details, label, path } of boxes(graph)) {
      expect(svg).toContain(`<title>${escapeXml([label, ...details].join("\n"))}</title>`)
      expect(svg).toContain(`data-path="${escapeXml(path)}"`)
    }
  })

  it("is well-formed whatever names a workflow has", () => {
    fc.assert(
      fc.property(arbitraryDefinition, (definition) => {
        const graph = fromDefinition(definition)
        const states = statesOf(
          graph,
          boxes(graph).map(({ path }, index) => ({ path, status: graphStatuses[index % graphStatuses.length] ?? "" }))
        )
        expect(xmlProblem(toSvg(graph, states))).toBeUndefined()
      }),
      { numRuns: 50 }
    )
  })

  it("colours the boxes by their states and writes them too", () => {
    const graph = graphOf("workflow w { call build call ship }")
    const svg = toSvg(graph, statesOf(graph, [{ path: "/build", status: "failed" }]))
    expect(xmlProblem(svg)).toBeUndefined()
    expect(svg).toMatch(/<g class="node call failed" data-path="\/build">.*>failed<\/text><\/g>/)
    expect(svg).toContain('<g class="node call" data-path="/ship">')
    expect(svg).toContain('<g class="legend failed">')
    expect(svg).not.toContain('<g class="legend completed">')
  })

  it("cuts a long label in its box and keeps it in its title", () => {
    const name = "x".repeat(200)
    const svg = toSvg(graphOf(`workflow w { call ${name} }`))
    expect(svg).toContain(`<title>${name}</title>`)
    expect(svg).toContain(`>${"x".repeat(43)}…</text>`)
  })

  it("replaces what no XML may hold", () => {
    expect(escapeXml("a\u0000b\u001b\ud800<&>\"'\uffff\n")).toBe("a\ufffdb\ufffd\ufffd&lt;&amp;&gt;&quot;&#39;\ufffd\n")
  })
})

describe("the layout of a graph", () => {
  const overlaps = (a: Box, b: Box): boolean =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
  const holds = (outer: Box, inner: Box): boolean =>
    outer.x <= inner.x &&
    outer.y <= inner.y &&
    inner.x + inner.width <= outer.x + outer.width &&
    inner.y + inner.height <= outer.y + outer.height

  /** The boxes that do not lie in their container or in the picture, or that touch one beside them. */
  const misplaced = (graph: Graph): ReadonlyArray<string> => {
    const layout = layOut(graph)
    const byId = new Map(layout.boxes.map((box) => [box.member.id, box]))
    const boxesOf = (members: ReadonlyArray<GraphMember>) => members.flatMap(({ id }) => byId.get(id) ?? [])
    const problems = byId.size === boxes(graph).length ? [] : ["not every box has a place"]
    const beside = (group: ReadonlyArray<Box>) =>
      group.flatMap((a, index) => group.slice(index + 1).filter((b) => overlaps(a, b)))
    for (const box of layout.boxes) {
      const inner = box.member._tag === "Container" ? boxesOf(box.member.members) : []
      const whole = { ...box, x: 0, y: 0, width: layout.width, height: layout.height }
      const wrong = [...(holds(whole, box) ? [] : [box]), ...inner.filter((it) => !holds(box, it)), ...beside(inner)]
      problems.push(...wrong.map(({ member }) => member.path))
    }
    return [...problems, ...beside(boxesOf(graph.members)).map(({ member }) => member.path)]
  }

  it("lets no boxes overlap", () => {
    const many = Array.from({ length: 20 }, (_, index) => `call c${index}`).join(" ")
    for (const text of [everything, `workflow w { parallel { ${many} } }`, "workflow w { }"]) {
      expect(misplaced(graphOf(text))).toEqual([])
    }
  })

  it("lets no boxes overlap, whatever the workflow", () => {
    fc.assert(
      fc.property(arbitraryDefinition, (definition) => {
        expect(misplaced(fromDefinition(definition))).toEqual([])
      }),
      { numRuns: 50 }
    )
  })
})

describe("a run's states in a graph", () => {
  it("are those of the last round of loops, and of the item that needs most attention", () => {
    const graph = graphOf(`workflow w {
      call a
      do { max_iterations = 9, do { max_iterations = 9, call b } while b.x } while b.y
      pipeline p { over = json, max_parallel = 2, call c }
      if a.bad { call mend }
      always { call d }
    }`)
    const states = statesOf(graph, [
      { path: "/do-while:b.y/@2/do-while:b.x/@1/b", status: "running" },
      { path: "/do-while:b.y/@1/do-while:b.x/@3/b", status: "failed" },
      { path: "/pipeline:p", status: "running" },
      { path: "/pipeline:p/file:one/c", status: "completed" },
      { path: "/pipeline:p/file:two/c", status: "waiting" },
      { path: "/pipeline:p/file:three/c", status: "completed" },
      { path: "/@always/d", status: "skipped" },
      { path: "/do-while:b.y", status: "completed" },
      { path: "/do-while:b.y/@2", status: "failed" },
      { path: "/if:a.bad", status: "completed", taken: false },
      { path: "/a", status: "no status" },
      { path: "/gone", status: "failed" }
    ])
    expect(Object.fromEntries(states)).toEqual({
      "/do-while:b.y": { status: "completed" },
      "/if:a.bad": { status: "skipped" },
      "/do-while:b.y/do-while:b.x/b": { status: "running", note: "round 2.1" },
      "/pipeline:p": { status: "running" },
      "/pipeline:p/c": { status: "waiting", note: "3 items" },
      "/@always/d": { status: "skipped" }
    })
  })
})

describe("the graph of workflows that call many", () => {
  it("has a limit", () => {
    const calls = (name: string) => `workflow w { ${`call workflow ${name} `.repeat(30)} }`
    const known = new Map(["a", "b", "c", "d"].map((name, index, all) => [name, read(calls(all[index + 1] ?? "none"))]))
    const graph = fromDefinition(read(calls("a")), { workflow: (name) => known.get(name) })
    expect(boxes(graph).length).toBeLessThan(maxBoxes * 2)
  })
})
