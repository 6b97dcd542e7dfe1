import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import { type ActionCall, ActionFailed, type Executor } from "../../src/action/Action.ts"
import type { Item, ItemProvider } from "../../src/action/ItemProvider.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { resume } from "../../src/engine/Resume.ts"
import { action, awaitEnd, isEvent, layerOf, runIn, start, watch, type World } from "./TestEngine.ts"

const ok = action(() => ({}))

const item = (id: string, context: Item["context"] = {}): Item => ({ type: "t", id, ref: `ref-${id}`, context })

const provider = (...items: ReadonlyArray<Item>): ItemProvider => ({
  ordered: false,
  items: () => Effect.succeed({ items })
})

const two: World["providers"] = { p: provider(item("2"), item("1")) }

const statuses = (items: ReadonlyArray<{ readonly id: string; readonly status: string }>) =>
  items.map(({ id, status }) => `${id} ${status}`)

const idOf = (call: ActionCall) => call.variables["item.id"] ?? ""

describe("a pipeline", () => {
  it.live("takes each item through the calls, a step for each, and reports like a foreach", () =>
    Effect.gen(function* () {
      const gives = action((call) => ({
        structuredOutput: { by: `${call.name}${idOf(call)}` },
        metadata: { num_turns: "1" }
      }))
      const end = yield* runIn(
        { actions: { a: gives, b: gives }, providers: two },
        "workflow w { pipeline flow { over = p max_parallel = 1 call a call b } }"
      )
      expect(end.outline).toEqual([
        "/pipeline:flow completed",
        "/pipeline:flow/t:2/a completed",
        "/pipeline:flow/t:2/b completed",
        "/pipeline:flow/t:1/a completed",
        "/pipeline:flow/t:1/b completed"
      ])
      const row = end.step("/pipeline:flow")
      expect([row.kind, row.role, row.name]).toEqual(["pipeline", "pipeline", "pipeline:flow"])
      expect(row.fanOut).toEqual({ total: 2, completed: 2, failed: 0, skipped: 0, running: 0 })
      expect(row.result).toMatchObject({
        markers: [],
        context: "pipeline flow: 2 completed, 0 failed, 0 skipped of 2 p",
        structured: {
          items: [
            { item_id: "1", status: "completed", output: { by: "b1" } },
            { item_id: "2", status: "completed", output: { by: "b2" } }
          ]
        }
      })
      expect(end.run.totals.num_turns).toBe(4)
      expect(end.children).toEqual([])
      expect(end.events.filter(isEvent("FanOutItemCompleted")).map(({ item }) => item)).toEqual(["2", "1"])
    })
  )

  it.live("has no barrier between its stages", () =>
    Effect.gen(function* () {
      const first = Deferred.unsafeMake<void>(FiberId.none)
      // Item 1 waits in the first stage until item 2 is in the second.
      const a: Executor = (call) => (idOf(call) === "1" ? Effect.as(Deferred.await(first), {}) : Effect.succeed({}))
      const b: Executor = (call) =>
        idOf(call) === "2" ? Effect.as(Deferred.succeed(first, undefined), {}) : Effect.succeed({})
      const end = yield* runIn(
        { actions: { a, b }, providers: two },
        "workflow w { pipeline flow { over = p max_parallel = 2 call a call b } }"
      )
      expect(end.run.status).toBe("completed")
    })
  )

  it.live("never has more than max_parallel items at work", () =>
    Effect.gen(function* () {
      let active = 0
      let most = 0
      const work: Executor = () =>
        Effect.acquireUseRelease(
          Effect.sync(() => (most = Math.max(most, ++active))),
          () => Effect.as(Effect.sleep(3), {}),
          () => Effect.sync(() => active--)
        )
      const items = ["1", "2", "3", "4", "5"].map((id) => item(id))
      yield* runIn(
        { actions: { a: work }, providers: { p: provider(...items) } },
        "workflow w { pipeline flow { over = p max_parallel = 2 call a call a } }"
      )
      expect(most).toBe(2)
    })
  )

  it.live("shows a chain its item and its own results beside what was there before, and nothing of it outside", () =>
    Effect.gen(function* () {
      const seen: Record<string, ActionCall["variables"]> = {}
      const note = (output: (call: ActionCall) => object) =>
        action((call) => {
          seen[`${call.path}`] = call.variables
          return { context: `context of ${call.path}`, markers: ["m"], structuredOutput: output(call) }
        })
      const end = yield* runIn(
        {
          actions: {
            before: action(() => ({ structuredOutput: { branch: "main", x: "before" } })),
            a: note((call) => ({ x: `x${idOf(call)}` })),
            b: note(() => ({})),
            after: note(() => ({}))
          },
          providers: { p: provider(item("1", { owner: "Ada" }), item("2")) }
        },
        `workflow w {
          call before
          pipeline flow { over = p max_parallel = 1 call a { inputs { who = "{{item.owner}} {{branch}}" } } call b }
          call after
          if a.m { call before }
        }`
      )
      expect(end.outline.at(-1)).toBe("/after completed")
      expect(seen["/pipeline:flow/t:1/a"]).toMatchObject({
        "item.id": "1",
        "item.ref": "ref-1",
        "item.owner": "Ada",
        who: "Ada main",
        x: "before"
      })
      expect(seen["/pipeline:flow/t:1/b"]).toMatchObject({ x: "x1", prior_context: "context of /pipeline:flow/t:1/a" })
      expect(seen["/pipeline:flow/t:2/b"]).toMatchObject({ x: "x2" })
      expect(seen["/after"]).toMatchObject({ x: "before", prior_context: end.step("/pipeline:flow").result.context })
      expect(seen["/after"]).not.toHaveProperty(["item.id"])
    })
  )

  it.live("looks with if only at the item's own chain, and goes on behind a call that is skipped", () =>
    Effect.gen(function* () {
      const a = action((call) => ({ markers: idOf(call) === "1" ? ["deep"] : [], structuredOutput: { n: 1 } }))
      const end = yield* runIn(
        { actions: { before: action(() => ({ markers: ["m"] })), a, b: ok, c: ok }, providers: two },
        `workflow w { call before
          pipeline flow { over = p max_parallel = 1 call a call b { if = a.deep } call c { if = before.m } } }`
      )
      expect(end.outline.slice(2)).toEqual([
        "/pipeline:flow/t:2/a completed",
        "/pipeline:flow/t:2/b skipped",
        "/pipeline:flow/t:2/c skipped",
        "/pipeline:flow/t:1/a completed",
        "/pipeline:flow/t:1/b completed",
        "/pipeline:flow/t:1/c skipped"
      ])
      expect(end.step("/pipeline:flow/t:2/b")).toMatchObject({ condition: "a.deep", conditionMet: false })
      expect(end.items.map(({ id, output }) => [id, output])).toEqual([
        ["2", { n: 1 }],
        ["1", null]
      ])
    })
  )

  it.live("ends an item's chain at a call that fails; every option of a call holds", () =>
    Effect.gen(function* () {
      const seen: Array<string | undefined> = []
      const a = action((call) => {
        if (idOf(call) === "1") throw new Error("no")
        return {}
      })
      const fix = action(({ variables }) => {
        seen.push(`${variables["failed_step"]} ${variables["item.id"]}`)
        return {}
      })
      const end = yield* runIn(
        { actions: { a, fix, b: ok }, providers: two },
        `workflow w { pipeline flow { over = p max_parallel = 1 call a { retries = 1 on_fail = fix } call b } }`
      )
      expect(end.outline).toEqual([
        "/pipeline:flow failed",
        "/pipeline:flow/t:2/a completed",
        "/pipeline:flow/t:2/b completed",
        "/pipeline:flow/t:1/a failed",
        "/pipeline:flow/t:1/a/on_fail completed"
      ])
      expect(end.step("/pipeline:flow/t:1/a").attempts).toHaveLength(2)
      expect(statuses(end.items)).toEqual(["2 completed", "1 failed"])
      expect(end.items[1]?.error).toBe("a: 'a' threw: no")
      expect(end.run.error).toBe("pipeline:flow: pipeline 'flow': 1 of 2 items failed")
      expect(seen).toEqual(["a 1"])
    })
  )

  it.live("goes on behind a call with on_fail = continue", () =>
    Effect.gen(function* () {
      const a: Executor = () => Effect.fail(new ActionFailed({ message: "no" }))
      const end = yield* runIn(
        { actions: { a, b: ok }, providers: two },
        "workflow w { pipeline flow { over = p max_parallel = 2 call a { on_fail = continue } call b } }"
      )
      expect(end.run.status).toBe("completed")
      expect(statuses(end.items)).toEqual(["2 completed", "1 completed"])
    })
  )

  it.live("with halt interrupts the other items, whose steps end cancelled, and starts no more", () =>
    Effect.gen(function* () {
      const begun = Deferred.unsafeMake<void>(FiberId.none)
      const a: Executor = (call) => {
        if (idOf(call) === "1") return Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
        return Effect.zipRight(Deferred.await(begun), Effect.fail(new ActionFailed({ message: "no" })))
      }
      const items = ["1", "2", "3"].map((id) => item(id))
      const end = yield* runIn(
        { actions: { a }, providers: { p: provider(...items) } },
        "workflow w { pipeline flow { over = p max_parallel = 2 on_child_fail = halt call a } }"
      )
      expect(statuses(end.items)).toEqual(["1 cancelled", "2 failed", "3 pending"])
      expect(end.step("/pipeline:flow/t:1/a")).toMatchObject({ status: "cancelled", error: "fail_fast" })
      expect(end.outline).toHaveLength(3)
    })
  )

  it.live("is cancelled with its run", () =>
    Effect.gen(function* () {
      const begun = Deferred.unsafeMake<void>(FiberId.none)
      const a: Executor = () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const id = yield* start("workflow w { pipeline flow { over = p max_parallel = 1 call a } }")
          yield* Deferred.await(begun)
          yield* Client.cancel(id)
          return yield* awaitEnd(id, watched)
        })
      ).pipe(Effect.provide(layerOf({ actions: { a }, providers: two })))
      expect(end.outline).toEqual(["/pipeline:flow cancelled", "/pipeline:flow/t:2/a cancelled"])
      expect(statuses(end.items)).toEqual(["2 cancelled", "1 pending"])
    })
  )

  it.live("resumed after its failure keeps what completed, and goes on in each chain where it failed", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      let broken = true
      const note: Executor = (call) => {
        calls.push(`${call.name}${idOf(call)}`)
        const fails = broken && call.name === "b" && idOf(call) === "1"
        return fails ? Effect.fail(new ActionFailed({ message: "no" })) : Effect.succeed({})
      }
      const end = yield* Effect.scoped(
        Effect.gen(function* () {
          const engine = yield* Engine
          const watched = yield* watch
          const id = yield* start("workflow w { pipeline flow { over = p max_parallel = 1 call a call b call c } }")
          expect((yield* awaitEnd(id, watched)).run.status).toBe("failed")
          calls.length = 0
          broken = false
          yield* resume(id)
          return yield* engine.await(id)
        })
      ).pipe(Effect.provide(layerOf({ actions: { a: note, b: note, c: note }, providers: two })))
      expect(end.status).toBe("completed")
      expect(calls).toEqual(["b1", "c1"])
    })
  )
})
