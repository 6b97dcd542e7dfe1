/**
 * Children and items that somebody left running: after a crash, and when an engine is shut down while it ends them.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Scope from "effect/Scope"
import { ActionFailed, type Executor } from "../../../src/action/Action.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import type { StartOptions } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import type { PersistenceService } from "../../../src/persistence/Persistence.ts"
import { recordingStates } from "../../../src/testing/CrashStates.ts"
import { loseEngines } from "../../../src/testing/ProgramRunner.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { action, start, type World } from "../TestEngine.ts"
import { untilStep, virtualLayer } from "./support.ts"

const engineOn = (store: PersistenceService, world: World) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const services = yield* Layer.buildWithScope(virtualLayer(world, store), scope)
    return { services, engine: Context.get(services, Engine), close: Scope.close(scope, Exit.void) }
  })

const on = <A, E>(body: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Logger.withMinimumLogLevel(withVirtualClock(body), LogLevel.None)

const ok = action(() => ({}))
const hang: Executor = () => Effect.never

describe("items that a crash left running", () => {
  const text = `workflow w {
    call items
    foreach each { over = json scope = { from = "items.list" } max_parallel = 2 ordered = true workflow = item }
  }`
  const items = action(() => ({
    structuredOutput: {
      list: [{ id: "p", blocked_by: ["e"] }, { id: "q", blocked_by: ["e"] }, { id: "e" }, { id: "r" }]
    }
  }))
  /** Notes the items that it is called for; of those that hang none ends. */
  const noting =
    (seen: Array<string>, hangs: (item: string) => boolean): Executor =>
    ({ variables }) =>
      Effect.suspend(() => {
        const item = variables["item.id"] ?? ""
        seen.push(item)
        return hangs(item) ? Effect.never : Effect.succeed({})
      })

  it.live("keep their places among those that may be at work at once, before any that came to be free since", () =>
    on(
      Effect.gen(function* () {
        const memory = yield* MemoryPersistence.make()
        const before: Array<string> = []
        const after: Array<string> = []
        const world = (seen: Array<string>): World => ({
          workflows: ["workflow item { call work }"],
          actions: { items, work: noting(seen, (item) => item !== "e") }
        })
        const one = yield* engineOn(memory.service, world(before))
        const id = yield* Effect.provide(start(text), one.services)
        yield* Effect.provide(untilStep(id, "/work", "running", 2), one.services)
        yield* Effect.sleep(1_000)
        expect(before).toEqual(["e", "r", "p"])
        const copy = yield* MemoryPersistence.make({ from: memory.snapshot() })
        yield* loseEngines(copy.service)
        const two = yield* engineOn(copy.service, world(after))
        yield* Effect.sleep(10_000)
        expect([...after].sort()).toEqual(["p", "r"])
        yield* one.close
        yield* two.close
      })
    )
  )

  it.live("and those that are left come in the order of their places, before and after a crash", () =>
    on(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const seen: Array<string> = []
        const one = yield* engineOn(store, {
          workflows: ["workflow item { call work }"],
          actions: { items, work: noting(seen, () => false) }
        })
        const id = yield* Effect.provide(start(text.replace("max_parallel = 2", "max_parallel = 1")), one.services)
        expect((yield* one.engine.await(id)).status).toBe("completed")
        expect(seen).toEqual(["e", "p", "q", "r"])
        yield* one.close
      })
    )
  )
})

describe("a fan-out that halts for a child which ended before it was heard of", () => {
  // The item beside it was stopped before its turn came to take up its child again: nobody ended that.
  it.live("ends the children that a crash left running before it ends itself, wherever the crash was", () =>
    on(
      Effect.gen(function* () {
        const memory = yield* MemoryPersistence.make()
        const recording = recordingStates(memory, () => undefined)
        const items = action(() => ({ structuredOutput: { list: [{ id: "p" }, { id: "q" }] } }))
        const work: Executor = ({ variables }) =>
          variables["item.id"] === "p"
            ? Effect.zipRight(Effect.sleep(100), Effect.fail(new ActionFailed({ message: "no" })))
            : Effect.never
        const world: World = { workflows: ["workflow item { call work }"], actions: { items, work } }
        const halting = `workflow w {
          call items
          foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = item on_child_fail = halt }
        }`
        const one = yield* engineOn(recording.service, world)
        const id = yield* Effect.provide(start(halting), one.services)
        expect((yield* one.engine.await(id)).status).toBe("failed")
        yield* one.close
        let resumed = 0
        for (const { snapshot } of recording.states()) {
          const { service } = yield* MemoryPersistence.make({ from: snapshot })
          if ((yield* service.list({ limit: 1 })).length === 0) continue
          yield* loseEngines(service)
          const two = yield* engineOn(service, world)
          expect((yield* two.engine.await(id)).status).toBe("failed")
          const runs = yield* service.list({ limit: 10 })
          expect(runs.filter(({ endedAt }) => endedAt === null)).toEqual([])
          resumed += runs.length === 3 ? 1 : 0
          yield* two.close
        }
        expect(resumed).toBeGreaterThan(3)
      })
    )
  )
})

// A shutdown cuts off the wait for a child's end: what the child left was then recorded as ended all the same, and the
// run ended before its child.
describe("an engine that is shut down while it ends a child leaves that to the next one", () => {
  const cases: ReadonlyArray<readonly [string, string, StartOptions]> = [
    [
      "of a foreach whose run's time is over",
      'workflow w { call items foreach each { over = json scope = { from = "items.list" } max_parallel = 1 workflow = sub } }',
      { settings: { runTimeout: 1_000 } }
    ],
    ["of a step whose run's time is over", "workflow w { call workflow sub }", { settings: { runTimeout: 1_000 } }],
    ["of a step whose own time is over", 'workflow w { call workflow sub { timeout = "1s" } }', {}]
  ]
  for (const [name, text, options] of cases) {
    it.live(name, () =>
      on(
        Effect.gen(function* () {
          const store = (yield* MemoryPersistence.make()).service
          const world: World = {
            workflows: ["workflow sub { call hang always { call slow } }"],
            actions: {
              items: action(() => ({ structuredOutput: { list: ["p"] } })),
              hang,
              slow: () => Effect.as(Effect.sleep(5_000), {}),
              ok
            }
          }
          const one = yield* engineOn(store, world)
          const id = yield* Effect.provide(start(text, options), one.services)
          yield* Effect.provide(untilStep(id, "/@always/slow", "running"), one.services)
          yield* one.close
          const two = yield* engineOn(store, world)
          expect((yield* two.engine.await(id)).status).toBe("failed")
          const [child] = yield* store.list({ parent: id, limit: 10 })
          expect(child?.status).toBe("cancelled")
          yield* two.close
        })
      )
    )
  }
})
