import { describe, expect, it } from "vitest"
import type { StepRecord } from "../../src/persistence/Records.ts"
import { tree } from "./CodePrograms.ts"
import { play, playCode } from "./Play.ts"
import { expectAllowed, expectNone, holds, limit, racing } from "./support.ts"

describe("law 5: fail_fast", () => {
  it(
    "starts nothing after the failure, ends each step once and releases what it acquired once",
    () =>
      holds(racing, async (program) => {
        const { end, left, tree } = await play({ program })
        expectNone({ program }, left)
        for (const { steps } of tree.runs) expectNone({ program }, startedLate(steps))
        expectAllowed({ program }, end)
      }),
    limit
  )

  it(
    "leaves nothing of a branch that a failure, a winner or a time limit interrupts, in code too; and retries there are those of the action (law 4)",
    () =>
      holds(tree, async (program) => {
        const { left, tree } = await playCode(program)
        expect(left).toEqual([])
        for (const { run, steps } of tree.runs) {
          // A child is cancelled with the branch that waits for it.
          if (run.id === tree.root) expect(["completed", "failed"]).toContain(run.status)
          expect(steps.flatMap(retriedWrongly)).toEqual([])
        }
      }),
    limit
  )
})

/** Of the action `do-n`, which has n retries. */
const retriedWrongly = ({ attempts, name, path, status }: StepRecord): ReadonlyArray<string> => {
  if (!name.startsWith("do-") || status === "cancelled") return []
  const outcomes = attempts.map(({ outcome }) => outcome)
  const isRight =
    outcomes.length <= Number(name.slice(3)) + 1 &&
    outcomes.slice(0, -1).every((outcome) => outcome === "failed" || outcome === "timed_out") &&
    outcomes.at(-1) === status
  return isRight ? [] : [`${path} ${status}: ${outcomes.join(", ")}`]
}

/** Branches of a block with a decision of fail_fast that began after the failure. */
const startedLate = (steps: ReadonlyArray<StepRecord>): ReadonlyArray<string> =>
  steps
    .filter(({ kind, name }) => kind === "block" && name === "parallel")
    .flatMap((block) => {
      const { value } = block
      const failed = typeof value === "object" && value !== null && "failFast" in value ? value.failFast : undefined
      const since = steps.find(({ path }) => path === failed)?.endedAt ?? Number.POSITIVE_INFINITY
      return steps
        .filter(({ group, path }) => group === `parallel:${block.path}` && !path.endsWith("/on_fail"))
        .flatMap(({ attempts, path }) => attempts.filter(({ startedAt }) => startedAt > since).map(() => path))
        .map((path) => `${path} began after ${String(failed)} had failed`)
    })
