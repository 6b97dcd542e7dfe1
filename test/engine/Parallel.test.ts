import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { type ActionCall, ActionFailed, type ActionOutput, type Executor } from "../../src/action/Action.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { StepRecord } from "../../src/persistence/Records.ts"
import { action, failing, isEvent, layerOf, runIn, runToEnd } from "./TestEngine.ts"

const ok = action(() => ({}))

/** Actions that end only when the test says so. */
const held = () => {
  const ends = new Map<string, Deferred.Deferred<ActionOutput, ActionFailed>>()
  const began = new Map<string, Deferred.Deferred<void>>()
  const of = <A, E>(map: Map<string, Deferred.Deferred<A, E>>, name: string) => {
    const known = map.get(name) ?? Deferred.unsafeMake<A, E>(FiberId.none)
    map.set(name, known)
    return known
  }
  const released: Array<string> = []
  const execute: Executor = (call) =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => released.push(call.name)))
      yield* Deferred.succeed(of(began, call.name), undefined)
      return yield* Deferred.await(of(ends, call.name))
    })
  return {
    execute,
    released,
    began: (name: string) => Deferred.await(of(began, name)),
    succeed: (name: string, output: ActionOutput = {}) => Deferred.succeed(of(ends, name), output),
    fail: (name: string, message: string) => Deferred.fail(of(ends, name), new ActionFailed({ message }))
  }
}

const statuses = (steps: ReadonlyArray<StepRecord>) =>
  steps.filter((step) => step.kind === "call").map((step) => `${step.path} ${step.status}`)

describe("a parallel block", () => {
  it.live("is recorded as a whole before any branch starts, those waiting for a slot as pending", () =>
    Effect.gen(function* () {
      const { service: persistence } = yield* MemoryPersistence.make()
      let seen: ReadonlyArray<StepRecord> = []
      const look: Executor = (call) =>
        Effect.orDie(
          Effect.map(persistence.steps(call.run), (steps) => {
            seen = steps
            return {}
          })
        )
      const end = yield* runToEnd(
        "workflow w { parallel { max_parallel = 1 call look call b call c { if = b.never } } }"
      ).pipe(Effect.provide(layerOf({ actions: { look, b: ok, c: ok } }, persistence)))
      expect(statuses(seen)).toEqual(["/parallel/look running", "/parallel/b pending", "/parallel/c skipped"])
      expect(seen.filter((step) => step.kind === "call").map((step) => step.group)).toEqual([
        "parallel:/parallel",
        "parallel:/parallel",
        "parallel:/parallel"
      ])
      expect(end.outline).toEqual(["/parallel/look completed", "/parallel/b completed", "/parallel/c skipped"])
    })
  )

  it.live("lets branches see what was before the block, and later steps their results in branch order", () =>
    Effect.gen(function* () {
      const variables: Record<string, ActionCall["variables"]> = {}
      const gives = (value: string): Executor =>
        action((call) => {
          variables[call.name] = call.variables
          return { context: `context of ${call.name}`, structuredOutput: { value }, markers: [`m${value}`] }
        })
      const end = yield* runIn(
        { actions: { first: gives("0"), a: gives("1"), b: gives("2"), last: gives("3") } },
        "workflow w { call first parallel { max_parallel = 1 call a call b } call last }"
      )
      expect(end.run.status).toBe("completed")
      expect([variables["a"]?.["value"], variables["b"]?.["value"], variables["last"]?.["value"]]).toEqual([
        "0",
        "0",
        "2"
      ])
      const contexts: ReadonlyArray<{ step: string }> = JSON.parse(variables["last"]?.["prior_contexts"] ?? "[]")
      expect(contexts.map(({ step }) => step)).toEqual(["first", "a", "b"])
    })
  )

  it.live("does not depend on the order in which its branches end", () =>
    Effect.gen(function* () {
      const h = held()
      const seen: Array<string | undefined> = []
      const last = action(({ variables }) => {
        seen.push(variables["prior_contexts"])
        return {}
      })
      const run = yield* Effect.fork(
        runIn({ actions: { a: h.execute, b: h.execute, last } }, "workflow w { parallel { call a call b } call last }")
      )
      yield* h.began("a")
      yield* h.began("b")
      yield* h.succeed("b", { context: "B" })
      yield* h.succeed("a", { context: "A" })
      yield* run
      const contexts: ReadonlyArray<{ context: string }> = JSON.parse(seen[0] ?? "")
      expect(contexts.map(({ context }) => context)).toEqual(["A", "B"])
    })
  )

  it.live("never has more than max_parallel branches at work", () =>
    Effect.gen(function* () {
      let active = 0
      let most = 0
      const work: Executor = () =>
        Effect.acquireUseRelease(
          Effect.sync(() => (most = Math.max(most, ++active))),
          () => Effect.as(Effect.sleep(5), {}),
          () => Effect.sync(() => active--)
        )
      const calls = Array.from({ length: 9 }, () => "call a").join(" ")
      const end = yield* runIn({ actions: { a: work } }, `workflow w { parallel { max_parallel = 3 ${calls} } }`)
      expect(end.outline).toHaveLength(9)
      expect(most).toBe(3)
    })
  )

  it.live("records each branch's end when it ends", () =>
    Effect.gen(function* () {
      const { service: persistence } = yield* MemoryPersistence.make()
      const h = held()
      let seen: ReadonlyArray<StepRecord> = []
      const look: Executor = (call) =>
        Effect.gen(function* () {
          yield* h.began("done")
          for (;;) {
            seen = yield* Effect.orDie(persistence.steps(call.run))
            if (statuses(seen).includes("/parallel/done completed")) return {}
            yield* Effect.yieldNow()
          }
        })
      const done: Executor = (call) => Effect.zipRight(h.succeed(call.name), h.execute(call))
      const end = yield* runToEnd("workflow w { parallel { call done call look } }").pipe(
        Effect.provide(layerOf({ actions: { done, look } }, persistence))
      )
      expect(statuses(seen)).toEqual(["/parallel/done completed", "/parallel/look running"])
      expect(end.run.status).toBe("completed")
    })
  )

  it.live("emits the events of its branches like any others", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok, b: failing("no") } },
        "workflow w { parallel { fail_fast = false max_parallel = 1 call a call b { retries = 1 } } }"
      )
      const names = end.events.flatMap((event) => ("step" in event ? [`${event._tag} ${event.path}`] : []))
      expect(names).toEqual([
        "StepStarted /parallel/a",
        "StepCompleted /parallel/a",
        "StepStarted /parallel/b",
        "StepRetrying /parallel/b",
        "StepStarted /parallel/b",
        "StepCompleted /parallel/b"
      ])
    })
  )

  it.live("hands output and snippets on: a call's output replaces the block's, its snippets follow", () =>
    Effect.gen(function* () {
      const got: Record<string, readonly [string | undefined, ReadonlyArray<string>]> = {}
      const note = action((call) => {
        got[call.name] = [call.schema?.name, call.snippets]
        return { structuredOutput: {} }
      })
      const schema = (name: string) => ({ name, fields: [] })
      yield* runIn(
        { actions: { a: note, b: note }, schemas: { s: schema("s"), t: schema("t") } },
        `workflow w { do { output = t with = "outer"
          parallel { output = s with = ["p"] call a call b { output = t with = ["q"] } } } }`
      )
      // A parallel block inherits nothing of a surrounding do.
      expect(got).toEqual({ a: ["s", ["p"]], b: ["t", ["p", "q"]] })
    })
  )
})

describe("fail_fast of a parallel block", () => {
  it.live("interrupts those in flight, each finalizer once, and starts nothing any more", () =>
    Effect.gen(function* () {
      const h = held()
      const world = { actions: { a: h.execute, b: h.execute, c: h.execute, d: h.execute } }
      const text = "workflow w { parallel { max_parallel = 3 min_success = 1 call a call b call c call d } }"
      const run = yield* Effect.fork(runIn(world, text))
      yield* Effect.all([h.began("a"), h.began("b"), h.began("c")])
      yield* h.fail("b", "no")
      const end = yield* run
      expect(statuses(end.steps)).toEqual([
        "/parallel/a cancelled",
        "/parallel/b failed",
        "/parallel/c cancelled",
        "/parallel/d cancelled"
      ])
      expect(end.step("/parallel/a").error).toBe("fail_fast")
      expect(end.step("/parallel/d").attempts).toEqual([])
      expect([...h.released].sort()).toEqual(["a", "b", "c"])
      const started = end.events.filter(isEvent("StepStarted")).map(({ step }) => step)
      expect(started).not.toContain("d")
      expect(end.run.error).toBe("parallel:/parallel: 0 of 4 calls succeeded, 1 failed, 3 cancelled; 1 needed; b: no")
    })
  )

  it.live("leaves a block that has its min_success completed", () =>
    Effect.gen(function* () {
      const h = held()
      const world = { actions: { a: ok, b: h.execute, c: h.execute, after: ok } }
      const run = yield* Effect.fork(
        runIn(world, "workflow w { parallel { min_success = 1 call a call b call c } call after }")
      )
      yield* h.began("b")
      yield* h.began("c")
      yield* h.fail("b", "no")
      const end = yield* run
      expect(end.outline).toEqual([
        "/parallel/a completed",
        "/parallel/b failed",
        "/parallel/c cancelled",
        "/after completed"
      ])
      expect(end.run.status).toBe("completed")
    })
  )

  it.live("returns without waiting for a sibling that ignores its interruption longer than the grace period", () =>
    Effect.gen(function* () {
      const h = held()
      const stubborn: Executor = (call) => Effect.uninterruptible(h.execute(call))
      const world = { actions: { a: stubborn, b: h.execute }, settings: { interruptGrace: 50 } }
      const run = yield* Effect.fork(runIn(world, "workflow w { parallel { call a call b } }"))
      yield* Effect.all([h.began("a"), h.began("b")])
      yield* h.fail("b", "no")
      const end = yield* run
      const [attempt] = end.step("/parallel/a").attempts
      expect([attempt?.outcome, attempt?.abandoned]).toEqual(["cancelled", true])
    })
  )

  it.live("off: every branch runs to its end, and the error names the counts", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok, b: failing("first"), c: failing("second") } },
        "workflow w { parallel { fail_fast = false call b call a call c } }"
      )
      expect(end.outline).toEqual(["/parallel/b failed", "/parallel/a completed", "/parallel/c failed"])
      expect(end.run.error).toBe("parallel:/parallel: 1 of 3 calls succeeded, 2 failed; 3 needed; b: first")
    })
  )

  it.live("counts a branch skipped by its if, and one that goes on after its failure, as successes", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok, b: ok, c: failing("no") } },
        "workflow w { call a parallel { call b { if = a.m } call c { on_fail = continue } call a } }"
      )
      expect(end.run.status).toBe("completed")
      expect(end.step("/parallel/b").result.text).toBe("skipped: a.m not emitted")
      expect([end.step("/parallel/b").condition, end.step("/parallel/b").conditionMet]).toEqual(["a.m", false])
      expect([end.step("/parallel/c").status, end.step("/parallel/c").error]).toEqual(["skipped", "no"])
    })
  )

  it.live("leaves a skipped branch's earlier result in place; a failed one's goes", () =>
    Effect.gen(function* () {
      let calls = 0
      const once: Executor = () =>
        calls++ === 0 ? Effect.succeed({ markers: ["m"] }) : Effect.fail(new ActionFailed({ message: "no" }))
      const end = yield* runIn(
        { actions: { a: action(() => ({ markers: ["m"] })), b: once, c: ok } },
        `workflow w {
          call a call b
          parallel { fail_fast = false min_success = 0 call a { if = a.other } call b }
          if a.m { call c } if b.m { call c }
        }`
      )
      expect(end.outline).toEqual([
        "/a completed",
        "/b completed",
        "/parallel/a skipped",
        "/parallel/b failed",
        "/if:a.m/c completed"
      ])
    })
  )

  it.live("runs a failed branch's on_fail action, whose result is visible behind the block", () =>
    Effect.gen(function* () {
      const h = held()
      const seen: Array<string | undefined> = []
      const fix = action(({ variables }) => {
        seen.push(variables["failed_step"])
        return { markers: ["fixed"] }
      })
      const world = { actions: { a: h.execute, b: failing("no"), fix, c: ok } }
      const end = yield* runIn(
        world,
        "workflow w { parallel { min_success = 0 call a call b { on_fail = fix } } if fix.fixed { call c } }"
      )
      expect(end.outline).toEqual([
        "/parallel/a cancelled",
        "/parallel/b failed",
        "/parallel/b/on_fail completed",
        "/if:fix.fixed/c completed"
      ])
      expect(seen).toEqual(["b"])
    })
  )

  it.live("takes a boolean input as a branch's condition", () =>
    Effect.gen(function* () {
      const end = yield* runIn(
        { actions: { a: ok, b: ok } },
        "workflow w { inputs { deep boolean quick boolean } parallel { call a { if = deep } call b { if = quick } } }",
        { inputs: { deep: "TRUE" } }
      )
      expect(end.outline).toEqual(["/parallel/a completed", "/parallel/b skipped"])
      expect(end.step("/parallel/b").result.text).toBe("skipped: quick is not true")
    })
  )
})
