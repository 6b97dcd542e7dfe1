import { describe, expect, it } from "vitest"
import * as fc from "fast-check"
import { isUserStep } from "../../src/persistence/Records.ts"
import type { RunTree } from "../../src/testing/RecordComparison.ts"
import { Seeded } from "../../src/testing/Seeded.ts"
import type { TestProgram } from "../../src/testing/TestProgram.ts"
import type { Node } from "../../src/workflow/Definition.ts"
import { play, type Played } from "./Play.ts"
import { calm, holds, limit } from "./support.ts"

describe("law 1: sequencing", () => {
  it(
    "is associative and an empty block is its unit: the same results, contexts and end, however a program is grouped",
    () =>
      holds(fc.record({ program: calm, seed: fc.nat() }), async ({ program, seed }) => {
        const plain = await play({ program })
        const grouped = await play({ program: groupedAnew(program, new Seeded(seed)) })
        const [one, two] = [told(plain), told(grouped)]
        expect(two.runs).toEqual(one.runs)
        expect(two.saw).toEqual(one.saw)
      }),
    limit
  )
})

/** The same steps in other `do` blocks, some of them empty. */
const groupedAnew = (program: TestProgram, random: Seeded): TestProgram => ({
  ...program,
  definition: { ...program.definition, body: grouped(program.definition.body, random) },
  workflows: program.workflows.map((it) => ({ ...it, body: grouped(it.body, random) }))
})

const grouped = (nodes: ReadonlyArray<Node>, random: Seeded): ReadonlyArray<Node> => {
  const inner = nodes.map((node): Node => ("body" in node ? { ...node, body: grouped(node.body, random) } : node))
  const [from, to] = [random.between(0, nodes.length), random.between(0, nodes.length)].sort((a, b) => a - b)
  const block: Node = { _tag: "Do", body: inner.slice(from, to) }
  const rest = random.chance(0.3) ? [{ _tag: "Do", body: inner.slice(to) } as const] : inner.slice(to)
  return [...inner.slice(0, from), block, ...rest]
}

/** Paths without the blocks that were added: names of actions are unique. */
const plainly = (text: string): string => text.replaceAll(/\/do(~\d+)?(?=\/)|~\d+/g, "")

/** What steps of runs beside each other see in the same millisecond they see in any order. */
const told = ({ saw, tree }: Played) => ({
  saw: saw.map(({ step, contexts }) => plainly(`${step} ${contexts}`)).sort(),
  runs: tree.runs.map((it) => recordsOf(it)).sort()
})

const recordsOf = ({ run, steps, items }: RunTree["runs"][number]): string => {
  const live = steps.filter(({ kind, superseded }) => isUserStep(kind) && !superseded)
  const rows = live
    .sort((a, b) => a.position - b.position)
    .map(({ attempts, error, path, result, status }) => {
      const outcomes = attempts.map((it) => `${it.outcome} ${it.error ?? ""}`)
      return [path, status, error, { ...result, metadata: {} }, outcomes]
    })
  const ends = items.map((item) => plainly([item.path, item.id, item.status, item.error].join(" "))).sort()
  return plainly(JSON.stringify([run.workflow, run.status, run.error, rows, ends]))
}
