import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { ItemEdge } from "../../src/action/ItemProvider.ts"
import { dropCycles, ItemGraph } from "../../src/engine/ItemGraph.ts"

const edge = (text: string): ItemEdge => {
  const [blocker = "", dependent = ""] = text.split(">")
  return { blocker, dependent }
}

const edges = fc.array(
  fc
    .record({ blocker: fc.integer({ max: 8, min: 0 }), dependent: fc.integer({ max: 8, min: 0 }) })
    .map(({ blocker, dependent }): ItemEdge => ({ blocker: `${blocker}`, dependent: `${dependent}` })),
  { maxLength: 30 }
)

/** Whether items can be put in an order in which each blocker comes first: by taking away what has none. */
const isAcyclic = (all: ReadonlyArray<ItemEdge>): boolean => {
  let left = all
  for (;;) {
    const next = left.filter(({ blocker }) => left.some(({ dependent }) => dependent === blocker))
    if (next.length === left.length) return left.length === 0
    left = next
  }
}

describe("the graph of items", () => {
  it("knows an item's blockers, and all that waits for it, directly or not", () => {
    const graph = new ItemGraph()
    for (const text of ["a>b", "b>c", "a>c", "x>c"]) graph.add(edge(text))
    expect([...graph.blockers("c")].sort()).toEqual(["a", "b", "x"])
    expect([...graph.blockers("a")]).toEqual([])
    expect([...graph.reachableFrom("a")].sort()).toEqual(["b", "c"])
    expect([...graph.reachableFrom("c")]).toEqual([])
  })

  it("drops the edges that close a cycle, and names each cycle from where it closes", () => {
    const dropped = dropCycles(["a>b", "b>c", "c>a", "d>d", "c>d"].map(edge))
    expect(dropped.cycles).toEqual([
      ["a", "b", "c", "a"],
      ["d", "d"]
    ])
    expect(dropped.edges).toEqual(["a>b", "b>c", "c>d"].map(edge))
  })

  it("has no cycle left, drops nothing where there was none, and reports one cycle for each edge dropped", () => {
    fc.assert(
      fc.property(edges, (all) => {
        const { cycles, edges: kept } = dropCycles(all)
        expect(isAcyclic(kept)).toBe(true)
        expect(kept.length + cycles.length).toBe(all.length)
        if (isAcyclic(all)) expect(cycles).toEqual([])
        for (const cycle of cycles) expect(cycle[0]).toBe(cycle.at(-1))
      })
    )
  })

  it("takes a chain of 100,000 items", () => {
    const chain = Array.from({ length: 100_000 }, (_, i) => ({ blocker: `${i}`, dependent: `${i + 1}` }))
    expect(dropCycles(chain).cycles).toEqual([])
    expect(dropCycles([...chain, { blocker: "100000", dependent: "0" }]).cycles).toHaveLength(1)
  })
})
