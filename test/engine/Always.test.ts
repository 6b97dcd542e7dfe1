import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Executor } from "../../src/action/Action.ts"
import * as Client from "../../src/engine/Client.ts"
import { action, awaitEnd, failing, layerOf, runIn, start, watch, type World } from "./TestEngine.ts"

const ok = action(() => ({}))

/** Starts a workflow and cancels it once its action `hang` is at work. */
const cancelled = (world: World, text: string) => {
  const begun = Deferred.unsafeMake<void>(FiberId.none)
  const hang: Executor = () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
  return Effect.scoped(
    Effect.gen(function* () {
      const watched = yield* watch
      const id = yield* start(text)
      yield* Deferred.await(begun)
      yield* Client.cancel(id)
      return yield* awaitEnd(id, watched)
    })
  ).pipe(Effect.provide(layerOf({ ...world, actions: { ...world.actions, hang } })))
}

describe("always", () => {
  it.live("runs once on success, failure and cancellation, and knows which it was", () =>
    Effect.gen(function* () {
      const seen: Array<string | undefined> = []
      const z = action(({ variables }) => {
        seen.push(variables["workflow_status"])
        return {}
      })
      const text = (call: string) => `workflow w { call ${call} always { call z } }`
      const actions = { a: ok, b: failing("no"), z }
      const completed = yield* runIn({ actions }, text("a"))
      const failed = yield* runIn({ actions }, text("b"))
      const stopped = yield* cancelled({ actions }, text("hang"))
      expect([completed, failed, stopped].map(({ run }) => run.status)).toEqual(["completed", "failed", "cancelled"])
      expect(seen).toEqual(["completed", "failed", "cancelled"])
    })
  )

  it.live("runs each node even if one before it failed, and never changes how the run ends", () =>
    Effect.gen(function* () {
      const world: World = {
        actions: { a: ok, bad: failing("no"), m: action(() => ({ markers: ["m"] })) },
        workflows: ["workflow sub { call bad }"]
      }
      const end = yield* runIn(
        world,
        `workflow w {
          call a
          always {
            call bad
            script s { run = "exit 3" }
            call workflow sub
            parallel { max_parallel = 1 call bad call a }
            do { max_iterations = 1 call m } while m.m
            gate quality_gate { source = a threshold = 50 }
            call a
          }
        }`
      )
      expect(end.outline).toEqual([
        "/a completed",
        "/@always/bad failed",
        "/@always/s failed",
        "/@always/workflow:sub failed",
        "/@always/parallel/bad failed",
        "/@always/parallel/a cancelled",
        "/@always/do-while:m.m/@1/m completed",
        "/@always/quality_gate failed",
        "/@always/a completed"
      ])
      expect([end.run.status, end.run.error]).toEqual(["completed", null])
    })
  )

  it.live("does not change the error of a run that failed", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { bad: failing("first"), worse: failing("second") } },
        "workflow w { call bad always { call worse } }"
      )
      expect([end.run.status, end.run.error]).toEqual(["failed", "bad: first"])
    })
  )

  it.live("sees the results of the body", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: action(() => ({ markers: ["m"] })), z: ok } },
        "workflow w { call a always { if a.m { call z } } }"
      )
      expect(end.outline).toEqual(["/a completed", "/@always/if:a.m/z completed"])
    })
  )

  it.live("is one block, however often it is written", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok, y: ok, z: ok } },
        "workflow w { always { call z } call a always { call y call z } }"
      )
      expect(end.outline).toEqual([
        "/a completed",
        "/@always/z completed",
        "/@always/y completed",
        "/@always/z~2 completed"
      ])
    })
  )

  it.live("nested in the body runs in place", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok, z: ok } },
        "workflow w { inputs { go boolean } if go { always { call z } call a } call a }",
        { inputs: { go: "true" } }
      )
      expect(end.outline).toEqual(["/if:go/always/z completed", "/if:go/a completed", "/a completed"])
    })
  )

  it.live("has a limited time after a cancellation", () =>
    Effect.gen(function* () {
      const end = yield* cancelled(
        { actions: { z: () => Effect.never, y: ok }, settings: { alwaysLimit: 50 } },
        "workflow w { call hang always { call z call y } }"
      )
      expect(end.run.status).toBe("cancelled")
      expect(end.outline).toEqual(["/hang cancelled", "/@always/z cancelled"])
      expect(end.step("/@always").error).toBe("always did not finish within 50 ms")
    })
  )
})
