/**
 * Runs that wait: recorded, let go, and gone on with (design.md, "Letting go while waiting"; W1–W3).
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Executor } from "../../../src/action/Action.ts"
import { answer, AmbiguousGate } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { RunId, RunStatus } from "../../../src/persistence/Records.ts"
import { intercept } from "../../../src/testing/CrashPoints.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { action, definitionOf, failing, type World } from "../TestEngine.ts"
import { untilStatus, untilStep, virtualLayer } from "./support.ts"

const ok = action(() => ({}))
const minute = 60_000

const start = (text: string) => Effect.flatMap(WorkflowFiles, (files) => Effect.orDie(files.start(definitionOf(text))))

const scenario = <A, E>(world: World, body: Effect.Effect<A, E, Engine | WorkflowFiles | Persistence>) =>
  withVirtualClock(Effect.provide(body, virtualLayer(world)))

/** Builds an engine on a store, and closes it when asked. */
const engineOn = (store: PersistenceService, world: World) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const services = yield* Layer.buildWithScope(virtualLayer(world, store), scope)
    return { services, engine: Context.get(services, Engine), close: Scope.close(scope, Exit.void) }
  })

const untilGone = Effect.gen(function* () {
  const engine = yield* Engine
  while ((yield* engine.resident).length > 0) yield* Effect.sleep(1)
})

describe("a run that waits at a gate", () => {
  it.live("is let go: no fiber, no deadline, no owner; answered, it goes on", () =>
    scenario(
      { actions: { a: ok }, settings: { linger: 1_000 } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        yield* Effect.sleep(1)
        const before = { ...(yield* engine.stats), fibers: (yield* Fiber.roots).length }
        const runs = yield* Effect.forEach(Array.from({ length: 50 }), () =>
          start("workflow w { gate human_review {} call a }")
        )
        for (const run of runs) yield* untilStatus(run, "waiting")
        expect((yield* engine.stats).residents).toBe(50)
        yield* untilGone
        expect({ ...(yield* engine.stats), fibers: (yield* Fiber.roots).length }).toEqual(before)
        for (const run of runs) {
          const record = yield* persistence.get(run)
          expect(record).toMatchObject({ status: "waiting", owner: null })
          expect(record.readyAt).toBe((record.startedAt ?? 0) + 24 * 60 * minute)
        }
        yield* Effect.forEach(runs, (run) => answer(run, { approved: true }))
        for (const run of runs) expect((yield* engine.await(run)).status).toBe("completed")
      })
    )
  )

  it.live("is let go at once where too many wait", () =>
    scenario(
      { settings: { linger: 60 * minute, maxResident: 2 } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const runs = yield* Effect.forEach([1, 2, 3, 4], () => start("workflow w { gate human_review {} }"))
        for (const run of runs) yield* untilStatus(run, "waiting")
        yield* Effect.sleep(100)
        expect((yield* engine.resident).length).toBe(2)
      })
    )
  )

  it.live("has its timeout counted from when it first waited, also across restarts", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const world = { actions: { a: ok } }
        const one = yield* engineOn(store, world)
        const run = yield* Effect.provide(
          start(`workflow w { gate human_review { timeout = "10m" on_timeout = continue } call a }`),
          one.services
        )
        yield* Effect.provide(untilStatus(run, "waiting"), one.services)
        yield* Effect.sleep(3 * minute)
        yield* one.close
        yield* Effect.sleep(3 * minute)
        const two = yield* engineOn(store, world)
        const end = yield* two.engine.await(run)
        expect(end.status).toBe("completed")
        const taken = (end.endedAt ?? 0) - (end.startedAt ?? 0)
        expect(taken).toBeGreaterThanOrEqual(10 * minute)
        expect(taken).toBeLessThan(10 * minute + 100)
        yield* two.close
      })
    )
  )

  it.live("asks its resolver again and again, let go in between", () => {
    let asked = 0
    const resolver = () =>
      Effect.sync(() => {
        asked += 1
        return asked < 4 ? ({ _tag: "Pending" } as const) : ({ _tag: "Approved" } as const)
      })
    return scenario(
      { actions: { a: ok }, gates: { pr_checks: resolver } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const run = yield* start("workflow w { gate pr_checks {} call a }")
        yield* untilStatus(run, "waiting")
        yield* Effect.sleep(1_000)
        expect(yield* engine.resident).toEqual([])
        const end = yield* engine.await(run)
        expect(end.status).toBe("completed")
        expect(asked).toBe(4)
        expect((end.endedAt ?? 0) - (end.startedAt ?? 0)).toBeGreaterThanOrEqual(15_000)
      })
    )
  })

  it.live("takes the first answer; a second one is told so", () =>
    scenario(
      { settings: { linger: 10 } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { gate human_review {} }")
        yield* untilStatus(run, "waiting")
        const both = yield* Effect.all(
          [Effect.exit(answer(run, { approved: true })), Effect.exit(answer(run, { approved: false }))],
          { concurrency: 2 }
        )
        expect(both.map((exit) => exit._tag)).toEqual(["Success", "Failure"])
        expect((yield* Effect.flatMap(Engine, (engine) => engine.await(run))).status).toBe("completed")
      })
    )
  )
})

describe("a pause before a retry", () => {
  it.live("is a row: it survives a restart, is waited out once, and uses up no attempt", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const began: Array<number> = []
        const flaky: Executor = (call) =>
          Effect.flatMap(Effect.clock, (clock) => {
            began.push(clock.unsafeCurrentTimeMillis())
            return call.attempt < 3 ? failing("no")(call) : Effect.succeed({})
          })
        const world = { actions: { flaky } }
        const one = yield* engineOn(store, world)
        const run = yield* Effect.provide(
          start(`workflow w { call flaky { retries = 2 retry_delay = "10m" jitter = true } }`),
          one.services
        )
        yield* Effect.provide(untilStatus(run, "waiting"), one.services)
        const until = (yield* store.steps(run))[0]?.wakeAt ?? 0
        expect(until - (began[0] ?? 0)).toBeGreaterThanOrEqual(5 * minute)
        yield* Effect.sleep(minute)
        yield* one.close
        yield* Effect.sleep(minute)
        const two = yield* engineOn(store, world)
        expect((yield* two.engine.await(run)).status).toBe("completed")
        expect(began.length).toBe(3)
        expect(began[1]).toBeGreaterThanOrEqual(until)
        expect(began[1]).toBeLessThan(until + 100)
        yield* two.close
      })
    )
  )
})

describe("a parent", () => {
  const world = { workflows: ["workflow ask { gate human_review {} call a }"], actions: { a: ok } }

  it.live("waits while its child waits, says at what, and is answered through it", () =>
    scenario(
      world,
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const run = yield* start("workflow w { call workflow ask call a }")
        yield* untilStatus(run, "waiting")
        const { blockedOn } = yield* persistence.get(run)
        expect(blockedOn.map((on) => `${on._tag} ${on.name}`)).toEqual(["gate human_review"])
        expect(blockedOn[0]?.run).not.toBe(run)
        yield* untilGone
        const answered = yield* answer(run, { approved: true })
        expect(answered.run).toBe(blockedOn[0]?.run)
        expect(yield* engine.await(run)).toMatchObject({ status: "completed", blockedOn: [] })
      })
    )
  )

  it.live("is running while any child runs, and lists those that wait in either case", () => {
    const work: Executor = (call) =>
      call.variables["item.id"] === "p" ? Effect.as(Effect.sleep(2_000), {}) : Effect.succeed({})
    return scenario(
      {
        workflows: ["workflow item { call work gate human_review {} }"],
        actions: { items: action(() => ({ structuredOutput: { list: ["p", "q"] } })), work }
      },
      Effect.gen(function* () {
        const persistence = yield* Persistence
        const run = yield* start(
          `workflow w { call items foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = item } }`
        )
        yield* untilStep(run, "/human_review", "waiting")
        yield* Effect.sleep(1_000)
        const one = yield* persistence.get(run)
        expect([one.status, one.blockedOn.length]).toEqual(["running", 1])
        yield* untilStatus(run, "waiting")
        expect((yield* persistence.get(run)).blockedOn.length).toBe(2)
        const ambiguous = yield* Effect.flip(answer(run, { approved: true }))
        expect(ambiguous).toBeInstanceOf(AmbiguousGate)
      })
    )
  })

  // It is running as long as items are left, and took the only place: its child, let go at a gate and answered, was
  // never taken up again.
  it.live("leaves its place to its children, however few runs may be going at once", () =>
    scenario(
      {
        workflows: ["workflow item { gate human_review {} call work }"],
        actions: { items: action(() => ({ structuredOutput: { list: ["p", "q"] } })), work: action(() => ({})) },
        settings: { maxConcurrentRuns: 1 }
      },
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const run = yield* start(
          `workflow w { call items foreach each { over = json scope = { from = "items.list" } max_parallel = 1 workflow = item } }`
        )
        for (const at of ["p", "q"]) {
          yield* untilStep(run, "/human_review", "waiting", 1)
          const [child] = yield* persistence.list({ status: ["waiting"], parent: run, limit: 1 })
          if (child !== undefined) yield* engine.awaitRelease(child.id)
          yield* answer(run, { approved: true, feedback: at })
          yield* untilStep(run, "/work", "completed", at === "p" ? 1 : 2)
        }
        expect((yield* engine.await(run)).status).toBe("completed")
      })
    )
  )

  // The timer was gone with the run's fibers: it waited until the child did not.
  it.live("has the timeout of its call counted while it is let go, from when the call began", () =>
    scenario(
      { workflows: ["workflow sub { gate human_review {} }"] },
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const run = yield* start(`workflow w { call workflow sub { timeout = "10m" retries = 1 } }`)
        const { createdAt } = yield* persistence.get(run)
        yield* engine.awaitRelease(run)
        expect(yield* persistence.get(run)).toMatchObject({ status: "waiting", readyAt: createdAt + 10 * minute })
        const end = yield* engine.await(run)
        expect(end).toMatchObject({ status: "failed", endedAt: createdAt + 20 * minute })
        const [step] = yield* persistence.steps(run)
        const ended = step?.attempts.filter(({ outcome }) => outcome !== "lost")
        expect(ended?.map(({ number, outcome }) => [number, outcome])).toEqual([
          [1, "timed_out"],
          [2, "timed_out"]
        ])
        const children = yield* persistence.list({ parent: run, limit: 3 })
        expect(children.map(({ status }) => status)).toEqual(["cancelled", "cancelled"])
      })
    )
  )

  it.live("changes its status as often as what it waits for does, not more", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const memory = yield* MemoryPersistence.make()
        const seen = new Map<RunId, Array<RunStatus>>()
        const watched = intercept(memory.service, {
          read: (effect) => effect,
          write: (_name, effect) =>
            Effect.tap(effect, () =>
              Effect.map(Effect.orDie(memory.service.list({ limit: 9 })), (runs) => {
                for (const { id, status } of runs) {
                  const all = seen.get(id) ?? []
                  if (all.at(-1) !== status) seen.set(id, [...all, status])
                }
              })
            )
        })
        const one = yield* engineOn(watched, world)
        const run = yield* Effect.provide(start("workflow w { call workflow ask call a }"), one.services)
        yield* Effect.provide(untilStatus(run, "waiting"), one.services)
        yield* Effect.sleep(minute)
        yield* Effect.provide(answer(run, { approved: true }), one.services)
        yield* one.engine.await(run)
        const family = [...seen.keys()].sort((id) => (id === run ? -1 : 1)).map((id) => seen.get(id))
        // The first commit of a run that is asked for creates it; a child is created by its parent's.
        expect(family).toEqual([
          ["running", "waiting", "running", "completed"],
          ["pending", "running", "waiting", "running", "completed"]
        ])
        yield* one.close
      })
    )
  )
})

describe("the events of a run", () => {
  it.live("come after the write that they tell of, in the order of what happened", () =>
    scenario(
      { actions: { a: ok, clean: ok } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const seen: Array<string> = []
        const stream = yield* engine.events()
        const ended = yield* Effect.fork(
          Stream.runForEachWhile(stream, (event) =>
            Effect.gen(function* () {
              if (event._tag === "EventsMissed") return true
              seen.push("step" in event ? `${event._tag} ${event.step}` : event._tag)
              if (event._tag === "StepCompleted") {
                const steps = yield* Effect.orDie(persistence.steps(event.run))
                expect(steps.find((step) => step.path === event.path)?.status).toBe(event.status)
              }
              return event._tag !== "RunCompleted"
            })
          )
        )
        const run = yield* start("workflow w { call a gate human_review {} always { call clean } }")
        yield* untilStatus(run, "waiting")
        yield* untilGone
        yield* answer(run, { approved: true })
        yield* Fiber.join(ended)
        expect(seen).toEqual([
          "RunStarted",
          "StepStarted a",
          "StepCompleted a",
          "StepStarted human_review",
          "GateWaiting human_review",
          "RunWaiting",
          "RunResumed",
          "GateResolved human_review",
          "StepCompleted human_review",
          "StepStarted clean",
          "StepCompleted clean",
          "MetricsUpdated",
          "RunCompleted"
        ])
      }).pipe(Effect.scoped)
    )
  )
})
