/**
 * No fiber, process, timer, listener or open file outlives its run (spec/engine.md, "Cancellation").
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../../persistence/support.ts"
import { startProcess } from "./EngineProcess.ts"

const runs = 1_000

describe("a process that has had a thousand runs", () => {
  it.scopedLive.skipIf(!existsSync("/proc/self/fd"))(
    "holds what it held before the first one: of those that completed, failed, were cancelled, timed out, or abandoned",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder((folder) => folder)
        const child = yield* startProcess(join(import.meta.dirname, "processes", "leaks.ts"), folder, String(runs))
        const { after, before, ended } = JSON.parse(`{${yield* child.said("{")}`)
        expect(after).toEqual(before)
        expect(ended).toEqual({ cancelled: 200, completed: 400, failed: 400 })
        expect(yield* child.exit).toBe(0)
        console.log(`leaks: ${runs} runs`)
      }),
    240_000
  )
})
