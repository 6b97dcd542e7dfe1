/**
 * What a paused run is to those around it: its record, messages, children and engine (engine/Pause, Z1–Z4).
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Executor } from "../../../src/action/Action.ts"
import {
  ChildRunner,
  ChildRunnerFailed,
  type ChildRunnerService,
  otherEngine
} from "../../../src/engine/ChildRunner.ts"
import * as Client from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { EngineConfig } from "../../../src/engine/EngineConfig.ts"
import { Definitions } from "../../../src/engine/interpreter/Definitions.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import { defaultSettings, newRun } from "../../../src/engine/NewRun.ts"
import { isAtRest, isPaused } from "../../../src/engine/Pause.ts"
import { resume } from "../../../src/engine/Resume.ts"
import type { Change } from "../../../src/persistence/Journal.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { RunId } from "../../../src/persistence/Records.ts"
import { intercept } from "../../../src/testing/CrashPoints.ts"
import { loseEngines } from "../../../src/testing/ProgramRunner.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { action, definitionOf, failing, isEvent, watch, type World } from "../TestEngine.ts"
import { untilStatus, untilStep, virtualLayer } from "./support.ts"

const ok = action(() => ({}))
const minute = 60_000

const start = (text: string, settings = {}) =>
  Effect.flatMap(WorkflowFiles, (files) => Effect.orDie(files.start(definitionOf(text), { settings })))

const scenario = <A, E>(world: World, body: Effect.Effect<A, E, Engine | WorkflowFiles | Persistence | Scope.Scope>) =>
  withVirtualClock(Effect.scoped(Effect.provide(body, virtualLayer(world))))

/** Waits until a run is paused and nobody owns it. */
const untilPaused = (run: RunId) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    for (;;) {
      const record = yield* persistence.get(run)
      if (isPaused(record) && isAtRest(record) && record.owner === null) return record
      yield* Effect.sleep(1)
    }
  })

/** A run that nobody has begun. */
const pendingRun = (text: string) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const engine = yield* Engine
    const definition = definitionOf(text)
    const key = yield* new Definitions(persistence).store(definition)
    const { name } = definition
    const settings = defaultSettings(minute)
    const id = yield* engine.newRunId
    yield* persistence.create(newRun({ id, workflow: name, title: name, definition: key, settings, createdAt: 1 }))
    return id
  })

/** Hangs until it is let go on; says when it has begun. */
const held = () => {
  const began = Deferred.unsafeMake<void>(FiberId.none)
  const goOn = Deferred.unsafeMake<void>(FiberId.none)
  const execute: Executor = () =>
    Effect.zipRight(Deferred.succeed(began, undefined), Effect.as(Deferred.await(goOn), {}))
  return { execute, began: Deferred.await(began), goOn: Deferred.succeed(goOn, undefined) }
}

const engineOn = (store: PersistenceService, world: World) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const services = yield* Layer.buildWithScope(virtualLayer(world, store), scope)
    return { services, engine: Context.get(services, Engine), close: Scope.close(scope, Exit.void) }
  })

describe("a run that is paused before it has begun", () => {
  it.live("stays pending, whoever looks for runs, and begins when it is unpaused", () =>
    scenario(
      { actions: { a: ok } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const watched = yield* watch
        const run = yield* pendingRun("workflow w { call a }")
        yield* Client.pause(run)
        expect(yield* untilPaused(run)).toMatchObject({ status: "pending", startedAt: null, readyAt: null })
        yield* Effect.sleep(minute)
        expect(watched.seen.map(({ _tag }) => _tag)).toEqual(["RunWaiting"])
        yield* Client.unpause(run)
        expect(yield* engine.await(run)).toMatchObject({ status: "completed", blockedOn: [] })
        expect(watched.seen.filter(isEvent("RunStarted"))).toHaveLength(1)
      })
    )
  )

  it.live("and cancelled ends at once, without always", () => {
    const begun: Array<string> = []
    const note = action((call) => {
      begun.push(call.name)
      return {}
    })
    return scenario(
      { actions: { a: note, clean: note } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const run = yield* pendingRun("workflow w { call a always { call clean } }")
        yield* Client.pause(run)
        yield* untilPaused(run)
        yield* Client.cancel(run)
        expect(yield* engine.await(run)).toMatchObject({ status: "cancelled", startedAt: null, blockedOn: [] })
        expect(begun).toEqual([])
      })
    )
  })

  it.live("needs no program to be recorded so", () =>
    scenario(
      {},
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const id = yield* engine.newRunId
        const settings = defaultSettings(minute)
        const unknown = { workflow: "gone", title: "gone", definition: "code:gone@1", settings, createdAt: 1 }
        yield* persistence.create(newRun({ id, ...unknown }))
        yield* Client.pause(id)
        yield* engine.take(id)
        expect(yield* persistence.get(id)).toMatchObject({ status: "pending", owner: null, error: null })
        expect(yield* untilPaused(id)).toMatchObject({ generation: 1 })
      })
    )
  )
})

describe("a pause", () => {
  it.live("is refused by a run that has ended, and leaves nothing to a run that ends in spite of it", () => {
    const last = held()
    let broken = true
    const second: Executor = (call) => (broken ? failing("no")(call) : ok(call))
    return scenario(
      { actions: { last: last.execute, second } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const run = yield* start("workflow w { parallel { fail_fast = false call last call second } }")
        yield* last.began
        yield* Client.pause(run)
        yield* Effect.sleep(1)
        const pausing = yield* persistence.get(run)
        expect([pausing.status, pausing.blockedOn.map(({ _tag }) => _tag)]).toEqual(["running", ["paused"]])
        yield* last.goOn
        // Nothing was left to begin.
        expect(yield* engine.await(run)).toMatchObject({ status: "failed", blockedOn: [] })
        expect((yield* persistence.load(run)).inbox).toEqual([])
        const refused = yield* Effect.flip(Client.pause(run))
        expect(refused).toMatchObject({ _tag: "RunAlreadyEnded", status: "failed" })
        broken = false
        yield* resume(run)
        expect(yield* engine.await(run)).toMatchObject({ status: "completed" })
      })
    )
  })

  it.live("has no effect on an always block that has begun, nor on a cancellation", () => {
    const clean = held()
    return scenario(
      { actions: { a: () => Effect.never, clean: clean.execute, tidy: ok } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const run = yield* start("workflow w { call a always { call clean call tidy } }", { runTimeout: minute })
        yield* clean.began
        yield* Client.pause(run)
        yield* Effect.sleep(1)
        expect(yield* persistence.get(run)).toMatchObject({ status: "running", blockedOn: [] })
        expect((yield* persistence.load(run)).inbox).toEqual([])
        yield* clean.goOn
        expect(yield* engine.await(run)).toMatchObject({ status: "failed" })
        const other = yield* start("workflow w { call a always { call clean call tidy } }")
        yield* untilStep(other, "/a", "running")
        yield* Client.cancel(other)
        yield* Client.pause(other)
        expect(yield* engine.await(other)).toMatchObject({ status: "cancelled", blockedOn: [] })
      })
    )
  })

  it.live("whose time is over when it is taken back: the run fails, and nothing of its body begins", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const begun: Array<string> = []
        const world: World = {
          actions: {
            a: action(({ name }) => {
              begun.push(name)
              return {}
            })
          }
        }
        const one = yield* engineOn(store, world)
        const text = "workflow w { gate human_review {} call a }"
        const run = yield* Effect.provide(start(text, { runTimeout: minute }), one.services)
        yield* Effect.provide(untilStatus(run, "waiting"), one.services)
        yield* Effect.provide(Client.answer(run, { approved: true }), one.services)
        yield* Effect.provide(Client.pause(run), one.services)
        yield* one.close
        begun.length = 0
        yield* Effect.sleep(2 * minute)
        yield* Effect.provideService(Client.unpause(run), Persistence, store)
        const two = yield* engineOn(store, world)
        expect(yield* two.engine.await(run)).toMatchObject({
          status: "failed",
          error: "the run timed out after 60000 ms"
        })
        expect(begun).toEqual([])
        yield* two.close
      })
    )
  )

  it.live("costs the store nothing while it lasts", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const memory = yield* MemoryPersistence.make()
        const writes: Array<string> = []
        const counted = intercept(memory.service, {
          read: (effect) => effect,
          write: (name, effect) =>
            Effect.tap(effect, (result) =>
              Effect.sync(() => (name === "renewEngine" || Array.isArray(result) ? 0 : writes.push(name)))
            )
        })
        const one = yield* engineOn(counted, { workflows: [`workflow ask { gate human_review { timeout = "10m" } }`] })
        const run = yield* Effect.provide(start("workflow w { call workflow ask }"), one.services)
        yield* Effect.provide(untilStatus(run, "waiting"), one.services)
        yield* Effect.provide(Client.pause(run), one.services)
        yield* Effect.provide(untilPaused(run), one.services)
        yield* Effect.sleep(1_000)
        writes.length = 0
        // Longer than the gate's time.
        yield* Effect.sleep(15 * minute)
        expect(writes).toEqual([])
        expect(yield* one.engine.resident).toEqual([])
        yield* Effect.provide(Client.unpause(run), one.services)
        expect(yield* one.engine.await(run)).toMatchObject({
          status: "failed",
          error: "workflow:ask: human_review: gate timed out"
        })
        yield* one.close
      })
    )
  )

  it.live("is told of by events: what the run waits for begins with it, and that it goes on", () => {
    const slow = held()
    return scenario(
      { actions: { slow: slow.execute, a: ok } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const watched = yield* watch
        const run = yield* start("workflow w { parallel { call slow call a } gate human_review {} }")
        yield* slow.began
        yield* Client.pause(run)
        yield* Effect.sleep(1)
        expect(watched.seen.filter(isEvent("RunWaiting"))).toEqual([])
        yield* Client.unpause(run)
        yield* Effect.sleep(1)
        expect(watched.seen.filter(isEvent("RunResumed"))).toHaveLength(1)
        yield* Client.pause(run)
        yield* slow.goOn
        yield* untilPaused(run)
        yield* Client.unpause(run)
        yield* watched.until(isEvent("GateWaiting"))
        yield* Client.pause(run)
        yield* watched.until(isEvent("RunWaiting"), 3)
        expect(watched.seen.filter(isEvent("RunWaiting")).map(({ isPaused, on }) => [isPaused, ...on])).toEqual([
          [true, "paused"],
          [false, "human_review"],
          [true, "paused", "human_review"]
        ])
        yield* Client.cancel(run)
        yield* engine.await(run)
      })
    )
  })
})

describe("a gate of a paused run", () => {
  it.live("keeps the answer that comes, refuses a second one, and ends when the run is unpaused", () =>
    scenario(
      { actions: { a: ok } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const run = yield* start("workflow w { gate human_review {} call a }")
        yield* untilStatus(run, "waiting")
        yield* Client.pause(run)
        yield* untilPaused(run)
        yield* Client.answer(run, { approved: true, feedback: "fine" })
        expect(yield* Effect.flip(Client.answer(run, { approved: false }))).toMatchObject({ answered: true })
        yield* Effect.sleep(minute)
        expect((yield* persistence.steps(run)).map(({ status }) => status)).toEqual(["waiting"])
        expect(yield* untilPaused(run)).toMatchObject({ readyAt: null })
        yield* Client.unpause(run)
        expect(yield* engine.await(run)).toMatchObject({ status: "completed" })
        expect((yield* persistence.steps(run))[0]?.gate?.answer?.feedback).toBe("fine")
      })
    )
  )

  it.live("does not ask its resolver; a question that is under way is answered as usual", () => {
    const asked: Array<number> = []
    let answer = Effect.succeed<{ readonly _tag: "Pending" } | { readonly _tag: "Approved" }>({ _tag: "Pending" })
    const resolver = () =>
      Effect.flatMap(Effect.clock, (clock) => {
        asked.push(clock.unsafeCurrentTimeMillis())
        return answer
      })
    const approved = { _tag: "Approved" } as const
    const slow = Deferred.unsafeMake<typeof approved>(FiberId.none)
    return scenario(
      { actions: { a: ok }, gates: { pr_checks: resolver } },
      Effect.gen(function* () {
        const persistence = yield* Persistence
        const engine = yield* Engine
        const run = yield* start("workflow w { gate pr_checks {} call a }")
        yield* untilStatus(run, "waiting")
        yield* Client.pause(run)
        yield* untilPaused(run)
        const before = asked.length
        yield* Effect.sleep(minute)
        expect(asked.length).toBe(before)
        answer = Deferred.await(slow)
        yield* Client.unpause(run)
        while (asked.length === before) yield* Effect.sleep(1)
        yield* Client.pause(run)
        yield* Deferred.succeed(slow, approved)
        yield* untilPaused(run)
        expect((yield* persistence.steps(run)).map(({ path, status }) => `${path} ${status}`)).toEqual([
          "/pr_checks completed"
        ])
        yield* Client.unpause(run)
        expect(yield* engine.await(run)).toMatchObject({ status: "completed" })
      })
    )
  })
})

describe("a paused run that somebody asks for by its id", () => {
  it.live("is not resumed: it says that it is paused", () =>
    scenario(
      { actions: { a: ok } },
      Effect.gen(function* () {
        const engine = yield* Engine
        const run = yield* start("workflow w { gate human_review {} }")
        yield* untilStatus(run, "waiting")
        yield* Client.pause(run)
        expect(yield* Effect.flip(resume(run))).toMatchObject({ _tag: "RunPaused", run })
        yield* untilPaused(run)
        yield* engine.take(run)
        expect(yield* engine.resident).toEqual([])
        expect(yield* untilPaused(run)).toMatchObject({ status: "waiting" })
        yield* Client.unpause(run)
        yield* resume(run)
        yield* Client.cancel(run)
        yield* engine.await(run)
      })
    )
  )

  it.live("or is parked stays parked, and is resumed once it is unpaused", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const one = yield* engineOn(store, {})
        const run = yield* Effect.provide(start("workflow w { call a }"), one.services)
        expect(yield* one.engine.awaitRelease(run)).toMatchObject({ status: "needs_resume" })
        yield* one.close
        const persisted = Effect.provideService(Persistence, store)
        yield* persisted(Client.pause(run))
        // Knows the action, and would try a parked run.
        const two = yield* engineOn(store, { actions: { a: ok } })
        yield* Effect.sleep(minute)
        const parked = yield* store.get(run)
        expect(parked).toMatchObject({ status: "needs_resume", owner: null, readyAt: null })
        expect(isPaused(parked)).toBe(true)
        expect(yield* Effect.flip(Effect.provide(resume(run), two.services))).toMatchObject({ _tag: "RunPaused" })
        yield* persisted(Client.unpause(run))
        yield* Effect.provide(resume(run), two.services)
        expect(yield* two.engine.await(run)).toMatchObject({ status: "completed" })
        yield* two.close
      })
    )
  )
})

describe("an engine that knows no program", () => {
  it.live("records that runs are paused, and leaves all others as they are, for whoever can run them", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const store = (yield* MemoryPersistence.make()).service
        const world: World = { actions: { a: ok } }
        const asking = Effect.provideService(Persistence, store)
        const one = yield* engineOn(store, world)
        const runs = yield* Effect.forEach(["paused", "cancelling", "answered"], (name) =>
          Effect.provide(start(`workflow ${name} { gate human_review {} call a }`), one.services)
        )
        const [paused, cancelling, answered] = runs
        if (paused === undefined || cancelling === undefined || answered === undefined) return expect.fail("no runs")
        for (const run of runs) yield* Effect.provide(untilStatus(run, "waiting"), one.services)
        yield* one.close
        yield* asking(Client.pause(paused))
        yield* asking(Client.cancel(cancelling))
        yield* asking(Client.answer(answered, { approved: true }))
        const bare = Engine.layer.pipe(
          Layer.provide(Layer.succeed(Persistence, store)),
          Layer.provide(EngineConfig.layerWith({ watchdog: false }))
        )
        yield* Effect.provide(
          Effect.flatMap(Engine, (engine) => Effect.forEach(runs, (run) => engine.take(run))),
          bare
        )
        expect(yield* store.get(paused)).toMatchObject({ status: "waiting", owner: null, readyAt: null })
        expect(isPaused(yield* store.get(paused))).toBe(true)
        for (const run of [cancelling, answered]) {
          expect(yield* store.get(run)).toMatchObject({ status: "waiting", owner: null, error: null })
          expect((yield* store.get(run)).readyAt).not.toBeNull()
        }
        const two = yield* engineOn(store, world)
        expect((yield* two.engine.await(cancelling)).status).toBe("cancelled")
        expect((yield* two.engine.await(answered)).status).toBe("completed")
        yield* two.close
      })
    )
  )
})

describe("a message that comes while an engine is shut down", () => {
  for (const message of ["cancel", "pause"] as const) {
    it.live(`is found by the next one: a ${message}`, () =>
      withVirtualClock(
        Effect.gen(function* () {
          const store = (yield* MemoryPersistence.make()).service
          const began = Deferred.unsafeMake<void>(FiberId.none)
          // Takes its time to be interrupted: the run is still here when the message arrives.
          const slow: Executor = () =>
            Effect.zipRight(
              Deferred.succeed(began, undefined),
              Effect.onInterrupt(Effect.never, () => Effect.sleep(1_000))
            )
          const world: World = { actions: { slow } }
          const one = yield* engineOn(store, world)
          const run = yield* Effect.provide(start("workflow w { call slow }"), one.services)
          yield* Deferred.await(began)
          const closing = yield* Effect.fork(one.close)
          yield* Effect.sleep(100)
          yield* Effect.provideService(Client[message](run), Persistence, store)
          yield* closing.await
          expect((yield* store.load(run)).inbox).toHaveLength(1)
          const two = yield* engineOn(store, world)
          if (message === "cancel") expect(yield* two.engine.await(run)).toMatchObject({ status: "cancelled" })
          else yield* Effect.provide(untilPaused(run), two.services)
          yield* two.close
        })
      )
    )
  }
})

describe("a child", () => {
  const world: World = {
    workflows: ["workflow ask { gate human_review {} call a }"],
    actions: { a: ok }
  }

  it.live("that is paused by itself is what its parent waits for; unpausing either lets it go on", () =>
    scenario(
      world,
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const childOf = (run: RunId) =>
          Effect.map(persistence.list({ parent: run, limit: 1 }), ([child]) => child?.id ?? expect.fail("no child"))
        for (const asked of ["child", "parent"] as const) {
          const run = yield* start("workflow w { call workflow ask }")
          yield* untilStatus(run, "waiting")
          const child = yield* childOf(run)
          yield* Client.pause(child)
          yield* untilPaused(child)
          yield* Effect.sleep(1_000)
          const parent = yield* persistence.get(run)
          expect(isPaused(parent)).toBe(false)
          expect(parent.blockedOn.map(({ _tag, run: of }) => [_tag, of])).toEqual([
            ["paused", child],
            ["gate", child]
          ])
          yield* Client.answer(run, { approved: true })
          yield* Client.unpause(asked === "child" ? child : run)
          expect(yield* engine.await(run)).toMatchObject({ status: "completed" })
        }
      })
    )
  )

  it.live("that was created when its parent was paused begins nothing further", () => {
    const begun: Array<string> = []
    return withVirtualClock(
      Effect.gen(function* () {
        const memory = yield* MemoryPersistence.make()
        // The pause arrives in the commit that creates the child.
        let parent: RunId | undefined
        const pausing = <E>(write: Effect.Effect<void, E>, run: RunId, changes: ReadonlyArray<Change>) => {
          if (!changes.some(({ _tag }) => _tag === "Create")) return write
          parent = run
          return Effect.zipLeft(write, Effect.orDie(memory.service.send(run, { _tag: "Pause" }, 1)))
        }
        const store: PersistenceService = {
          ...memory.service,
          createWith: (run, changes) => pausing(memory.service.createWith(run, changes), run.id, changes),
          commit: (commit) => pausing(memory.service.commit(commit), commit.run, commit.changes)
        }
        const note: Executor = ({ name }) =>
          Effect.zipRight(
            Effect.sync(() => begun.push(name)),
            Effect.as(Effect.sleep(50), {})
          )
        const world: World = { workflows: ["workflow sub { call a call b }"], fallback: note }
        const one = yield* engineOn(store, world)
        const run = yield* Effect.provide(start("workflow w { call workflow sub call c }"), one.services)
        yield* Effect.provide(untilPaused(run), one.services)
        expect(parent).toBe(run)
        const [child] = yield* store.list({ parent: run, limit: 1 })
        yield* Effect.provide(untilPaused(child?.id ?? expect.fail("no child")), one.services)
        // Its first step at most: the pause and the start of the child cross.
        expect(begun.length).toBeLessThan(2)
        yield* Effect.provide(Client.unpause(run), one.services)
        expect(yield* one.engine.await(run)).toMatchObject({ status: "completed" })
        expect(begun).toEqual(["a", "b", "c"])
        yield* one.close
      })
    )
  })
})

describe("children that live elsewhere", () => {
  /** An engine whose children go to another one with a store of its own; `reachable` says whether that answers. */
  const stage = (world: World, settings: World["settings"] = {}) =>
    Effect.gen(function* () {
      const store = (yield* MemoryPersistence.make()).service
      const theirs = (yield* MemoryPersistence.make()).service
      const second = yield* engineOn(theirs, world)
      const line = { isUp: true }
      const other = otherEngine({ engine: second.engine, persistence: theirs })
      const runner: ChildRunnerService = {
        ...other,
        send: (child, message) =>
          Effect.suspend(() =>
            line.isUp ? other.send(child, message) : Effect.fail(new ChildRunnerFailed({ message: "no network" }))
          )
      }
      const here = Effect.gen(function* () {
        const scope = yield* Scope.make()
        const layer = virtualLayer({ ...world, settings: { resolverInterval: 500, ...settings } }, store)
        const services = yield* Layer.buildWithScope(Layer.provide(layer, ChildRunner.layerWith(runner)), scope)
        return { services, engine: Context.get(services, Engine), close: Scope.close(scope, Exit.void) }
      })
      return { store, theirs, line, here, second }
    })

  const theChild = (theirs: PersistenceService) =>
    Effect.gen(function* () {
      for (;;) {
        const [child] = yield* theirs.list({ limit: 1 })
        if (child !== undefined) return child.id
        yield* Effect.sleep(1)
      }
    })

  const world: World = { workflows: ["workflow ask { gate human_review {} call a }"], actions: { a: ok } }

  for (const when of ["is here", "was let go"] as const) {
    it.live(`are paused and unpaused with their parent, which ${when}`, () =>
      withVirtualClock(
        Effect.gen(function* () {
          const { store, theirs, here } = yield* stage(world, { linger: when === "is here" ? 60 * minute : 1 })
          const one = yield* here
          const run = yield* Effect.provide(start("workflow w { call workflow ask call a }"), one.services)
          yield* Effect.provide(untilStatus(run, "waiting"), one.services)
          const child = yield* theChild(theirs)
          const told = Effect.provideService(Persistence, store)
          yield* told(Client.pause(run))
          yield* told(untilPaused(run))
          yield* Effect.provideService(untilPaused(child), Persistence, theirs)
          yield* Effect.provideService(Client.answer(child, { approved: true }), Persistence, theirs)
          yield* Effect.sleep(minute)
          expect(isPaused(yield* theirs.get(child))).toBe(true)
          yield* told(Client.unpause(run))
          expect(yield* one.engine.await(run)).toMatchObject({ status: "completed" })
          expect(yield* theirs.get(child)).toMatchObject({ status: "completed" })
          yield* one.close
        })
      )
    )
  }

  it.live(
    "are told when the other place answers again; until then their parent stays paused, also in another engine",
    () =>
      withVirtualClock(
        Effect.gen(function* () {
          const { store, theirs, line, here } = yield* stage(world, { linger: 1 })
          const one = yield* here
          const run = yield* Effect.provide(start("workflow w { call workflow ask call a }"), one.services)
          yield* Effect.provide(untilStatus(run, "waiting"), one.services)
          const child = yield* theChild(theirs)
          const told = Effect.provideService(Persistence, store)
          line.isUp = false
          yield* told(Client.pause(run))
          yield* Effect.sleep(minute)
          expect(isPaused(yield* theirs.get(child))).toBe(false)
          expect(isPaused(yield* store.get(run))).toBe(true)
          line.isUp = true
          yield* Effect.provideService(untilPaused(child), Persistence, theirs)
          line.isUp = false
          yield* told(Client.unpause(run))
          yield* Effect.sleep(minute)
          expect(isPaused(yield* store.get(run))).toBe(true)
          yield* one.close
          yield* loseEngines(store)
          const two = yield* here
          yield* Effect.sleep(minute)
          expect(isPaused(yield* theirs.get(child))).toBe(true)
          line.isUp = true
          yield* Effect.provideService(untilStatus(child, "waiting"), Persistence, theirs)
          while (isPaused(yield* theirs.get(child))) yield* Effect.sleep(1)
          yield* Effect.provideService(Client.answer(child, { approved: true }), Persistence, theirs)
          expect(yield* two.engine.await(run)).toMatchObject({ status: "completed" })
          yield* two.close
        })
      )
  )

  it.live("are not started while their parent is paused", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const theirs = (yield* MemoryPersistence.make()).service
        const store = (yield* MemoryPersistence.make()).service
        const second = yield* engineOn(theirs, world)
        const other = otherEngine({ engine: second.engine, persistence: theirs })
        let looks = 0
        const lost = Effect.fail(new ChildRunnerFailed({ message: "no network" }))
        const found = Deferred.unsafeMake<void>(FiberId.none)
        const runner: ChildRunnerService = {
          ...other,
          // The first look takes until the parent is paused, and fails.
          find: (child) =>
            Effect.suspend(() => (looks++ === 0 ? Effect.zipRight(Deferred.await(found), lost) : other.find(child)))
        }
        const scope = yield* Scope.make()
        const layer = virtualLayer({ ...world, settings: { resolverInterval: 500 } }, store)
        const services = yield* Layer.buildWithScope(Layer.provide(layer, ChildRunner.layerWith(runner)), scope)
        const engine = Context.get(services, Engine)
        const run = yield* Effect.provide(start("workflow w { call workflow ask }"), services)
        yield* Effect.provide(untilStep(run, "/workflow:ask", "running"), services)
        yield* Effect.sleep(10)
        const told = Effect.provideService(Persistence, store)
        yield* told(Client.pause(run))
        yield* Effect.sleep(10)
        yield* Deferred.succeed(found, undefined)
        yield* Effect.sleep(minute)
        const children = yield* theirs.list({ limit: 9 })
        expect(children.every(isPaused)).toBe(true)
        yield* told(Client.unpause(run))
        const child = yield* theChild(theirs)
        yield* Effect.provideService(untilStatus(child, "waiting"), Persistence, theirs)
        while (isPaused(yield* theirs.get(child))) yield* Effect.sleep(1)
        yield* Effect.provideService(Client.answer(child, { approved: true }), Persistence, theirs)
        expect(yield* engine.await(run)).toMatchObject({ status: "completed" })
        yield* Scope.close(scope, Exit.void)
      })
    )
  )
})
