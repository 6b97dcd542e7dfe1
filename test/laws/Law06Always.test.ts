import { describe, expect, it } from "vitest"
import * as fc from "fast-check"
import type { TestProgram } from "../../src/testing/TestProgram.ts"
import { play } from "./Play.ts"
import { expectNone, holds, limit, racing } from "./support.ts"

/** Never when anything else happens: all else takes a multiple of five ms. */
const moment = fc.option(
  fc.nat(40).map((n) => n * 5 + 3),
  { nil: undefined }
)

const clean = { _tag: "Call", action: { _tag: "Name", name: "clean" } } as const
const more = { _tag: "Call", action: { _tag: "Name", name: "more" } } as const

const withAlways = (program: TestProgram, isFailing: boolean): TestProgram => ({
  ...program,
  definition: { ...program.definition, always: [clean, more] },
  actions: { ...program.actions, clean: { delay: 7, failures: isFailing ? 99 : 0 }, more: {} }
})

const withoutAlways = (program: TestProgram): TestProgram => ({
  ...program,
  definition: { ...program.definition, always: [] }
})

describe("law 6: always", () => {
  it(
    "runs once for each end of a run, each node of it, and never changes that end",
    () =>
      holds(
        fc.record({ program: racing, cancelAfter: moment, isFailing: fc.boolean() }),
        async ({ cancelAfter, isFailing, program }) => {
          const cancelled = cancelAfter === undefined ? {} : { cancelAfter }
          const plain = { program: withoutAlways(program), ...cancelled }
          const guarded = { program: withAlways(program, isFailing), ...cancelled }
          const [before, after] = [await play(plain), await play(guarded)]
          const ends = ({ end }: typeof before) => end.filter((line) => !line.startsWith("step /@always"))
          expectNone(guarded, [...before.left, ...after.left])
          expect(ends(after)).toEqual(ends(before))
          const began = after.executions.filter(({ path, what }) => path.startsWith("/@always/") && what === "began")
          const own = began.filter(({ run }) => run === after.tree.root)
          expect(own.map(({ path }) => path)).toEqual(["/@always/clean", "/@always/more"])
        }
      ),
    limit
  )
})
