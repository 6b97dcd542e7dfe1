/**
 * New runs from the beginnings of others (engine/Fork, V1–V4).
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { type ActionCall, ActionFailed, type Executor } from "../../../src/action/Action.ts"
import { ChildRunner, otherEngine } from "../../../src/engine/ChildRunner.ts"
import * as Client from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { EngineConfig } from "../../../src/engine/EngineConfig.ts"
import { WorkflowFiles, type StartOptions } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import { fork, resume } from "../../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { RunId } from "../../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import * as Workflow from "../../../src/program/Workflow.ts"
import { crashing } from "../../../src/testing/CrashPoints.ts"
import { readTree } from "../../../src/testing/RecordComparison.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { temporaryDatabase } from "../../persistence/support.ts"
import { definitionOf, engineLayer, type World } from "../TestEngine.ts"
import { outline, untilStatus, untilStep, virtualLayer } from "./support.ts"

/** What actions do, changed between the runs of a test, and what they did. */
class Stage {
  readonly failing = new Set<string>()
  readonly hanging = new Set<string>()
  readonly log: Array<string> = []
  readonly calls: Array<ActionCall> = []
  readonly outputs: Record<string, object> = {}

  readonly executor: Executor = (call) =>
    Effect.suspend(() => {
      const item = call.variables["item.id"]
      const name = item === undefined || item === "" ? call.name : `${call.name} ${item}`
      this.log.push(name)
      this.calls.push(call)
      if (this.hanging.has(name)) return Effect.never
      if (this.failing.has(name)) return Effect.fail(new ActionFailed({ message: `${name} fails` }))
      return Effect.succeed({ context: name, ...this.outputs[call.name] })
    })

  /** What was done since the last time. */
  get done(): ReadonlyArray<string> {
    return this.log.splice(0)
  }
}

const scenario = <A, E>(
  body: (stage: Stage) => Effect.Effect<A, E, Engine | WorkflowFiles | Persistence>,
  world: World = {},
  store?: PersistenceService
) => {
  const stage = new Stage()
  return withVirtualClock(Effect.provide(body(stage), virtualLayer({ fallback: stage.executor, ...world }, store)))
}

const start = (text: string, options: StartOptions = {}) =>
  Effect.flatMap(WorkflowFiles, (files) => Effect.orDie(files.start(definitionOf(text), options)))

const run = (text: string, options: StartOptions = {}) => Effect.flatMap(start(text, options), endOf)

const endOf = (id: RunId) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const record = yield* engine.await(id)
    const tree = yield* readTree(id)
    const steps = tree.runs.find(({ run }) => run.id === id)?.steps ?? []
    return { id, run: record, tree, steps, outline: outline(tree).slice(1) }
  })

/** Forks a run, sees that it is as it was, and waits for the fork's end. */
const forked = (of: RunId, fromStep: string) =>
  Effect.gen(function* () {
    const before = yield* readTree(of)
    // Ids are in the order of creation.
    yield* Effect.sleep(2)
    const id = yield* fork(of, { fromStep })
    const end = yield* endOf(id)
    expect(yield* readTree(of)).toEqual(before)
    return end
  })

const three = "workflow w { inputs { x default = 1 } call a call b call c always { call clean } }"

describe("a fork", () => {
  it.live("keeps what stands in front of the step, and does it and all that follows", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.outputs["a"] = { metadata: { num_turns: "3" } }
        stage.outputs["b"] = { metadata: { num_turns: "5" } }
        const first = yield* run(three, { inputs: { x: "2" }, target: "main", settings: { model: "large" } })
        expect(stage.done).toEqual(["a", "b", "c", "clean"])
        const second = yield* forked(first.id, "b")
        expect(stage.done).toEqual(["b", "c", "clean"])
        const { definition, inputs, settings, target, title, trigger } = first.run
        expect(second.run).toMatchObject({ definition, inputs, settings, target, title, trigger })
        expect(second.run).toMatchObject({ parent: null, root: second.id, depth: 0, idempotencyKey: null })
        expect(second.run).toMatchObject({ status: "completed", totals: { num_turns: 8 }, result: first.run.result })
        expect(second.outline).toEqual([
          "w /a completed",
          "w /b completed",
          "w /c completed",
          "w /@always/clean completed"
        ])
        const of = (id: RunId) =>
          stage.calls.filter(({ run }) => run === id).map(({ idempotencyKey }) => idempotencyKey)
        expect(of(second.id).every((key) => key.startsWith(second.id))).toBe(true)
        expect(new Set([...of(first.id), ...of(second.id)]).size).toBe(7)
        expect(second.steps.map(({ path }) => path)).toEqual([
          "/@fork",
          "/a",
          "/b",
          "/c",
          "/@body",
          "/@always/clean",
          "/@always"
        ])
        expect(second.steps[0]?.value).toMatchObject({ run: first.id, path: "/b" })
      })
    )
  )

  it.live("of a run that failed, was cancelled, waits, is at work or is parked", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("b")
        const failed = yield* run(three)
        stage.failing.clear()
        stage.log.length = 0
        expect((yield* forked(failed.id, "b")).run.status).toBe("completed")
        expect(stage.done).toEqual(["b", "c", "clean"])

        stage.hanging.add("b")
        const cancelled = yield* start(three)
        yield* untilStep(cancelled, "/b", "running")
        stage.hanging.clear()
        stage.log.length = 0
        // While it runs.
        expect((yield* forked(cancelled, "b")).run.status).toBe("completed")
        expect(stage.done).toEqual(["b", "c", "clean"])
        yield* Client.cancel(cancelled)
        yield* endOf(cancelled)
        stage.log.length = 0
        expect((yield* forked(cancelled, "b")).run.status).toBe("completed")
        expect(stage.done).toEqual(["b", "c", "clean"])

        const waiting = yield* start("workflow w { call a gate human_review {} call b }")
        yield* untilStatus(waiting, "waiting")
        stage.log.length = 0
        const second = yield* fork(waiting, { fromStep: "human_review" })
        yield* untilStatus(second, "waiting")
        yield* Client.answer(second, { approved: true })
        expect((yield* endOf(second)).run.status).toBe("completed")
        expect(stage.done).toEqual(["b"])
        // The other one has heard of nothing.
        expect(yield* Effect.flatMap(Persistence, (it) => it.get(waiting))).toMatchObject({ status: "waiting" })
        yield* Client.pause(waiting)
        const third = yield* fork(waiting, { fromStep: "human_review" })
        yield* untilStatus(third, "waiting")
        expect(yield* Client.isPaused(third)).toBe(false)
        expect(stage.done).toEqual([])
      })
    )
  )

  it.live("of a fork, whose rows it keeps in their order", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        const first = yield* run(three)
        const second = yield* forked(first.id, "b")
        stage.log.length = 0
        const third = yield* forked(second.id, "c")
        expect(stage.done).toEqual(["c", "clean"])
        expect(third.steps[0]?.value).toMatchObject({ run: second.id, path: "/c" })
        expect(third.outline).toEqual(first.outline)
        expect(third.run.epoch).toBe(3)
      })
    )
  )

  it.live("that failed is resumed, and done again from a step, like any run", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        const first = yield* run(three)
        stage.failing.add("c")
        const second = yield* forked(first.id, "b")
        expect(second.run.status).toBe("failed")
        stage.failing.clear()
        stage.log.length = 0
        yield* resume(second.id)
        expect((yield* endOf(second.id)).run.status).toBe("completed")
        expect(stage.done).toEqual(["c", "clean"])
        yield* resume(second.id, { _tag: "From", step: "a" })
        yield* endOf(second.id)
        expect(stage.done).toEqual(["a", "b", "c", "clean"])
      })
    )
  )

  it.live("from inside a block, a loop, a condition or a pipeline keeps what stands in front of the step there", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.outputs["items"] = { structuredOutput: { list: ["p", "q"] } }
        stage.outputs["again"] = { markers: ["more"] }
        const first = yield* run(
          `workflow w {
            parallel { max_parallel = 1 call one call two call three }
            do { max_iterations = 2 on_max_iter = continue call first call again } while again.more
            if again.more { call yes call sure }
            call items
            pipeline each { over = json scope = { from = "items.list" } max_parallel = 1 call work call then }
            call last
          }`
        )
        const whole = first.outline
        const doneFrom = (step: string) =>
          Effect.gen(function* () {
            stage.log.length = 0
            const end = yield* forked(first.id, step)
            expect(end.outline).toEqual(whole)
            return stage.done
          })
        const tail = ["items", "work p", "then p", "work q", "then q", "last"]
        const loop = ["first", "again", "first", "again"]
        expect(yield* doneFrom("two")).toEqual(["two", "three", ...loop, "yes", "sure", ...tail])
        const second = first.steps.find(({ path }) => path.endsWith("@2/again"))?.path ?? ""
        expect(yield* doneFrom(second)).toEqual(["again", "yes", "sure", ...tail])
        expect(yield* doneFrom("sure")).toEqual(["sure", ...tail])
        const chain = first.steps.find(({ path }) => path.endsWith("q/work"))?.path ?? ""
        expect(yield* doneFrom(chain)).toEqual(["work q", "then q", "last"])
      })
    )
  )

  it.live("of a cancelled run does again what was cut short beside the step, not what a block had cancelled", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.failing.add("bad")
        stage.hanging.add("slow").add("slower")
        const first = yield* start(
          `workflow w {
            parallel { min_success = 1 max_parallel = 2 call good call bad call late }
            parallel { call quick call slow call slower }
            call last
          }`
        )
        yield* untilStep(first, "/parallel~2/slower", "running")
        yield* Client.cancel(first)
        yield* endOf(first)
        stage.hanging.clear()
        stage.log.length = 0
        const second = yield* forked(first, "slower")
        expect([...stage.done].sort()).toEqual(["last", "slow", "slower"])
        expect(second.outline).toEqual([
          "w /parallel/good completed",
          "w /parallel/bad failed",
          "w /parallel/late cancelled",
          "w /parallel~2/quick completed",
          "w /parallel~2/slow completed",
          "w /parallel~2/slower completed",
          "w /last completed"
        ])
      })
    )
  )

  it.live("keeps answers of gates, and what later steps see of the kept ones", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        stage.outputs["a"] = { structuredOutput: { branch: "topic" }, markers: ["go"] }
        const first = yield* start(
          `workflow w { call a gate human_review {} if a.go { call b { inputs = { at = "{{branch}} {{gate_feedback}}" } } } }`
        )
        yield* untilStatus(first, "waiting")
        yield* Client.answer(first, { approved: true, feedback: "well done" })
        yield* endOf(first)
        stage.calls.length = 0
        const second = yield* forked(first, "b")
        expect(stage.calls.map(({ variables }) => variables["at"])).toEqual(["topic well done"])
        expect(second.steps.find(({ kind }) => kind === "gate")?.gate?.answer?.feedback).toBe("well done")
      })
    )
  )
})

describe("the children of kept steps", () => {
  const world: World = { workflows: ["workflow sub { call b call workflow deep }", "workflow deep { call d }"] }

  it.live("are copied with all below them, and outlive the other run", () =>
    scenario(
      (stage) =>
        Effect.gen(function* () {
          const persistence = yield* Persistence
          stage.outputs["d"] = { metadata: { num_turns: "4" }, markers: ["deep"], context: "from below" }
          const text = "workflow w { call workflow sub if d.deep { call e } call f }"
          const first = yield* run(text)
          expect(stage.done).toEqual(["b", "d", "e", "f"])
          const second = yield* forked(first.id, "e")
          expect(stage.done).toEqual(["e", "f"])
          expect(second.run.totals.num_turns).toBe(4)
          const chain = (tree: typeof first.tree) =>
            [...tree.runs].sort((a, b) => a.run.depth - b.run.depth).map(({ run }) => run)
          const [root, sub, deep] = chain(second.tree)
          expect([root?.depth, sub?.depth, deep?.depth]).toEqual([0, 1, 2])
          expect(sub?.parent).toEqual({ run: root?.id, path: "/workflow:sub" })
          expect(deep?.parent).toEqual({ run: sub?.id, path: "/workflow:deep" })
          expect(second.tree.runs.every(({ run }) => run.root === second.id)).toBe(true)
          expect(second.steps.find(({ path }) => path === "/workflow:sub")?.childRun).toBe(sub?.id)
          expect(sub?.idempotencyKey?.startsWith(second.id)).toBe(true)
          expect(second.outline).toEqual(first.outline)
          yield* persistence.prune({ keep: 1, limit: 100, dryRun: false })
          expect((yield* persistence.list({ limit: 9 })).map(({ root }) => root)).toEqual([
            second.id,
            second.id,
            second.id
          ])
          yield* resume(second.id, { _tag: "From", step: "f" })
          expect((yield* endOf(second.id)).run.status).toBe("completed")
          expect(stage.done).toEqual(["f"])
        }),
      world
    )
  )

  it.live("that failed are opened again in the copy when the fork is resumed; the other run's stay as they are", () =>
    scenario(
      (stage) =>
        Effect.gen(function* () {
          stage.failing.add("d").add("work q")
          stage.outputs["items"] = { structuredOutput: { list: ["p", "q"] } }
          const first = yield* run(
            `workflow w {
              call workflow sub
              call items
              foreach each { over = json scope = { from = "items.list" } max_parallel = 1 workflow = item }
              call last
            }`,
            { settings: { failFast: false } }
          )
          stage.log.length = 0
          const second = yield* forked(first.id, "last")
          expect(second.run.status).toBe("failed")
          expect(stage.done).toEqual(["last"])
          stage.failing.clear()
          const before = yield* readTree(first.id)
          yield* resume(second.id)
          const third = yield* endOf(second.id)
          expect(third.run.status).toBe("completed")
          expect(stage.done).toEqual(["d", "work q"])
          expect(third.tree.runs.length).toBe(second.tree.runs.length)
          expect(yield* readTree(first.id)).toEqual(before)
        }),
      { workflows: [...(world.workflows ?? []), "workflow item { call work }"] }
    )
  )

  it.live("that live elsewhere are named by what completed, and started anew by what did not", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const stage = new Stage()
        const there: World = {
          fallback: stage.executor,
          workflows: ["workflow good { call b }", "workflow bad { call c }"]
        }
        const theirs = (yield* MemoryPersistence.make()).service
        const store = (yield* MemoryPersistence.make()).service
        const scope = yield* Scope.make()
        const other = yield* Layer.buildWithScope(virtualLayer(there, theirs), scope)
        const runner = otherEngine({ engine: Context.get(other, Engine), persistence: theirs })
        const here = Layer.provide(virtualLayer(there, store), ChildRunner.layerWith(runner))
        const services = yield* Layer.buildWithScope(here, scope)
        yield* Effect.gen(function* () {
          stage.failing.add("c")
          const first = yield* run("workflow w { call workflow good call workflow bad call d }", {
            settings: { failFast: false }
          })
          const [good, bad] = first.steps.map(({ childRun }) => childRun)
          const second = yield* forked(first.id, "d")
          const kept = second.steps.filter(({ kind }) => kind === "workflow")
          expect(kept.map(({ childRun }) => childRun)).toEqual([good, null])
          stage.failing.clear()
          yield* resume(second.id)
          const third = yield* endOf(second.id)
          expect(third.run.status).toBe("completed")
          const again = third.steps.find(({ path, superseded }) => path === "/workflow:bad" && !superseded)
          expect(again?.childRun).not.toBe(bad)
          expect((yield* theirs.list({ limit: 9 })).map(({ status }) => status).sort()).toEqual([
            "completed",
            "completed",
            "failed"
          ])
        }).pipe(Effect.provide(services))
        yield* Scope.close(scope, Exit.void)
      })
    )
  )
})

describe("a fork is refused", () => {
  it.live("where there is no such step, or several, or no such run", () =>
    scenario(() =>
      Effect.gen(function* () {
        const first = yield* run("workflow w { call build call test call build }")
        const unknown = yield* Effect.flip(fork(first.id, { fromStep: "tset" }))
        expect(unknown).toMatchObject({
          _tag: "StepNotFound",
          message: `run ${first.id} has no step 'tset'; did you mean 'test'?`
        })
        const ambiguous = yield* Effect.flip(fork(first.id, { fromStep: "build" }))
        expect(ambiguous.message).toBe(`run ${first.id} has several steps 'build': /build, /build~2`)
        const gone = yield* Effect.flip(
          Effect.flatMap(Engine, (it) => Effect.flatMap(it.newRunId, (id) => fork(id, { fromStep: "a" })))
        )
        expect(gone._tag).toBe("RunNotFound")
        expect(yield* Effect.flatMap(Persistence, (it) => it.list({ limit: 9 }))).toHaveLength(1)
      })
    )
  )

  it.live("where a code workflow is known in another version only", () =>
    Effect.gen(function* () {
      const store = (yield* MemoryPersistence.make()).service
      const make = (version: string) => {
        const workflow = Workflow.make("draw", { payload: Schema.Void, success: Schema.Array(Schema.Number), version })
        const body = () => Effect.all([Workflow.random, Workflow.random])
        const layer = workflow
          .toLayer(body)
          .pipe(
            Layer.provideMerge(Engine.layer),
            Layer.provideMerge(Layer.succeed(Persistence, store)),
            Layer.provide(EngineConfig.layerWith({ checkInvariants: true }))
          )
        return { workflow, layer }
      }
      const one = make("1")
      const two = make("2")
      const id = yield* Effect.provide(
        Effect.tap(one.workflow.start(undefined), (id) => one.workflow.await(id)),
        one.layer
      )
      const refused = yield* Effect.flip(Effect.provide(fork(id, { fromStep: "random" }), two.layer))
      // A value is no step that could be named.
      expect(refused).toMatchObject({
        _tag: "ProgramUnavailable",
        message: `run ${id} cannot be forked here: workflow 'draw' (code:draw@1) is not known`
      })
      const unnamed = yield* Effect.flip(Effect.provide(fork(id, { fromStep: "random" }), one.layer))
      expect(unnamed._tag).toBe("StepNotFound")
      expect(yield* store.list({ limit: 9 })).toHaveLength(1)
    })
  )
})

describe("the write that makes a fork", () => {
  for (const moment of ["refused", "unanswered"] as const) {
    it.live(`is tried again when it is ${moment}, and makes one`, () =>
      withVirtualClock(
        Effect.gen(function* () {
          const memory = yield* MemoryPersistence.make()
          const store = crashing(memory.service, { at: 1, moment, only: ["createTree"] })
          const stage = new Stage()
          yield* Effect.gen(function* () {
            const first = yield* run(three)
            stage.log.length = 0
            const second = yield* forked(first.id, "c")
            expect(store.reached()).toBe(true)
            expect(second.run.status).toBe("completed")
            expect(stage.done).toEqual(["c", "clean"])
          }).pipe(Effect.provide(virtualLayer({ fallback: stage.executor }, store.service)))
          expect(yield* memory.service.list({ limit: 9 })).toHaveLength(2)
        })
      )
    )
  }

  it.live("leaves all of it or nothing where the engine dies, and the next engine goes on with it", () =>
    withVirtualClock(
      Effect.gen(function* () {
        for (const moment of ["before", "after"] as const) {
          const memory = yield* MemoryPersistence.make()
          const stage = new Stage()
          const world: World = { fallback: stage.executor, workflows: ["workflow sub { call b }"] }
          const first = yield* Effect.provide(
            run("workflow w { call workflow sub call c call d }"),
            virtualLayer(world, memory.service)
          )
          stage.log.length = 0
          const store = crashing(memory.service, { at: 1, moment, only: ["createTree"] })
          const scope = yield* Scope.make()
          const services = yield* Layer.buildWithScope(virtualLayer(world, store.service), scope)
          yield* Effect.forkDaemon(Effect.provide(fork(first.id, { fromStep: "c" }), services))
          yield* store.crash
          for (const { id, leaseUntil } of yield* memory.service.engines) {
            yield* memory.service.expireEngine(id, leaseUntil)
          }
          const second = yield* Layer.buildWithScope(virtualLayer(world, memory.service), yield* Scope.make())
          yield* Effect.sleep(20_000)
          const runs = yield* memory.service.list({ parent: null, limit: 9 })
          expect(runs.map(({ status }) => status)).toEqual(
            moment === "before" ? ["completed"] : ["completed", "completed"]
          )
          expect(stage.done).toEqual(moment === "before" ? [] : ["c", "d"])
          const [last] = runs
          const tree = yield* Effect.provide(readTree(last?.id ?? first.id), second)
          expect(tree.runs.map(({ run }) => run.workflow).sort()).toEqual(["sub", "w"])
        }
      })
    )
  )

  it.live("by the client alone leaves it to the next engine that looks", () =>
    scenario((stage) =>
      Effect.gen(function* () {
        const first = yield* run(three)
        stage.log.length = 0
        const id = yield* Client.fork(first.id, { fromStep: "c" })
        expect((yield* endOf(id)).outline).toEqual(first.outline)
        expect(stage.done).toEqual(["c", "clean"])
      })
    )
  )

  it.scopedLive("is one of SQLite's, too", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const stage = new Stage()
      const world: World = { fallback: stage.executor, workflows: ["workflow sub { call b }"] }
      const layer = engineLayer(world).pipe(Layer.provideMerge(SqlitePersistence.layer({ filename })))
      yield* Effect.gen(function* () {
        const first = yield* run("workflow w { call workflow sub call c }")
        stage.log.length = 0
        const second = yield* forked(first.id, "c")
        expect(second.outline).toEqual(first.outline)
        expect(stage.done).toEqual(["c"])
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("a fork of a code workflow", () => {
  const Go = Workflow.signal("go", Schema.String)

  it.live("keeps the values that were recorded, and the signals that were taken", () =>
    Effect.gen(function* () {
      const store = (yield* MemoryPersistence.make()).service
      const asked = Deferred.unsafeMake<void>(FiberId.none)
      const Order = Workflow.make("order", {
        payload: Schema.Struct({ id: Schema.String }),
        success: Schema.Tuple(Schema.String, Schema.String, Schema.String)
      })
      const layer = Order.toLayer(({ id }) =>
        Effect.gen(function* () {
          const drawn = yield* Workflow.uuid
          const signal = yield* Effect.orDie(Workflow.awaitSignal(Go))
          yield* Deferred.succeed(asked, undefined)
          yield* Effect.orDie(Workflow.gate("sure"))
          return [id, drawn, signal] as const
        })
      ).pipe(
        Layer.provideMerge(Engine.layer),
        Layer.provideMerge(Layer.succeed(Persistence, store)),
        Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10 }))
      )
      yield* Effect.gen(function* () {
        const first = yield* Order.start({ id: "7" })
        yield* store.send(first, { _tag: "Signal", name: "go", value: "now" }, Date.now())
        yield* Deferred.await(asked)
        yield* untilStatus(first, "waiting")
        const second = yield* fork(first, { fromStep: "sure" })
        yield* untilStatus(second, "waiting")
        yield* Client.answer(first, { approved: true })
        yield* Client.answer(second, { approved: true })
        const ends = [yield* Order.await(first), yield* Order.await(second)]
        expect(ends[1]).toEqual(ends[0])
        expect(ends[0]?.[2]).toBe("now")
      }).pipe(Effect.provide(layer))
    })
  )
})
