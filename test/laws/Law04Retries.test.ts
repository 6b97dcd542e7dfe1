import { describe, expect, it } from "vitest"
import * as fc from "fast-check"
import type { CallNode } from "../../src/workflow/Definition.ts"
import type { ScriptedAction, TestProgram } from "../../src/testing/TestProgram.ts"
import type { AttemptRecord } from "../../src/persistence/Records.ts"
import { play } from "./Play.ts"
import { holds, limit } from "./support.ts"

interface Retried {
  readonly retries: number
  readonly hangs: number
  readonly failures: number
  readonly delay: number
  readonly retryDelay: number
  readonly backoff: "fixed" | "exponential"
  readonly isOptional: boolean
}

const retried: fc.Arbitrary<Retried> = fc.record({
  retries: fc.nat(4),
  hangs: fc.nat(2),
  failures: fc.nat(4),
  delay: fc.constantFrom(0, 10, 30),
  retryDelay: fc.constantFrom(0, 10, 500),
  backoff: fc.constantFrom("fixed", "exponential"),
  isOptional: fc.boolean()
})

const timeout = 40

const programOf = (steps: ReadonlyArray<Retried>): TestProgram => {
  const body = steps.map(({ backoff, isOptional, retries, retryDelay }, index): CallNode => {
    const action = { _tag: "Name", name: `a${index}` } as const
    const options = { retries, retryDelay, backoff, timeout }
    return { _tag: "Call", action, ...options, ...(isOptional ? { onFail: { _tag: "Continue" } } : {}) }
  })
  const actions = steps.map(({ delay, failures, hangs }, index): readonly [string, ScriptedAction] => [
    `a${index}`,
    { delay, failures, hangs }
  ])
  return {
    name: "retries",
    definition: { name: "w", trigger: "manual", targets: [], inputs: [], body, always: [] },
    workflows: [],
    actions: Object.fromEntries(actions),
    answers: {},
    options: { settings: { failFast: false } }
  }
}

/** As the law says it. */
const expected = ({ failures, hangs, isOptional, retries }: Retried) => {
  const succeeds = hangs + failures <= retries
  const count = succeeds ? hangs + failures + 1 : retries + 1
  const outcomes = Array.from({ length: count }, (_, index) => {
    if (index < hangs) return "timed_out"
    return succeeds && index === count - 1 ? "completed" : "failed"
  })
  const failed = isOptional ? "skipped" : outcomes.at(-1)
  return { status: succeeds ? "completed" : failed, outcomes, numbers: outcomes.map((_, index) => index + 1) }
}

const pauses = (attempts: ReadonlyArray<AttemptRecord>): ReadonlyArray<number> =>
  attempts.slice(1).map(({ startedAt }, index) => startedAt - (attempts[index]?.endedAt ?? Number.NaN))

describe("law 4: retries", () => {
  it(
    "are at most n; success at attempt k stops there and records k - 1 of them, with the pauses that were asked for",
    () =>
      holds(fc.array(retried, { minLength: 1, maxLength: 3 }), async (steps) => {
        const { left, tree } = await play({ program: programOf(steps) }, 1_000_000)
        expect(left).toEqual([])
        const rows = tree.runs[0]?.steps ?? []
        for (const [index, step] of steps.entries()) {
          const { attempts = [], status } = rows.find(({ path }) => path === `/a${index}`) ?? {}
          const outcomes = attempts.map(({ outcome }) => outcome)
          expect({ status, outcomes, numbers: attempts.map(({ number }) => number) }).toEqual(expected(step))
          const { backoff, retryDelay } = step
          const waits = attempts.slice(1).map((_, n) => retryDelay * (backoff === "exponential" ? 2 ** n : 1))
          expect(pauses(attempts)).toEqual(waits)
        }
      }),
    limit
  )
})
