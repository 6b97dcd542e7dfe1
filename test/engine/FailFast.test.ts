import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { action, failing, runIn } from "./TestEngine.ts"

const ok = action(() => ({}))
const slow = { settings: { failFast: false } } as const

describe("fail_fast of a run", () => {
  it.live("skips the remaining body after a step failed for good, and still runs always", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok, b: failing("no"), c: ok } },
        "workflow w { call a call b call c always { call a } }"
      )
      expect(end.outline).toEqual(["/a completed", "/b failed", "/@always/a completed"])
      expect([end.run.status, end.run.error]).toEqual(["failed", "b: no"])
    })
  )

  it.live("off: later nodes run, and the run fails with the error of the first failure", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: failing("first"), b: ok, c: failing("second") } },
        "workflow w { call a call b call c call b }",
        slow
      )
      expect(end.outline).toEqual(["/a failed", "/b completed", "/c failed", "/b~2 completed"])
      expect([end.run.status, end.run.error]).toEqual(["failed", "a: first"])
    })
  )

  it.live("off: a rejected quality gate ends the body all the same", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: failing("no"), b: action(() => ({ structuredOutput: { confidence: 10 } })), c: ok } },
        "workflow w { call b gate quality_gate { source = b threshold = 50 } call c }",
        slow
      )
      expect(end.outline).toEqual(["/b completed", "/quality_gate failed"])
    })
  )

  it.live("off: a loop over its cap ends the body all the same", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: action(() => ({ markers: ["m"] })), c: ok } },
        "workflow w { do { max_iterations = 2 call a } while a.m call c }",
        slow
      )
      expect(end.outline).toEqual(["/do-while:a.m/@1/a completed", "/do-while:a.m/@2/a completed"])
      expect(end.run.error).toBe("do while a.m: the loop reached max_iterations = 2")
    })
  )

  it.live("counts a parallel block as one step: failed branches of a block that succeeded do not fail the run", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: failing("no"), b: ok, c: ok } },
        "workflow w { parallel { fail_fast = false min_success = 1 call a call b } call c }"
      )
      expect(end.outline).toEqual(["/parallel/a failed", "/parallel/b completed", "/c completed"])
      expect([end.run.status, end.run.error]).toEqual(["completed", null])
    })
  )
})
