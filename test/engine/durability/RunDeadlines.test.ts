/**
 * Deadlines that count on whatever becomes of a run: its own, and those of steps that wait for children.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { Executor } from "../../../src/action/Action.ts"
import * as Client from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { EngineConfig } from "../../../src/engine/EngineConfig.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import { resume } from "../../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { RunRecord } from "../../../src/persistence/Records.ts"
import * as Workflow from "../../../src/program/Workflow.ts"
import { loseEngines } from "../../../src/testing/ProgramRunner.ts"
import { readTree } from "../../../src/testing/RecordComparison.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { action, definitionOf, failing, type World } from "../TestEngine.ts"
import { outline, untilStatus, untilStep, virtualLayer } from "./support.ts"

const ok = action(() => ({}))
const minute = 60_000
const error = "the run timed out after 60000 ms"

const start = (text: string) =>
  Effect.flatMap(WorkflowFiles, (files) =>
    Effect.orDie(files.start(definitionOf(text), { settings: { runTimeout: minute } }))
  )

const scenario = <A, E>(world: World, body: Effect.Effect<A, E, Engine | WorkflowFiles | Persistence>) =>
  withVirtualClock(Effect.provide(body, virtualLayer(world)))

const engineOn = (store: PersistenceService, world: World) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const services = yield* Layer.buildWithScope(virtualLayer(world, store), scope)
    return { services, engine: Context.get(services, Engine), close: Scope.close(scope, Exit.void) }
  })

const took = (run: RunRecord): number => (run.endedAt ?? 0) - (run.startedAt ?? 0)

/** It ended when its time was over, not a moment before and not much later. */
const expectInTime = (run: RunRecord): void => {
  expect(took(run)).toBeGreaterThanOrEqual(minute)
  expect(took(run)).toBeLessThan(minute + 6_000)
}

describe("the timeout of a run", () => {
  const hang: Executor = () => Effect.never

  for (const [state, text, world] of [
    ["a call is at work", "workflow w { call a call hang call b always { call clean } }", {}],
    [
      "it waits between attempts",
      `workflow w { call bad { retries = 1 retry_delay = "1h" } always { call clean } }`,
      {}
    ],
    ["it waits at a gate, let go", "workflow w { gate human_review {} call b always { call clean } }", {}],
    ["a block is at work", "workflow w { parallel { call a call hang } always { call clean } }", {}],
    [
      "its child is at work",
      "workflow w { call workflow sub always { call clean } }",
      { workflows: ["workflow sub { call hang always { call clean } }"] }
    ],
    [
      "its child waits at a gate, both let go",
      "workflow w { call workflow sub always { call clean } }",
      { workflows: ["workflow sub { gate human_review {} always { call clean } }"] }
    ]
  ] as const) {
    it.live(`ends it failed while ${state}; always runs`, () => {
      const cleaned: Array<string> = []
      const clean = action((call) => {
        cleaned.push(call.variables["workflow_status"] ?? "")
        return {}
      })
      return scenario(
        { actions: { a: ok, b: ok, bad: failing("no"), hang, clean }, settings: { linger: 5 }, ...world },
        Effect.gen(function* () {
          const engine = yield* Engine
          const id = yield* start(text)
          const run = yield* engine.await(id)
          expect(run).toMatchObject({ status: "failed", error, blockedOn: [] })
          expectInTime(run)
          const tree = yield* readTree(id)
          const children = tree.runs.filter(({ run }) => run.depth === 1)
          expect(children.map(({ run }) => run.status)).toEqual(children.map(() => "cancelled"))
          expect(cleaned).toEqual([...children.map(() => "cancelled"), "failed"])
        })
      )
    })
  }

  it.live("does not count before the run begins, nor in its always block: the body's outcome stands", () => {
    const slow: Executor = () => Effect.as(Effect.sleep(3 * minute), {})
    return scenario(
      { actions: { a: ok, slow } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const id = yield* start("workflow w { call a always { call slow } }")
        const run = yield* engine.await(id)
        expect(run).toMatchObject({ status: "completed", error: null })
        expect(took(run)).toBeGreaterThan(2 * minute)
      })
    )
  })

  it.live("does not end a run again whose engine died in its always block", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const memory = yield* MemoryPersistence.make()
        const began = Deferred.unsafeMake<void>(FiberId.none)
        const clean: Executor = () => Effect.zipRight(Deferred.succeed(began, undefined), Effect.never)
        const one = yield* engineOn(memory.service, { actions: { a: ok, clean } })
        const id = yield* Effect.provide(start("workflow w { call a always { call clean } }"), one.services)
        yield* Deferred.await(began)
        const copy = yield* MemoryPersistence.make({ from: memory.snapshot() })
        yield* loseEngines(copy.service)
        yield* Effect.sleep(2 * minute)
        const two = yield* engineOn(copy.service, { actions: { a: ok, clean: ok } })
        expect(yield* two.engine.await(id)).toMatchObject({ status: "completed", error: null })
        yield* two.close
      })
    )
  )

  it.live("is a point in time: a restart neither gives more nor less", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const world: World = { actions: { hang } }
        const one = yield* engineOn(store, world)
        const id = yield* Effect.provide(start("workflow w { call hang }"), one.services)
        yield* Effect.provide(untilStep(id, "/hang", "running"), one.services)
        yield* Effect.sleep(minute / 2)
        yield* one.close
        yield* Effect.sleep(minute / 4)
        const two = yield* engineOn(store, world)
        const run = yield* two.engine.await(id)
        expect(run).toMatchObject({ status: "failed", error })
        expectInTime(run)
        yield* two.close
      })
    )
  )

  it.live("that passed while no engine ran lets nothing of the body begin", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const begun: Array<string> = []
        const note: Executor = (call) =>
          Effect.zipRight(
            Effect.sync(() => begun.push(call.name)),
            Effect.never
          )
        const one = yield* engineOn(store, { actions: { a: note } })
        const id = yield* Effect.provide(start("workflow w { call a }"), one.services)
        yield* Effect.provide(untilStep(id, "/a", "running"), one.services)
        yield* one.close
        yield* Effect.sleep(2 * minute)
        const two = yield* engineOn(store, { actions: { a: note } })
        expect(yield* two.engine.await(id)).toMatchObject({ status: "failed", error })
        expect(begun).toEqual(["a"])
        yield* two.close
      })
    )
  )

  it.live("begins anew when a run that it ended is resumed, and is a point in time again", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const text = "workflow w { call a gate human_review {} }"
        const world: World = { actions: { a: ok }, settings: { linger: 5 } }
        const one = yield* engineOn(store, world)
        const id = yield* Effect.provide(start(text), one.services)
        expect(yield* one.engine.await(id)).toMatchObject({ status: "failed", error })
        yield* Effect.sleep(10 * minute)
        const resumed = (yield* store.get(id)).endedAt ?? 0
        yield* Effect.provide(resume(id), one.services)
        yield* Effect.provide(untilStatus(id, "waiting"), one.services)
        yield* Effect.sleep(minute / 2)
        yield* one.close
        const two = yield* engineOn(store, world)
        const again = yield* two.engine.await(id)
        expect(again).toMatchObject({ status: "failed", error, epoch: 2 })
        const since = (again.endedAt ?? 0) - resumed - 10 * minute
        expect(since).toBeGreaterThanOrEqual(minute)
        expect(since).toBeLessThan(minute + 6_000)
        yield* Effect.provide(resume(id), two.services)
        yield* Effect.provide(untilStatus(id, "waiting"), two.services)
        yield* Effect.provide(Client.answer(id, { approved: true }), two.services)
        expect(yield* two.engine.await(id)).toMatchObject({ status: "completed", error: null, epoch: 3 })
        yield* two.close
      })
    )
  )

  it.live("of a code workflow is its own, for its runs and for those that are children", () =>
    Effect.gen(function* () {
      const store = (yield* MemoryPersistence.make()).service
      const Nap = Workflow.make("nap", { payload: Schema.Void, timeout: "300 millis" })
      const Outer = Workflow.make("outer", { payload: Schema.Void, success: Schema.String })
      const layer = Layer.mergeAll(
        Nap.toLayer(() => Workflow.sleep("1 hour")),
        Outer.toLayer(() =>
          Workflow.child(Nap, undefined).pipe(
            Effect.as("done"),
            Effect.catchTag("WorkflowFailed", ({ reason }) => Effect.succeed(reason))
          )
        )
      ).pipe(
        Layer.provideMerge(Engine.layer),
        Layer.provideMerge(Layer.succeed(Persistence, store)),
        Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10 }))
      )
      yield* Effect.gen(function* () {
        const failure = yield* Effect.flip(Nap.execute(undefined))
        expect(failure).toMatchObject({ _tag: "WorkflowFailed", reason: "the run timed out after 300 ms" })
        expect(yield* Outer.execute(undefined)).toContain("the run timed out after 300 ms")
        expect(Nap.timeout).toBe(Duration.toMillis("300 millis"))
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("the timeout of a step that calls a workflow", () => {
  it.live("ends it while its run is let go, with the child", () =>
    scenario(
      {
        workflows: ["workflow ask { gate human_review {} always { call clean } }"],
        actions: { clean: ok },
        settings: { linger: 5 }
      },
      Effect.gen(function* () {
        const engine = yield* Engine
        const files = yield* WorkflowFiles
        const text = `workflow w { call workflow ask { timeout = "1m" retries = 1 } }`
        const id = yield* Effect.orDie(files.start(definitionOf(text)))
        const run = yield* engine.await(id)
        expect(run.error).toBe("workflow:ask: timed out after 60000 ms")
        expect(took(run)).toBeGreaterThanOrEqual(2 * minute)
        expect(took(run)).toBeLessThan(2 * minute + 6_000)
        expect(outline(yield* readTree(id))).toEqual([
          "w failed: workflow:ask: timed out after 60000 ms",
          "w /workflow:ask timed_out",
          "ask cancelled: parent cancelled",
          "ask /human_review cancelled",
          "ask /@always/clean completed",
          "ask cancelled: parent cancelled",
          "ask /human_review cancelled",
          "ask /@always/clean completed"
        ])
      })
    )
  )
})
