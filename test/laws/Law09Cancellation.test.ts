import { describe, it } from "vitest"
import * as fc from "fast-check"
import { play } from "./Play.ts"
import { expectAllowed, expectNone, holds, limit, moment, racing } from "./support.ts"

describe("law 9: a run that is cancelled", () => {
  it(
    "ends as the model allows, at any moment, with no record, fiber, deadline or resident left",
    () =>
      holds(fc.record({ program: racing, cancelAfter: moment }), async (it) => {
        const { end, executions, left } = await play(it)
        expectNone(it, left)
        expectNone(it, unfinished(executions))
        expectAllowed(it, end)
      }),
    limit
  )
})

/** Attempts whose finalizers did not run, or ran twice. */
const unfinished = (executions: Awaited<ReturnType<typeof play>>["executions"]): ReadonlyArray<string> => {
  const open = new Map<string, number>()
  for (const { attempt, path, run, what } of executions) {
    const key = `${path} of ${run}, attempt ${attempt}`
    open.set(key, (open.get(key) ?? 0) + (what === "began" ? 1 : -1))
  }
  return [...open].filter(([, n]) => n !== 0).map(([key, n]) => `${key}: began ${n} times more often than it ended`)
}
