/**
 * The table of design.md, "Interruption carries no reason": each reason, in each state of a run.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import type { Executor } from "../../../src/action/Action.ts"
import { cancel, waitingGates } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import { isTerminal, type RunId } from "../../../src/persistence/Records.ts"
import { readTree } from "../../../src/testing/RecordComparison.ts"
import { engineId } from "../../../src/testing/SampleRecords.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { temporaryFolder } from "../../persistence/support.ts"
import { action, definitionOf, ended, failing, layerOf, type World } from "../TestEngine.ts"
import { isAlive, outline, untilFile, untilStatus, untilStep, virtualLayer } from "./support.ts"

const ok = action(() => ({}))

/** Hangs; says when it began and when it was released. */
const hanging =
  (log: Array<string>): Executor =>
  (call) =>
    Effect.scoped(
      Effect.zipRight(
        Effect.acquireRelease(
          Effect.sync(() => log.push(`began ${call.name}`)),
          () => Effect.sync(() => log.push(`released ${call.name}`))
        ),
        Effect.never
      )
    )

/** Says what it is told of the body's end. */
const status = (log: Array<string>): Executor =>
  action((call) => {
    log.push(`always after ${call.variables["workflow_status"]}`)
    return {}
  })

const start = (text: string, settings = {}) =>
  Effect.flatMap(WorkflowFiles, (files) => Effect.orDie(files.start(definitionOf(text), { settings })))

/** The end of a run, with nothing of it left: no open row, no resident, no deadline. */
const endOf = (run: RunId) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const record = yield* engine.await(run)
    const tree = yield* readTree(run)
    for (const { run, steps, items } of tree.runs) {
      expect(run.endedAt, `${run.workflow} has ended`).not.toBe(null)
      expect(steps.filter((step) => !isTerminal(step.status))).toEqual([])
      expect(items.filter((item) => item.status === "running")).toEqual([])
    }
    expect(yield* engine.resident).toEqual([])
    return { ...(yield* ended(run, record)), tree }
  })

/** Runs on the virtual clock with an engine, and finds the engine's deadlines and fibers as before. */
const scenario = <A, E>(
  world: World,
  body: Effect.Effect<A, E, Engine | WorkflowFiles | Persistence>
): Effect.Effect<void, unknown> =>
  withVirtualClock(
    Effect.gen(function* () {
      const engine = yield* Engine
      yield* Effect.sleep(1)
      const before = yield* engine.stats
      const fibers = (yield* Fiber.roots).length
      yield* body
      yield* Effect.sleep(1)
      expect(yield* engine.stats).toEqual(before)
      expect((yield* Fiber.roots).length).toBe(fibers)
    }).pipe(Effect.provide(virtualLayer(world)))
  )

describe("a run that its user cancels", () => {
  it.live("while a call runs: it is cancelled with the reason, always runs, the run ends cancelled", () => {
    const log: Array<string> = []
    return scenario(
      { actions: { before: ok, slow: hanging(log), never: ok, clean: status(log) } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { call before call slow call never always { call clean } }")
        yield* untilStep(run, "/slow", "running")
        yield* cancel(run, "enough")
        const end = yield* endOf(run)
        expect(end.outline).toEqual(["/before completed", "/slow cancelled", "/@always/clean completed"])
        expect(log).toEqual(["began slow", "released slow", "always after cancelled"])
        expect(end.run).toMatchObject({ status: "cancelled", cancelReason: "user requested: enough", error: null })
        expect(end.steps.find((step) => step.path === "/slow")).toMatchObject({
          error: "user requested: enough",
          attempts: [{ outcome: "cancelled" }]
        })
      })
    )
  })

  it.live("while a block runs: every branch, started or not, and the block itself", () => {
    const log: Array<string> = []
    return scenario(
      { actions: { quick: ok, slow: hanging(log), last: ok } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { parallel { max_parallel = 1 call quick call slow call last } }")
        yield* untilStep(run, "/parallel/slow", "running")
        yield* cancel(run)
        const end = yield* endOf(run)
        expect(end.outline).toEqual([
          "/parallel/quick completed",
          "/parallel/slow cancelled",
          "/parallel/last cancelled"
        ])
        expect(end.steps.find((step) => step.path === "/parallel")?.status).toBe("cancelled")
        expect(log).toEqual(["began slow", "released slow"])
      })
    )
  })

  it.live("while children run: each ends cancelled with reason parent cancelled, its own always included", () => {
    const log: Array<string> = []
    const sub = "workflow sub { call slow always { call clean } }"
    return scenario(
      { workflows: [sub], actions: { slow: hanging(log), clean: status(log) } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { call workflow sub always { call clean } }")
        yield* untilStep(run, "/slow", "running")
        yield* cancel(run)
        const end = yield* endOf(run)
        expect(outline(end.tree)).toEqual([
          "w cancelled: user requested",
          "w /workflow:sub cancelled",
          "w /@always/clean completed",
          "sub cancelled: parent cancelled",
          "sub /slow cancelled",
          "sub /@always/clean completed"
        ])
        expect(log).toEqual(["began slow", "released slow", "always after cancelled", "always after cancelled"])
      })
    )
  })

  it.live("while a foreach runs: running items end cancelled, those never dispatched stay pending", () => {
    const log: Array<string> = []
    return scenario(
      {
        workflows: ["workflow item { call slow always { call clean } }"],
        actions: {
          items: action(() => ({ structuredOutput: { list: ["p", "q", "r"] } })),
          slow: hanging(log),
          clean: status(log)
        }
      },
      Effect.gen(function* () {
        const run = yield* start(
          `workflow w { call items foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = item } }`
        )
        yield* untilStep(run, "/slow", "running", 2)
        yield* cancel(run)
        const end = yield* endOf(run)
        const items = end.tree.runs.flatMap(({ items }) => items.map((item) => `${item.id} ${item.status}`))
        expect(items).toEqual(["p cancelled", "q cancelled", "r pending"])
        expect(end.outline).toEqual(["/items completed", "/foreach:each cancelled"])
        const children = end.tree.runs.filter(({ run }) => run.depth === 1)
        expect(children.map(({ run }) => run.cancelReason)).toEqual(["parent cancelled", "parent cancelled"])
        expect(log.filter((line) => line === "always after cancelled").length).toBe(2)
      })
    )
  })

  it.live("in the pause before a retry", () =>
    scenario(
      { actions: { flaky: failing("no") } },
      Effect.gen(function* () {
        const run = yield* start(`workflow w { call flaky { retries = 1 retry_delay = "1h" } }`)
        yield* untilStatus(run, "waiting")
        yield* cancel(run)
        const end = yield* endOf(run)
        expect(end.outline).toEqual(["/flaky cancelled"])
        expect(end.steps[0]?.attempts.map((attempt) => attempt.outcome)).toEqual(["failed"])
      })
    )
  )

  for (const [name, linger] of [
    ["is resident", 60_000],
    ["was let go", 1]
  ] as const) {
    it.live(`while it waits at a gate and ${name}`, () => {
      const log: Array<string> = []
      return scenario(
        { actions: { never: ok, clean: status(log) }, settings: { linger } },
        Effect.gen(function* () {
          const engine = yield* Engine
          const run = yield* start("workflow w { gate human_review {} call never always { call clean } }")
          yield* untilStatus(run, "waiting")
          yield* Effect.sleep(500)
          expect((yield* engine.resident).length).toBe(linger === 1 ? 0 : 1)
          yield* cancel(run)
          const end = yield* endOf(run)
          expect(end.outline).toEqual(["/human_review cancelled", "/@always/clean completed"])
          expect(log).toEqual(["always after cancelled"])
          expect(waitingGates(end.run)).toEqual([])
        })
      )
    })
  }

  it.live("before it has started: at once, without always", () => {
    const log: Array<string> = []
    return scenario(
      { actions: { a: ok, clean: status(log) } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const first = yield* start("workflow w { call a always { call clean } }")
        const { run } = yield* endOf(first)
        const id = yield* engine.newRunId
        log.length = 0
        const blank = {
          status: "pending",
          startedAt: null,
          endedAt: null,
          summary: null,
          seq: 0,
          readyAt: null
        } as const
        yield* persistence.create({ ...run, ...blank, id, root: id, owner: null, generation: 0 })
        yield* cancel(id)
        const end = yield* endOf(id)
        expect(end.run).toMatchObject({ status: "cancelled", startedAt: null })
        expect(end.outline).toEqual([])
        expect(log).toEqual([])
      })
    )
  })

  it.live("twice: the second request does nothing; once it has ended: it is told so", () => {
    const log: Array<string> = []
    return scenario(
      { actions: { slow: hanging(log), clean: status(log) } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { call slow always { call clean } }")
        yield* untilStep(run, "/slow", "running")
        yield* cancel(run, "first")
        yield* cancel(run, "second")
        const end = yield* endOf(run)
        expect(end.run.cancelReason).toBe("user requested: first")
        expect(log).toEqual(["began slow", "released slow", "always after cancelled"])
        const refused = yield* Effect.flip(cancel(run))
        expect(refused).toMatchObject({ _tag: "RunAlreadyEnded", status: "cancelled" })
      })
    )
  })

  it.live("during always: the body's outcome stands, and always runs to its end", () => {
    const gate = Deferred.unsafeMake<void>(Fiber.id(Fiber.never))
    const log: Array<string> = []
    return scenario(
      {
        actions: {
          a: ok,
          clean: (call) =>
            Effect.as(
              Effect.zipRight(
                Deferred.await(gate),
                Effect.sync(() => log.push(call.name))
              ),
              {}
            )
        }
      },
      Effect.gen(function* () {
        const run = yield* start("workflow w { call a always { call clean } }")
        yield* untilStep(run, "/@always/clean", "running")
        yield* cancel(run)
        yield* Effect.sleep(50)
        yield* Deferred.succeed(gate, undefined)
        const end = yield* endOf(run)
        expect(end.run).toMatchObject({ status: "completed", cancelReason: null })
        expect(log).toEqual(["clean"])
      })
    )
  })

  it.live("and whose always does not end: it is stopped at its limit", () => {
    const log: Array<string> = []
    return scenario(
      { actions: { slow: hanging(log), forever: hanging(log) }, settings: { alwaysLimit: 5_000 } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { call slow always { call forever } }")
        yield* untilStep(run, "/slow", "running")
        yield* cancel(run)
        const end = yield* endOf(run)
        expect(end.run.status).toBe("cancelled")
        expect(end.outline).toEqual(["/slow cancelled", "/@always/forever cancelled"])
        expect(end.steps.find((step) => step.path === "/@always")?.error).toBe("always did not finish within 5000 ms")
        expect((end.run.endedAt ?? 0) - (end.run.startedAt ?? 0)).toBeLessThan(6_000)
      })
    )
  })

  it.live("while an executor ignores it: it is left behind after the grace, and the attempt says so", () =>
    scenario(
      { actions: { deaf: () => Effect.as(Effect.uninterruptible(Effect.sleep(20_000)), {}) } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { call deaf }")
        yield* untilStep(run, "/deaf", "running")
        yield* cancel(run)
        const end = yield* endOf(run)
        expect(end.steps[0]?.attempts[0]).toMatchObject({ outcome: "cancelled", abandoned: true })
        expect((end.run.endedAt ?? 0) - (end.run.startedAt ?? 0)).toBeLessThan(6_000)
        yield* Effect.sleep(30_000)
      })
    )
  )

  it.scopedLive("while a script runs: its whole process group is gone", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder((folder) => folder)
      const layer = layerOf({ actions: { clean: ok } })
      yield* Effect.gen(function* () {
        const run = yield* start(
          `workflow w { script s { run = "sleep 60 & echo $! > pid; wait" } always { call clean } }`,
          { workingDirectory: folder }
        )
        yield* untilStep(run, "/s", "running")
        yield* untilFile(`${folder}/pid`)
        const pid = Number(readFileSync(`${folder}/pid`, "utf8"))
        yield* cancel(run)
        const end = yield* endOf(run)
        expect(end.outline).toEqual(["/s cancelled", "/@always/clean completed"])
        expect(isAlive(pid)).toBe(false)
      }).pipe(Effect.provide(layer))
    })
  )

  describe("while it is parked", () => {
    /** Parks a run in an engine that lacks something, cancels it, and lets another one look. */
    const parkedAndCancelled = (text: string, before: World, after: World) =>
      withVirtualClock(
        Effect.gen(function* () {
          const store = (yield* MemoryPersistence.make()).service
          const run = yield* Effect.gen(function* () {
            const engine = yield* Engine
            const run = yield* start(text)
            expect((yield* engine.awaitRelease(run)).status).toBe("needs_resume")
            return run
          }).pipe(Effect.provide(virtualLayer(before, store)))
          const ended = Effect.gen(function* () {
            // Whatever parked runs it tries when it starts, it has tried.
            yield* Effect.sleep(10_000)
            const parked = yield* store.get(run)
            yield* cancel(run, "enough")
            yield* Effect.sleep(10_000)
            return { parked, now: yield* store.get(run), tree: yield* readTree(run) }
          })
          return yield* Effect.provide(ended, virtualLayer(after, store))
        })
      )

    it.live("because an action is missing: an engine takes it by itself, and ends it", () => {
      const log: Array<string> = []
      const world: World = { actions: { a: ok, clean: status(log) } }
      return Effect.gen(function* () {
        const { parked, now, tree } = yield* parkedAndCancelled(
          "workflow w { call a call missing always { call clean } }",
          world,
          world
        )
        expect(parked.status).toBe("needs_resume")
        expect(now).toMatchObject({ status: "cancelled", cancelReason: "user requested: enough", error: null })
        expect(outline(tree)).toEqual([
          "w cancelled: user requested: enough",
          "w /a completed",
          "w /@always/clean completed"
        ])
        expect(log).toEqual(["always after cancelled"])
      })
    })

    it.live("because a workflow, a provider or a resolver is missing", () =>
      Effect.gen(function* () {
        for (const node of [
          "call workflow missing",
          "foreach each { over = missing max_parallel = 1 workflow = missing }",
          "pipeline each { over = missing max_parallel = 1 call a }",
          "gate missing {}",
          "parallel { call a call missing }"
        ]) {
          const { now, parked } = yield* parkedAndCancelled(
            `workflow w { ${node} }`,
            { actions: { a: ok } },
            { actions: { a: ok } }
          )
          // Tried again once more by the engine that started, and still parked.
          expect([node, parked.status, now.status]).toEqual([node, "needs_resume", "cancelled"])
        }
      })
    )

    it.live("because it had killed its processes: nothing of its body begins again", () =>
      withVirtualClock(
        Effect.gen(function* () {
          const memory = yield* MemoryPersistence.make()
          const log: Array<string> = []
          const world: World = { actions: { deadly: hanging(log), clean: status(log) }, settings: { maxRecoveries: 2 } }
          const text = "workflow w { call deadly always { call clean } }"
          let store = memory.service
          const first = yield* Layer.buildWithScope(virtualLayer(world, store), yield* Scope.make())
          const run = yield* Effect.provide(start(text), first)
          for (let n = 0; n < 4; n++) {
            yield* Effect.provideService(untilStep(run, "/deadly", "running"), Persistence, store)
            yield* Effect.sleep(10)
            // Each engine dies, and the next one takes the run up.
            for (const { id, leaseUntil } of yield* store.engines) yield* store.expireEngine(id, leaseUntil)
            yield* Layer.buildWithScope(virtualLayer(world, store), yield* Scope.make())
            yield* Effect.sleep(20_000)
            if ((yield* store.get(run)).status === "needs_resume") break
          }
          expect((yield* store.get(run)).error).toContain("its steps may kill their process")
          log.length = 0
          yield* Effect.provideService(cancel(run), Persistence, store)
          yield* Effect.sleep(20_000)
          expect(yield* store.get(run)).toMatchObject({ status: "cancelled", recoveries: 0 })
          expect(log.filter((line) => !line.startsWith("released"))).toEqual(["always after cancelled"])
        })
      )
    )

    it.live("because its journal is another program's: it stays parked, and says so", () =>
      Effect.gen(function* () {
        const world: World = { actions: { a: ok } }
        const memory = yield* MemoryPersistence.make()
        const { now } = yield* withVirtualClock(
          Effect.gen(function* () {
            const store = memory.service
            const parks = Effect.flatMap(start("workflow w { call a call missing }"), (run) =>
              Effect.flatMap(Engine, (engine) => Effect.as(engine.awaitRelease(run), run))
            )
            const run = yield* Effect.provide(parks, virtualLayer(world, store))
            const { journal } = yield* store.load(run)
            const [first] = journal.steps.values()
            const { engine, scope } = yield* Effect.map(Scope.make(), (scope) => ({ engine: engineId("ann"), scope }))
            yield* store.renewEngine({ id: engine, host: "", boot: "", pid: 1, processStart: "", leaseUntil: 1e15 })
            const claim = yield* store.claim(run, { engine, now: 1 })
            const renamed = first === undefined ? [] : [{ _tag: "Step", step: { ...first, name: "other" } } as const]
            const parked = { _tag: "Run", patch: { status: "needs_resume", error: "no" } } as const
            yield* store.commit({ ...claim, expectedSeq: journal.run.seq, changes: [...renamed, parked] })
            yield* Layer.buildWithScope(virtualLayer(world, store), scope)
            yield* Effect.sleep(10_000)
            yield* Effect.provideService(cancel(run), Persistence, store)
            yield* Effect.sleep(10_000)
            return { now: yield* store.get(run) }
          })
        )
        expect(now).toMatchObject({ status: "needs_resume", cancelReason: "user requested" })
        expect(now.error).toContain("/a is recorded as call 'other'")
      })
    )
  })

  it.live("from another engine on the same store", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const log: Array<string> = []
        const world = { actions: { slow: hanging(log), clean: status(log) } }
        const one = yield* Layer.build(virtualLayer(world, store))
        const other = yield* Layer.build(virtualLayer(world, store))
        const run = yield* Effect.provide(start("workflow w { call slow always { call clean } }"), one)
        yield* Effect.provide(untilStep(run, "/slow", "running"), one)
        yield* Effect.provide(cancel(run), other)
        const end = yield* Effect.provide(
          Effect.flatMap(Engine, (engine) => engine.await(run)),
          other
        )
        expect(end.status).toBe("cancelled")
        expect(log).toEqual(["began slow", "released slow", "always after cancelled"])
      }).pipe(Effect.scoped)
    )
  )
})

describe("a run", () => {
  it.live("that takes longer than its timeout is stopped in the same way, and ends failed", () => {
    const log: Array<string> = []
    return scenario(
      { actions: { slow: hanging(log), clean: status(log) } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { call slow always { call clean } }", { runTimeout: 90_000 })
        const end = yield* endOf(run)
        expect(end.run).toMatchObject({ status: "failed", error: "the run timed out after 90000 ms" })
        expect(end.outline).toEqual(["/slow cancelled", "/@always/clean completed"])
        expect(end.steps.find((step) => step.path === "/slow")?.error).toBe("run timeout")
        expect(log).toEqual(["began slow", "released slow", "always after failed"])
      })
    )
  })

  it.live("that waits, let go, beyond its timeout ends failed, at that time", () =>
    scenario(
      { settings: { linger: 1 } },
      Effect.gen(function* () {
        const run = yield* start("workflow w { gate human_review {} }", { runTimeout: 90_000 })
        const end = yield* endOf(run)
        expect(end.run.status).toBe("failed")
        expect(end.outline).toEqual(["/human_review cancelled"])
        expect((end.run.endedAt ?? 0) - (end.run.startedAt ?? 0)).toBeLessThan(90_100)
      })
    )
  )

  it.live("whose item halts the others: those in flight end cancelled, their own always included", () => {
    const log: Array<string> = []
    const work: Executor = (call) =>
      call.variables["item.id"] === "p" ? Effect.delay(failing("no")(call), 50) : hanging(log)(call)
    return scenario(
      {
        workflows: ["workflow item { call work always { call clean } }"],
        actions: { items: action(() => ({ structuredOutput: { list: ["p", "q", "r"] } })), work, clean: status(log) }
      },
      Effect.gen(function* () {
        const run = yield* start(
          `workflow w { call items foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = item on_child_fail = halt } }`
        )
        const end = yield* endOf(run)
        const items = end.tree.runs.flatMap(({ items }) => items.map((item) => `${item.id} ${item.status}`))
        expect(items).toEqual(["p failed", "q cancelled", "r pending"])
        expect(end.run.status).toBe("failed")
        const q = end.tree.runs.find(({ run }) => run.inputs["item.id"] === "q")
        expect(q?.run).toMatchObject({ status: "cancelled", cancelReason: "parent cancelled" })
        expect(log).toEqual(["began work", "always after failed", "released work", "always after cancelled"])
      })
    )
  })
})
