/**
 * I7 and design.md, "Ownership": one owner per generation, whoever else is about.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Executor } from "../../../src/action/Action.ts"
import { answer, cancel, pause } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import { resume } from "../../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, PersistenceError, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { EngineRecord, RunId } from "../../../src/persistence/Records.ts"
import { intercept } from "../../../src/testing/CrashPoints.ts"
import { loseEngines } from "../../../src/testing/ProgramRunner.ts"
import { engineRecord, runRecord } from "../../../src/testing/SampleRecords.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { action, definitionOf, type World } from "../TestEngine.ts"
import { untilStatus, untilStep, virtualLayer } from "./support.ts"

const ok = action(() => ({}))

/** An engine of its own on a store, in a scope of its own. */
const engineOn = (store: PersistenceService, world: World) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const services = yield* Layer.buildWithScope(virtualLayer(world, store), scope)
    const engine = Context.get(services, Engine)
    return {
      engine,
      start: (text: string) => Effect.orDie(Context.get(services, WorkflowFiles).start(definitionOf(text))),
      resume: (run: RunId) => Effect.provide(resume(run), services),
      close: Scope.close(scope, Exit.void)
    }
  })

const memory = Effect.map(MemoryPersistence.make(), ({ service }) => service)

const scenario = <A, E>(body: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
  Logger.withMinimumLogLevel(withVirtualClock(Effect.scoped(body)), LogLevel.Error)

const on = <A, E, R>(store: PersistenceService, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Persistence, store)

/** Takes as long as it is told to, and counts. */
const slow =
  (log: Array<string>, name: string, ms: number): Executor =>
  (call) =>
    Effect.suspend(() => {
      log.push(`${name} began ${call.name}`)
      return Effect.as(
        Effect.onExit(Effect.sleep(ms), (exit) => Effect.sync(() => log.push(`${name} ${exit._tag}`))),
        {}
      )
    })

describe("two engines on one store", () => {
  it.live("refuse each other's runs while the lease holds, and take what is free", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const one = yield* engineOn(store, { actions: { a: slow([], "one", 60_000) } })
        const two = yield* engineOn(store, { actions: { a: ok } })
        const run = yield* one.start("workflow w { call a }")
        yield* on(store, untilStep(run, "/a", "running"))
        expect(yield* Effect.flip(two.engine.take(run))).toMatchObject({
          _tag: "RunAlreadyOwned",
          owner: one.engine.id
        })
        yield* one.engine.take(run)
        expect((yield* two.engine.await(run)).status).toBe("completed")
      })
    )
  )

  it.live("do not mix on a run: the stale one's write is refused, and it stops without touching anything further", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const log: Array<string> = []
        const one = yield* engineOn(store, { actions: { a: slow(log, "one", 500), clean: slow(log, "one", 1) } })
        const run = yield* one.start("workflow w { call a always { call clean } }")
        yield* on(store, untilStep(run, "/a", "running"))
        const events = yield* one.engine.events((event) => event._tag === "LeaseLost")
        // Another engine believes that the first one is gone, and takes the run at once.
        yield* loseEngines(store)
        const two = yield* engineOn(store, { actions: { a: slow(log, "two", 5_000), clean: slow(log, "two", 1) } })
        yield* two.engine.take(run)
        const { generation } = yield* store.get(run)
        expect(generation).toBe(2)
        yield* one.engine.awaitRelease(run)
        expect(yield* one.engine.resident).toEqual([])
        expect(yield* Effect.flatten(Stream.runHead(events))).toMatchObject({ _tag: "LeaseLost", expired: false })
        expect((yield* two.engine.await(run)).status).toBe("completed")
        expect(log.filter((line) => line.startsWith("one"))).toEqual(["one began a", "one Success"])
        expect(log.filter((line) => line === "two Success").length).toBe(2)
        const steps = yield* store.steps(run)
        expect(steps[0]?.attempts.map((attempt) => attempt.outcome)).toEqual(["lost", "completed"])
      })
    )
  )

  it.live("and one that is given back a run which it had lost begins it anew", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const log: Array<string> = []
        const one = yield* engineOn(store, { actions: { a: slow(log, "one", 60_000) } })
        const run = yield* one.start("workflow w { call a }")
        yield* on(store, untilStep(run, "/a", "running"))
        // Somebody had it for a moment, unnoticed.
        yield* loseEngines(store)
        yield* store.claim(run, { engine: engineRecord("other", 0).id, now: 0 })
        expect((yield* one.engine.await(run)).status).toBe("completed")
        expect(log).toEqual(["one began a", "one Failure", "one began a", "one Success"])
        expect((yield* store.get(run)).generation).toBe(3)
      })
    )
  )

  it.live("share the work: neither has more than maxConcurrentRuns at once", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        let active = 0
        let most = 0
        const counted: Executor = () =>
          Effect.acquireUseRelease(
            Effect.sync(() => {
              active += 1
              most = Math.max(most, active)
            }),
            () => Effect.as(Effect.sleep(100), {}),
            () => Effect.sync(() => (active -= 1))
          )
        const first = yield* engineOn(store, { actions: { a: slow([], "first", 1e9) } })
        const runs = yield* Effect.forEach(Array.from({ length: 12 }), () => first.start("workflow w { call a }"))
        yield* first.close
        const settings = { maxConcurrentRuns: 3 }
        const one = yield* engineOn(store, { actions: { a: counted }, settings })
        yield* engineOn(store, { actions: { a: counted }, settings })
        for (const run of runs) expect((yield* one.engine.await(run)).status).toBe("completed")
        expect(most).toBe(6)
      })
    )
  )
})

describe("an engine", () => {
  it.live("whose lease cannot be renewed stops its runs at the lease's end, and goes on with them when it can", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        let isDown = false
        const down = new PersistenceError({ reason: "Io", message: "the disk is gone" })
        const flaky = intercept(store, {
          read: (effect) => effect,
          write: <A, E>(_name: string, effect: Effect.Effect<A, E>) =>
            Effect.suspend((): Effect.Effect<A, E | PersistenceError> => (isDown ? Effect.fail(down) : effect))
        })
        const log: Array<string> = []
        const one = yield* engineOn(flaky, { actions: { a: slow(log, "one", 50_000) } })
        const run = yield* one.start("workflow w { call a }")
        yield* on(store, untilStep(run, "/a", "running"))
        isDown = true
        yield* one.engine.awaitRelease(run)
        expect(log).toEqual(["one began a", "one Failure"])
        isDown = false
        expect((yield* one.engine.await(run)).status).toBe("completed")
        expect(log.slice(2)).toEqual(["one began a", "one Success"])
        expect((yield* store.get(run)).generation).toBe(1)
      })
    )
  )

  it.live("that shuts down leaves steps running and runs free, and runs no always", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const log: Array<string> = []
        const world = (name: string) => ({ actions: { a: slow(log, name, 5_000), clean: slow(log, name, 1) } })
        const one = yield* engineOn(store, world("one"))
        const run = yield* one.start("workflow w { call a always { call clean } }")
        yield* on(store, untilStep(run, "/a", "running"))
        yield* one.close
        expect(log).toEqual(["one began a", "one Failure"])
        expect(yield* store.get(run)).toMatchObject({ status: "running", owner: null })
        expect((yield* store.steps(run)).map((step) => `${step.path} ${step.status}`)).toEqual(["/a running"])
        const two = yield* engineOn(store, world("two"))
        const end = yield* two.engine.await(run)
        expect(end).toMatchObject({ status: "completed", recoveries: 0, generation: 2 })
        expect(log.slice(2)).toEqual(["two began a", "two Success", "two began clean", "two Success"])
      })
    )
  )

  // A cancellation was consumed by the run that was being stopped, which did not heed it any more.
  it.live("that shuts down leaves a cancellation that comes meanwhile to whoever goes on", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const stubborn: Executor = () => Effect.as(Effect.uninterruptible(Effect.sleep(1_000)), {})
        const one = yield* engineOn(store, { actions: { a: stubborn, b: ok } })
        const run = yield* one.start("workflow w { call a call b }")
        yield* on(store, untilStep(run, "/a", "running"))
        const closing = yield* Effect.fork(one.close)
        yield* Effect.sleep(100)
        yield* on(store, cancel(run))
        yield* Fiber.join(closing)
        expect(yield* store.get(run)).toMatchObject({ status: "running", owner: null })
        const two = yield* engineOn(store, { actions: { a: ok, b: ok } })
        expect((yield* two.engine.await(run)).status).toBe("cancelled")
      })
    )
  )

  // Its workflows are taken away before its runs have left; the child was parked as one that nobody knows.
  it.live("that shuts down hands back a child that is being taken up at that moment", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const isHeld = Deferred.unsafeMake<void>(FiberId.none)
        const isGoing = Deferred.unsafeMake<void>(FiberId.none)
        const held = Effect.zipRight(Deferred.succeed(isHeld, undefined), Deferred.await(isGoing))
        const slowly: PersistenceService = {
          ...store,
          load: (run) =>
            Effect.flatMap(store.get(run), ({ parent }) =>
              parent === null ? store.load(run) : Effect.zipRight(held, store.load(run))
            )
        }
        const world = { workflows: ["workflow sub { call a }"], actions: { a: ok } }
        const one = yield* engineOn(slowly, world)
        const run = yield* one.start("workflow w { call workflow sub }")
        yield* Deferred.await(isHeld)
        const closing = yield* Effect.fork(one.close)
        yield* Effect.sleep(100)
        yield* Deferred.succeed(isGoing, undefined)
        yield* Fiber.join(closing)
        const [child] = yield* store.list({ parent: run, limit: 1 })
        expect(child).toMatchObject({ owner: null })
        expect(child?.status).toMatch(/pending|running/)
        const two = yield* engineOn(store, world)
        expect((yield* two.engine.await(run)).status).toBe("completed")
      })
    )
  )

  it.live("shuts down before the layers that its actions use: no run fails for a pool that is closed", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        let isOpen = true
        const used: Array<boolean> = []
        const usesPool: Executor = () =>
          Effect.onInterrupt(Effect.as(Effect.never, {}), () => Effect.sync(() => used.push(isOpen)))
        const pool = Layer.scopedDiscard(
          Effect.addFinalizer(() =>
            Effect.sync(() => {
              isOpen = false
            })
          )
        )
        const scope = yield* Scope.make()
        const layer = virtualLayer({ actions: { a: usesPool } }, store).pipe(Layer.provideMerge(pool))
        const services = yield* Layer.buildWithScope(layer, scope)
        const run = yield* Effect.orDie(
          Context.get(services, WorkflowFiles).start(definitionOf("workflow w { call a }"))
        )
        yield* on(store, untilStep(run, "/a", "running"))
        yield* Scope.close(scope, Exit.void)
        expect(used).toEqual([true])
        expect(isOpen).toBe(false)
        expect((yield* store.get(run)).status).toBe("running")
      })
    )
  )

  it.live("without a watchdog takes only what it was given, and what is below that", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const hanging = { actions: { a: slow([], "first", 1e9) }, workflows: ["workflow sub { call a }"] }
        const first = yield* engineOn(store, hanging)
        const given = yield* first.start("workflow w { call workflow sub }")
        const other = yield* first.start("workflow w { call workflow sub }")
        yield* on(store, untilStep(given, "/a", "running"))
        yield* first.close
        const world = { ...hanging, actions: { a: ok }, settings: { watchdog: false } }
        const one = yield* engineOn(store, world)
        yield* one.engine.take(given)
        expect((yield* one.engine.await(given)).status).toBe("completed")
        yield* Effect.sleep(60_000)
        expect(yield* store.get(other)).toMatchObject({ status: "running", owner: null })
      })
    )
  )

  it.live("one of whose sources says nothing of what it runs looks at all runs", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const one = yield* engineOn(store, { actions: { a: ok } })
        const free = { status: "pending", startedAt: null, readyAt: 1, definition: "other:1" } as const
        const run = runRecord("other", { ...free, workflow: "other" })
        yield* store.create(run)
        yield* Effect.sleep(60_000)
        expect((yield* store.get(run.id)).status).toBe("pending")
        yield* one.engine.register({
          accepts: ({ workflow }) => workflow === "other",
          make: () =>
            Effect.succeed({ body: () => Effect.succeed({ status: "completed", error: null, result: "its own" }) })
        })
        expect(yield* one.engine.await(run.id)).toMatchObject({ status: "completed", result: "its own" })
      })
    )
  )

  it.live("leaves runs alone whose definitions it does not know", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const one = yield* engineOn(store, { actions: { a: ok } })
        const run = yield* one.start("workflow w { call a }")
        const ended = yield* one.engine.await(run)
        const id = yield* one.engine.newRunId
        const free = { status: "pending", endedAt: null, startedAt: null, owner: null, readyAt: 0, seq: 0 } as const
        yield* store.create({ ...ended, ...free, id, root: id, definition: "code:other@1", idempotencyKey: null })
        yield* Effect.sleep(60_000)
        expect(yield* store.get(id)).toMatchObject({ status: "pending", owner: null, generation: ended.generation })
      })
    )
  )

  it.live("finds out that a run was created, or claimed, when the store's answer was lost", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const lost = new PersistenceError({ reason: "Io", message: "no answer" })
        let losing = 2
        const deaf = intercept(store, {
          read: (effect) => effect,
          write: (name, effect) =>
            (name === "create" || name === "claim" || name === "claimReady") && losing > 0
              ? Effect.flatMap(effect, (result) => {
                  if (Array.isArray(result) && result.length === 0) return Effect.succeed(result)
                  losing -= 1
                  return Effect.fail(lost)
                })
              : effect
        })
        const one = yield* engineOn(deaf, { actions: { a: slow([], "one", 1e9) } })
        const run = yield* one.start("workflow w { call a }")
        yield* on(store, untilStep(run, "/a", "running"))
        yield* one.close
        losing = 1
        const two = yield* engineOn(deaf, { actions: { a: ok } })
        expect((yield* two.engine.await(run)).status).toBe("completed")
        expect(losing).toBe(0)
      })
    )
  )

  it.live("goes on with what it has claimed, though an answer was lost and one of the runs cannot be read", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const lost = new PersistenceError({ reason: "Io", message: "no answer" })
        const one = yield* engineOn(store, { actions: { a: slow([], "one", 1e9) } })
        const run = yield* one.start("workflow w { call a }")
        yield* Effect.sleep(10)
        // The newest is the first that is listed.
        const unreadable = yield* one.start("workflow w { call a }")
        for (const id of [run, unreadable]) yield* on(store, untilStep(id, "/a", "running"))
        yield* one.close
        let isLost = false
        const deaf = Persistence.of({
          ...store,
          load: (id) => (id === unreadable ? Effect.fail(lost) : store.load(id)),
          claimReady: (options) =>
            Effect.flatMap(store.claimReady(options), (claims) => {
              if (isLost || claims.length === 0) return Effect.succeed(claims)
              isLost = true
              return Effect.fail(lost)
            })
        })
        const two = yield* engineOn(deaf, { actions: { a: ok } })
        expect((yield* two.engine.await(run)).status).toBe("completed")
        expect((yield* store.get(unreadable)).owner).toBe(two.engine.id)
        expect(isLost).toBe(true)
      })
    )
  )
})

describe("a run that kills its engine", () => {
  it.live("again and again is parked with the reason, until somebody asks for it", () =>
    scenario(
      Effect.gen(function* () {
        const before = yield* MemoryPersistence.make()
        const first = yield* engineOn(before.service, { actions: { a: slow([], "first", 1e9) } })
        const run = yield* first.start("workflow w { call a always { call a } }")
        yield* on(before.service, untilStep(run, "/a", "running"))
        const store = (yield* MemoryPersistence.make({ from: before.snapshot() })).service
        for (let n = 1; n <= 10; n++) {
          yield* loseEngines(store)
          const other: EngineRecord = engineRecord(`other ${n}`, Date.UTC(2040, 0, 1))
          yield* store.renewEngine(other)
          yield* store.claim(run, { engine: other.id, now: Date.UTC(2035, 0, 1) })
        }
        yield* loseEngines(store)
        const log: Array<string> = []
        const last = yield* engineOn(store, { actions: { a: slow(log, "last", 10) } })
        yield* on(store, untilStatus(run, "needs_resume"))
        const parked = yield* store.get(run)
        expect(parked).toMatchObject({
          owner: null,
          error: "taken up 11 times without progress: its steps may kill their process"
        })
        expect((yield* store.steps(run)).map((step) => step.status)).toEqual(["running"])
        yield* Effect.sleep(3_600_000)
        yield* engineOn(store, { actions: { a: slow(log, "new", 10) } })
        yield* Effect.sleep(3_600_000)
        expect(log).toEqual([])
        yield* last.resume(run)
        expect((yield* last.engine.await(run)).status).toBe("completed")
      })
    )
  )
})

describe("a run that does not fit", () => {
  const text = "workflow w { gate human_review {} call a call b always { call clean } }"

  /** Parked: the action `b` is not there. */
  const parked = (store: PersistenceService, log: Array<string>) =>
    Effect.gen(function* () {
      const bad = yield* engineOn(store, { actions: { a: ok, clean: slow(log, "bad", 1) } })
      const run = yield* bad.start(text)
      yield* on(store, untilStatus(run, "waiting"))
      yield* on(store, answer(run, { approved: true }))
      yield* on(store, untilStatus(run, "needs_resume"))
      return { bad, run }
    })

  it.live("is parked with the error; no always runs, and nobody takes it up by himself", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const log: Array<string> = []
        const { bad, run } = yield* parked(store, log)
        const { seq } = yield* store.get(run)
        yield* Effect.sleep(3_600_000)
        const record = yield* store.get(run)
        expect(record).toMatchObject({ status: "needs_resume", owner: null, seq, endedAt: null, recoveries: 0 })
        expect(record.error).toContain("no action 'b'")
        expect(log).toEqual([])
        yield* bad.resume(run)
        yield* Effect.sleep(1_000)
        expect((yield* store.get(run)).status).toBe("needs_resume")
      })
    )
  )

  it.live("is tried once by each engine that starts and knows it: code that fits lets it go on", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const log: Array<string> = []
        const { run } = yield* parked(store, log)
        const worse = yield* engineOn(store, { actions: { a: ok } })
        yield* Effect.sleep(1_000)
        expect((yield* store.get(run)).status).toBe("needs_resume")
        yield* worse.close
        const good = yield* engineOn(store, { actions: { b: ok, clean: ok } })
        expect(yield* good.engine.await(run)).toMatchObject({ status: "completed", error: null, recoveries: 0 })
        expect(log).toEqual([])
      })
    )
  )

  it.live("keeps a parent waiting, without either of them being taken up over and over", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const workflows = ["workflow sub { call a call b }"]
        const bad = yield* engineOn(store, { workflows, actions: { a: ok } })
        const run = yield* bad.start("workflow w { call workflow sub }")
        yield* on(store, untilStatus(run, "waiting"))
        const { blockedOn, seq } = yield* store.get(run)
        expect(blockedOn).toMatchObject([{ _tag: "child", prompt: "no action 'b'" }])
        yield* Effect.sleep(3_600_000)
        expect((yield* store.get(run)).seq).toBe(seq)
        // Asking for the parent asks for what is parked below it.
        yield* bad.close
        const good = yield* engineOn(store, { workflows, actions: { a: ok, b: ok }, settings: { watchdog: false } })
        yield* good.resume(run)
        expect((yield* good.engine.await(run)).status).toBe("completed")
      })
    )
  )
})

describe("a cancellation", () => {
  it.live("that was recorded is finished by the next engine, although somebody asked for a pause meanwhile", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const stubborn: Executor = () => Effect.as(Effect.uninterruptible(Effect.sleep(60_000)), {})
        const one = yield* engineOn(store, { actions: { a: stubborn, clean: ok } })
        const run = yield* one.start("workflow w { call a always { call clean } }")
        yield* on(store, untilStep(run, "/a", "running"))
        yield* on(store, cancel(run))
        yield* on(store, untilStatus(run, "cancelling"))
        yield* one.close
        yield* on(store, pause(run))
        const two = yield* engineOn(store, { actions: { a: ok, clean: ok } })
        expect(yield* two.engine.await(run)).toMatchObject({ status: "cancelled", cancelReason: "user requested" })
        const steps = yield* store.steps(run)
        expect(steps.map(({ path, status }) => `${path} ${status}`)).toEqual([
          "/a cancelled",
          "/@body cancelled",
          "/@always/clean completed",
          "/@always completed"
        ])
      })
    )
  )
})

describe("a parked run", () => {
  it.live("does not hold up its parent when that is cancelled, and remembers that it is to end", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const log: Array<string> = []
        const workflows = ["workflow sub { call a call b always { call clean } }"]
        const bad = yield* engineOn(store, { workflows, actions: { a: ok } })
        const run = yield* bad.start("workflow w { call workflow sub }")
        yield* on(store, untilStatus(run, "waiting"))
        const asked = yield* Effect.map(Effect.clock, (clock) => clock.unsafeCurrentTimeMillis())
        yield* on(store, cancel(run))
        const end = yield* bad.engine.await(run)
        expect(end.status).toBe("cancelled")
        expect((end.endedAt ?? 0) - asked).toBeLessThan(1_000)
        const [child] = yield* store.list({ parent: run, limit: 1 })
        expect(child).toMatchObject({ status: "needs_resume", cancelReason: "parent cancelled" })
        const good = yield* engineOn(store, { workflows, actions: { a: ok, b: ok, clean: slow(log, "good", 1) } })
        const childEnd = yield* good.engine.await(child?.id ?? run)
        expect(childEnd).toMatchObject({ status: "cancelled", cancelReason: "parent cancelled" })
        expect(log).toEqual(["good began clean", "good Success"])
      })
    )
  )

  it.live("is cancelled where it is, if what is left to run is known there", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const log: Array<string> = []
        const workflows = ["workflow sub { call a call b always { call clean } }"]
        const bad = yield* engineOn(store, { workflows, actions: { a: ok, clean: slow(log, "bad", 1) } })
        const run = yield* bad.start("workflow w { call workflow sub }")
        yield* on(store, untilStatus(run, "waiting"))
        yield* on(store, cancel(run))
        expect((yield* bad.engine.await(run)).status).toBe("cancelled")
        const [child] = yield* store.list({ parent: run, limit: 1 })
        expect(child).toMatchObject({ status: "cancelled", cancelReason: "parent cancelled" })
        expect(log).toEqual(["bad began clean", "bad Success"])
      })
    )
  )

  it.live("that has not begun is cancelled without having run", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const one = yield* engineOn(store, { actions: { a: ok } })
        const run = yield* one.start("workflow w { call a }")
        const { endedAt: _e, ...ended } = yield* one.engine.await(run)
        const id = yield* one.engine.newRunId
        const blank = { status: "pending", startedAt: null, endedAt: null, summary: null, readyAt: null } as const
        const free = { owner: null, generation: 0, seq: 0, definition: "wf:unknown" } as const
        yield* store.create({ ...ended, ...blank, ...free, id, root: id })
        yield* one.engine.take(id)
        expect(yield* store.get(id)).toMatchObject({ status: "needs_resume", startedAt: null })
        yield* on(store, cancel(id))
        yield* one.engine.take(id)
        expect(yield* store.get(id)).toMatchObject({ status: "cancelled", startedAt: null })
      })
    )
  )
})

describe("a run that is let go", () => {
  it.live("is not, if a message comes at that very moment", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        let isSent = false
        const racing = intercept(store, {
          read: (effect) => effect,
          write: (name, effect) =>
            name !== "release" || isSent
              ? effect
              : Effect.suspend(() => {
                  isSent = true
                  return Effect.zipRight(
                    Effect.orDie(
                      on(
                        store,
                        Effect.flatMap(only(store), (run) => answer(run, { approved: true }))
                      )
                    ),
                    effect
                  )
                })
        })
        const one = yield* engineOn(racing, { actions: { a: ok } })
        const run = yield* one.start("workflow w { gate human_review {} call a }")
        expect((yield* one.engine.await(run)).status).toBe("completed")
        expect(isSent).toBe(true)
        expect((yield* store.get(run)).generation).toBe(1)
      })
    )
  )

  it.live("is found by a message that came between the decision and the release", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const isHeld = Deferred.unsafeMake<void>(FiberId.none)
        const isReleased = Deferred.unsafeMake<void>(FiberId.none)
        const slowly = intercept(store, {
          read: (effect) => effect,
          write: (name, effect) =>
            name === "release"
              ? Effect.zipRight(
                  Effect.zipRight(Deferred.succeed(isHeld, undefined), Deferred.await(isReleased)),
                  effect
                )
              : effect
        })
        const one = yield* engineOn(slowly, { actions: { a: ok } })
        const run = yield* one.start("workflow w { gate human_review {} call a }")
        yield* Deferred.await(isHeld)
        yield* on(store, answer(run, { approved: true }))
        // The message has been delivered to the run that is leaving.
        yield* Effect.sleep(100)
        yield* Deferred.succeed(isReleased, undefined)
        expect((yield* one.engine.await(run)).status).toBe("completed")
      })
    )
  )

  const only = (store: PersistenceService) =>
    Effect.map(store.list({ limit: 2 }), (runs) => {
      const [run] = runs
      if (run === undefined) throw new Error("there is no run")
      return run.id
    })
})
