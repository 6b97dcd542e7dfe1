import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { action, failing, layerOf, runToEnd } from "./TestEngine.ts"

describe("a run", () => {
  it.live("runs its calls in order and records them", () =>
    Effect.gen(function* () {
      const end = yield* runToEnd(
        `workflow w { call a call b { retries = 1 } if b.bad { call c } script s { run = "echo hi" } }`
      )
      expect(end.outline).toEqual(["/a completed", "/b completed", "/if:b.bad/c completed", "/s completed"])
      expect(end.run.status).toBe("completed")
      expect(end.run.summary).toContain("4/4")
    }).pipe(
      Effect.provide(
        layerOf({ actions: { a: action(() => ({})), b: action(() => ({ markers: ["bad"] })), c: action(() => ({})) } })
      )
    )
  )
  it.live("runs parallel branches, loops, child workflows and foreach", () =>
    Effect.gen(function* () {
      const end = yield* runToEnd(`workflow w {
        parallel { call a call b }
        call workflow sub { inputs { x = "1" } }
        call items
        foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = sub inputs = { x = "{{item.id}}" } }
        do { max_iterations = 3 on_max_iter = continue call b } while b.bad
      }`)
      expect(end.outline).toEqual([
        "/parallel/a completed",
        "/parallel/b completed",
        "/workflow:sub completed",
        "/items completed",
        "/foreach:each completed",
        "/do-while:b.bad/@1/b completed",
        "/do-while:b.bad/@2/b completed",
        "/do-while:b.bad/@3/b completed"
      ])
    }).pipe(
      Effect.provide(
        layerOf({
          workflows: [`workflow sub { inputs { x required } call a }`],
          actions: {
            a: action(() => ({})),
            b: action(() => ({ markers: ["bad"] })),
            items: action(() => ({ structuredOutput: { list: ["p", "q", "r"] } }))
          }
        })
      )
    )
  )
  it.live("fails fast", () =>
    Effect.gen(function* () {
      const end = yield* runToEnd(`workflow w { call a call b always { call c } }`)
      expect(end.outline).toEqual(["/a failed", "/@always/c completed"])
      expect(end.run.error).toBe("a: no")
    }).pipe(Effect.provide(layerOf({ actions: { a: failing("no"), b: failing("x"), c: action(() => ({})) } })))
  )
})
