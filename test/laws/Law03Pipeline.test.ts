import { describe, expect, it } from "vitest"
import * as fc from "fast-check"
import type { BranchCall, Node } from "../../src/workflow/Definition.ts"
import type { ScriptedAction, TestProgram } from "../../src/testing/TestProgram.ts"
import { play } from "./Play.ts"
import { holds, limit } from "./support.ts"

interface Pipe {
  readonly items: ReadonlyArray<string>
  readonly stages: ReadonlyArray<{
    readonly delay: number
    readonly failsFor: ReadonlyArray<string>
    readonly isOptional: boolean
    readonly isConditional: boolean
    readonly marks: boolean
  }>
  readonly maxParallel: number
}

const pipe: fc.Arbitrary<Pipe> = fc.record({
  items: fc.subarray(["p", "q", "r", "s"], { minLength: 1 }),
  stages: fc.array(
    fc.record({
      delay: fc.constantFrom(0, 5, 10),
      failsFor: fc.subarray(["p", "q", "r", "s"]),
      isOptional: fc.boolean(),
      isConditional: fc.boolean(),
      marks: fc.boolean()
    }),
    { minLength: 1, maxLength: 4 }
  ),
  maxParallel: fc.integer({ min: 1, max: 5 })
})

/** A program with one pipeline for each list of items, one after another. */
const programOf = ({ maxParallel, stages }: Pipe, lists: ReadonlyArray<ReadonlyArray<string>>): TestProgram => {
  const [first, ...rest] = stages.map(({ isConditional, isOptional }, index): BranchCall => {
    const condition = { if: { _tag: "Marker", step: `a${index - 1}`, marker: "go" } } as const
    return {
      _tag: "Call",
      action: { _tag: "Name", name: `a${index}` },
      ...(isOptional ? { onFail: { _tag: "Continue" } } : {}),
      ...(isConditional && index > 0 ? condition : {})
    }
  })
  if (first === undefined) throw new Error("a pipeline has at least one call")
  const body = lists.flatMap((_, index): ReadonlyArray<Node> => {
    const scope = { from: `items${index}.list` }
    const calls = [first, ...rest] as const
    return [
      { _tag: "Call", action: { _tag: "Name", name: `items${index}` } },
      { _tag: "Pipeline", name: `pipe${index}`, over: "json", scope, maxParallel, calls }
    ]
  })
  const actions = stages.map(({ delay, failsFor, marks }, index): readonly [string, ScriptedAction] => [
    `a${index}`,
    { delay, failsFor, markers: marks ? ["go"] : [], structured: { stage: index } }
  ])
  const sources = lists.map((list, index): readonly [string, ScriptedAction] => [
    `items${index}`,
    { structured: { list } }
  ])
  return {
    name: "pipeline",
    definition: { name: "w", trigger: "manual", targets: [], inputs: [], body, always: [] },
    workflows: [],
    actions: Object.fromEntries([...actions, ...sources]),
    answers: {},
    options: { settings: { failFast: false } }
  }
}

/** Each item's chain, as its steps and its end, in item order. */
const chains = async (program: TestProgram) => {
  const { left, tree } = await play({ program })
  expect(left).toEqual([])
  const { items = [], steps = [] } = tree.runs[0] ?? {}
  const inOrder = [...items].sort((a, b) => (a.path === b.path ? a.position - b.position : a.path < b.path ? -1 : 1))
  return inOrder.map(({ error, id, path, status }) => {
    const own = steps.filter((step) => step.path.startsWith(`${path}/item:${id}/`))
    return {
      id,
      status,
      error,
      steps: own.map(({ path: at, result, status }) => [at.slice(path.length), status, result])
    }
  })
}

describe("law 3: a pipeline", () => {
  it(
    "has the outcomes of running each chain alone, in item order",
    () =>
      holds(pipe, async (pipe) => {
        const together = await chains(programOf(pipe, [pipe.items]))
        const alone = await chains(
          programOf(
            pipe,
            pipe.items.map((item) => [item])
          )
        )
        expect(together).toEqual(alone)
      }),
    limit
  )
})
