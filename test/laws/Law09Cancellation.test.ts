import { describe, expect, it } from "vitest"
import * as fc from "fast-check"
import { tree } from "./CodePrograms.ts"
import { play, playCode } from "./Play.ts"
import { expectAllowed, expectNone, holds, limit, moment, racing } from "./support.ts"

describe("law 9: a run that is cancelled at any moment", () => {
  it(
    "ends as the model allows, and leaves no open record, fiber, deadline or resource",
    () =>
      holds(fc.record({ program: racing, cancelAfter: moment }), async (it) => {
        const { end, left } = await play(it)
        expectNone(it, left)
        expectAllowed(it, end)
      }),
    limit
  )

  it(
    "ends cancelled, or as it had before, in code too",
    () =>
      holds(fc.record({ program: tree, cancelAfter: moment }), async ({ cancelAfter, program }) => {
        const { left, tree } = await playCode(program, cancelAfter)
        expect(left).toEqual([])
        const { run } = tree.runs.find(({ run }) => run.id === tree.root) ?? {}
        const lasted = (run?.endedAt ?? Number.NaN) - (run?.startedAt ?? Number.NaN)
        expect(run?.status === "cancelled" ? lasted === cancelAfter : lasted <= cancelAfter).toBe(true)
      }),
    limit
  )
})
