import { describe, expect, it } from "vitest"
import * as fc from "fast-check"
import type { RunTree } from "../../src/testing/RecordComparison.ts"
import type { ScriptedAction, TestProgram } from "../../src/testing/TestProgram.ts"
import type { BranchCall } from "../../src/workflow/Definition.ts"
import { play, type Seen } from "./Play.ts"
import { holds, limit } from "./support.ts"

/** What its branches do; how long they take is drawn apart. */
interface Block {
  readonly branches: ReadonlyArray<{ readonly fails: boolean; readonly retries: number; readonly mark: string }>
  readonly maxParallel: number
  readonly minSuccess: number
}

const block: fc.Arbitrary<Block> = fc.record({
  branches: fc.array(
    fc.record({ fails: fc.boolean(), retries: fc.nat(1), mark: fc.constantFrom("one", "two", "three") }),
    { minLength: 1, maxLength: 6 }
  ),
  maxParallel: fc.integer({ min: 1, max: 7 }),
  minSuccess: fc.nat(6)
})

const delays = fc.array(fc.constantFrom(0, 5, 10, 20), { minLength: 6, maxLength: 6 })

const programOf = ({ branches, maxParallel, minSuccess }: Block, delays: ReadonlyArray<number>): TestProgram => {
  const [first, ...rest] = branches.map(({ retries }, index): BranchCall => {
    return { _tag: "Call", action: { _tag: "Name", name: `a${index}` }, retries }
  })
  if (first === undefined) throw new Error("a block has at least one call")
  const parallel = { _tag: "Parallel", failFast: false, maxParallel, minSuccess, calls: [first, ...rest] } as const
  const after = { _tag: "Call", action: { _tag: "Name", name: "after" } } as const
  const actions = branches.map(({ fails, mark }, index): readonly [string, ScriptedAction] => [
    `a${index}`,
    { delay: delays[index] ?? 0, failures: fails ? 99 : 0, markers: [mark], context: `of ${index}` }
  ])
  return {
    name: "parallel",
    definition: { name: "w", trigger: "manual", targets: [], inputs: [], body: [parallel, after], always: [] },
    workflows: [],
    actions: Object.fromEntries(actions),
    answers: {},
    options: {}
  }
}

/** All that a run's records say, without times. */
const outcome = ({ runs }: RunTree) =>
  runs.map(({ run, steps }) => ({
    run: [run.status, run.error],
    steps: steps.map(({ attempts, error, path, position, result, status }) => {
      return { path, position, status, error, result, attempts: attempts.map(({ outcome }) => outcome) }
    })
  }))

/** The most attempts at work at once. */
const peak = (executions: ReadonlyArray<Seen>): number => {
  let [now, most] = [0, 0]
  for (const { what } of executions) {
    now += what === "began" ? 1 : -1
    most = Math.max(most, now)
  }
  return most
}

describe("law 2: parallel", () => {
  it(
    "does not depend on what ends first, keeps to its limit, and accounts for every branch exactly once",
    () =>
      holds(fc.tuple(block, delays, delays), async ([block, some, others]) => {
        const one = await play({ program: programOf(block, some) })
        const two = await play({ program: programOf(block, others) })
        expect(outcome(two.tree)).toEqual(outcome(one.tree))
        expect(two.saw.at(-1)?.contexts).toBe(one.saw.at(-1)?.contexts)
        const { branches, maxParallel } = block
        for (const { executions, tree } of [one, two]) {
          expect(peak(executions)).toBeLessThanOrEqual(maxParallel)
          const paths = tree.runs[0]?.steps.filter(({ group }) => group !== null).map(({ path }) => path)
          expect(paths).toEqual(branches.map((_, index) => `/parallel/a${index}`))
        }
      }),
    limit
  )
})
