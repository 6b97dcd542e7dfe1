/**
 * Which runs an engine takes up by itself (K1, K2, K4), how many, and when it has nothing left to do.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Scope from "effect/Scope"
import type { Executor } from "../../../src/action/Action.ts"
import { answer } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import { submit } from "../../../src/engine/interpreter/NewWorkflowRun.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, PersistenceError, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { RunId, RunRecord } from "../../../src/persistence/Records.ts"
import { intercept } from "../../../src/testing/CrashPoints.ts"
import { loseEngines } from "../../../src/testing/ProgramRunner.ts"
import { engineRecord } from "../../../src/testing/SampleRecords.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { action, definitionOf, type World } from "../TestEngine.ts"
import { untilStatus, untilStep, virtualLayer } from "./support.ts"

const ok = action(() => ({}))

const engineOn = (store: PersistenceService, world: World) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const services = yield* Layer.buildWithScope(virtualLayer(world, store), scope)
    return {
      engine: Context.get(services, Engine),
      files: Context.get(services, WorkflowFiles),
      close: Scope.close(scope, Exit.void)
    }
  })

const memory = Effect.map(MemoryPersistence.make(), ({ service }) => service)

const scenario = <A, E>(body: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
  Logger.withMinimumLogLevel(withVirtualClock(Effect.scoped(body)), LogLevel.None)

const on = <A, E, R>(store: PersistenceService, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Persistence, store)

const submitted = (store: PersistenceService, text: string) => Effect.orDie(on(store, submit(definitionOf(text))))

/** Takes as long as it is told to. */
const slow =
  (ms: number): Executor =>
  () =>
    Effect.as(Effect.sleep(ms), {})

/** Notes what it is asked. */
const knowing =
  (asked: Array<RunId>, isKnown: (run: RunRecord) => boolean): World["knows"] =>
  (run) =>
    Effect.sync(() => {
      asked.push(run.id)
      return isKnown(run)
    })

describe("a run that was created without an engine", () => {
  it.live("is pending and free, with all that it was started with, and taken up by an engine that is there", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const { engine } = yield* engineOn(store, { actions: { a: ok } })
        const definition = definitionOf('workflow w { inputs { who default = "you" } call a }')
        const options = { dryRun: false, idempotencyKey: "k", settings: { model: "m", workingDirectory: "/x" } }
        const run = yield* Effect.orDie(on(store, submit(definition, options)))
        const created = yield* store.get(run)
        expect(created).toMatchObject({ status: "pending", owner: null, generation: 0, inputs: { who: "you" } })
        expect(created.settings).toMatchObject({ model: "m", workingDirectory: "/x" })
        expect(created.readyAt).toBe(created.createdAt)
        expect(yield* engine.await(run)).toMatchObject({ status: "completed", generation: 1, recoveries: 0 })
        const again = yield* Effect.flip(on(store, submit(definition, { ...options, idempotencyKey: "k" })))
        expect(again).toMatchObject({ _tag: "RunAlreadyExists", run })
      })
    )
  )

  it.live("is refused for the inputs that it lacks, and recorded nowhere", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const refused = on(store, submit(definitionOf("workflow w { inputs { who required } }")))
        expect(yield* Effect.flip(refused)).toMatchObject({ _tag: "InvalidInputs", missing: ["who"] })
        expect(yield* store.list({ limit: 10 })).toEqual([])
      })
    )
  )

  it.live("exists once though the store's answers were lost", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        let losing = 2
        const deaf = intercept(store, {
          read: (effect) => effect,
          write: (name, effect) =>
            name === "create" && losing-- > 0
              ? Effect.zipRight(effect, Effect.fail(new PersistenceError({ reason: "Io", message: "no answer" })))
              : effect
        })
        const run = yield* submitted(deaf, "workflow w {}")
        expect((yield* store.list({ limit: 10 })).map(({ id }) => id)).toEqual([run])
      })
    )
  )

  it.live("is cancelled at once, and nothing of it runs", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const run = yield* submitted(store, "workflow w { call a always { call a } }")
        yield* store.send(run, { _tag: "Cancel", reason: "user", text: null }, 0)
        const { engine } = yield* engineOn(store, { actions: { a: ok } })
        expect(yield* engine.await(run)).toMatchObject({ status: "cancelled", startedAt: null })
        expect((yield* store.steps(run)).filter(({ kind }) => kind === "call")).toEqual([])
      })
    )
  )
})

describe("an engine that looks at runs before it claims them (K4)", () => {
  it.live("leaves alone what it does not know, untouched, and takes the rest", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const theirs = yield* submitted(store, "workflow theirs { call b }")
        const before = yield* store.get(theirs)
        const ours = yield* submitted(store, "workflow ours { call a }")
        const knows = knowing([], ({ workflow }) => workflow === "ours")
        const { engine } = yield* engineOn(store, { actions: { a: ok }, knows })
        expect((yield* engine.await(ours)).status).toBe("completed")
        yield* Effect.sleep(60_000)
        expect(yield* store.get(theirs)).toEqual(before)
        const other = yield* engineOn(store, { actions: { b: ok }, knows: knowing([], () => true) })
        expect(yield* other.engine.await(theirs)).toMatchObject({ status: "completed", generation: 1 })
      })
    )
  )

  it.live("finds its own runs behind any number of others, and does not ask about those again and again", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        yield* Effect.forEach(Array.from({ length: 30 }), () => submitted(store, "workflow theirs {}"))
        const ours = yield* submitted(store, "workflow ours {}")
        const asked: Array<RunId> = []
        const knows = knowing(asked, ({ workflow }) => workflow === "ours")
        const settings = { claimBatch: 4, maxConcurrentRuns: 1 }
        const { engine } = yield* engineOn(store, { knows, settings })
        expect((yield* engine.await(ours)).status).toBe("completed")
        yield* Effect.sleep(100)
        expect(asked.length).toBe(31)
        for (let n = 0; n < 20; n++) {
          yield* submitted(store, "workflow ours {}")
          yield* Effect.sleep(100)
        }
        expect(asked.length).toBe(51)
        // What a run needs may have come.
        yield* Effect.sleep(5_000)
        expect(asked.length).toBe(81)
      })
    )
  )

  it.live("takes up a run as soon as it finds that it knows it", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const run = yield* submitted(store, "workflow w {}")
        let isThere = false
        const { engine } = yield* engineOn(store, { knows: knowing([], () => isThere) })
        yield* Effect.sleep(60_000)
        expect((yield* store.get(run)).status).toBe("pending")
        isThere = true
        expect((yield* engine.await(run)).status).toBe("completed")
      })
    )
  )

  it.live("leaves alone the runs of a dead engine and parked ones that it does not know, too", () =>
    scenario(
      Effect.gen(function* () {
        const before = yield* MemoryPersistence.make()
        const first = yield* engineOn(before.service, { actions: { a: slow(1e9) } })
        const definition = definitionOf("workflow w { call a }")
        const lost = yield* Effect.orDie(first.files.start(definition))
        yield* on(before.service, untilStep(lost, "/a", "running"))
        const store = (yield* MemoryPersistence.make({ from: before.snapshot() })).service
        yield* loseEngines(store)
        const parked = yield* submitted(store, "workflow w { call missing }")
        const ignorant = yield* engineOn(store, {})
        yield* on(store, untilStatus(parked, "needs_resume"))
        yield* on(store, untilStatus(lost, "needs_resume"))
        yield* ignorant.close
        const records = [yield* store.get(lost), yield* store.get(parked)]
        yield* engineOn(store, { knows: knowing([], () => false), actions: { a: ok, missing: ok } })
        yield* Effect.sleep(60_000)
        expect([yield* store.get(lost), yield* store.get(parked)]).toEqual(records)
        const { engine } = yield* engineOn(store, { knows: knowing([], () => true), actions: { a: ok, missing: ok } })
        for (const run of [lost, parked]) expect((yield* engine.await(run)).status).toBe("completed")
      })
    )
  )

  it.live("does not take up a run that another engine has parked meanwhile", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const run = yield* submitted(store, "workflow w { call a }")
        // Between the look and the claim somebody claims the run and parks it.
        const other = engineRecord("other", Date.UTC(2040, 0, 1))
        const parks = Effect.gen(function* () {
          yield* store.renewEngine(other)
          const { generation } = yield* store.claim(run, { engine: other.id, now: 0 })
          const patch = { status: "needs_resume", error: "it kills its process" } as const
          yield* store.commit({ run, generation, expectedSeq: 0, changes: [{ _tag: "Run", patch }] })
        })
        let isParked = false
        const knows: World["knows"] = () =>
          Effect.suspend(() => {
            if (isParked) return Effect.succeed(true)
            isParked = true
            return Effect.as(Effect.orDie(parks), true)
          })
        yield* engineOn(store, { knows, actions: { a: ok } })
        yield* Effect.sleep(60_000)
        expect(isParked).toBe(true)
        expect(yield* store.get(run)).toMatchObject({ status: "needs_resume", owner: null, generation: 1 })
      })
    )
  )
})

describe("a run that is being taken up while its engine shuts down", () => {
  it.live("is put back, and not parked for a workflow that has just left", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const isLoading = yield* Deferred.make<void>()
        const mayLoad = yield* Deferred.make<void>()
        const slowly = {
          ...store,
          load: (run: RunId) =>
            Effect.zipRight(
              Effect.zipRight(Deferred.succeed(isLoading, undefined), Deferred.await(mayLoad)),
              store.load(run)
            )
        }
        const run = yield* submitted(store, "workflow w { call a }")
        const one = yield* engineOn(slowly, { actions: { a: ok } })
        yield* Deferred.await(isLoading)
        const closing = yield* Effect.fork(one.close)
        yield* Effect.sleep(100)
        yield* Deferred.succeed(mayLoad, undefined)
        yield* Fiber.join(closing)
        expect(yield* store.get(run)).toMatchObject({ status: "pending", owner: null, error: null })
        const { engine } = yield* engineOn(store, { actions: { a: ok } })
        expect((yield* engine.await(run)).status).toBe("completed")
      })
    )
  )
})

describe("an engine with a limit of runs", () => {
  it.live("counts a run with all below it as one", () =>
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
        const workflows = ["workflow sub { call a }"]
        const runs = yield* Effect.forEach(Array.from({ length: 6 }), () =>
          submitted(store, "workflow w { call workflow sub }")
        )
        const { engine } = yield* engineOn(store, {
          actions: { a: counted },
          workflows,
          settings: { maxConcurrentRuns: 2 }
        })
        for (const run of runs) expect((yield* engine.await(run)).status).toBe("completed")
        expect(most).toBe(2)
      })
    )
  )
})

describe("an engine is drained", () => {
  it.live("when it has done all that it could take up, and not before", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const runs = yield* Effect.forEach(Array.from({ length: 7 }), () => submitted(store, "workflow w { call a }"))
        const { engine } = yield* engineOn(store, { actions: { a: slow(1_000) }, settings: { maxConcurrentRuns: 2 } })
        yield* engine.drained
        for (const run of runs) expect((yield* store.get(run)).status).toBe("completed")
        expect(yield* engine.resident).toEqual([])
      })
    )
  )

  it.live("when what is left waits for an answer or a time, or is not its own to run", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const gated = yield* submitted(store, "workflow gated { gate human_review {} }")
        const theirs = yield* submitted(store, "workflow theirs {}")
        const { engine } = yield* engineOn(store, { knows: knowing([], ({ workflow }) => workflow === "gated") })
        yield* engine.drained
        expect(yield* store.get(gated)).toMatchObject({ status: "waiting", owner: null })
        expect((yield* store.get(theirs)).status).toBe("pending")
        yield* on(store, answer(gated, { approved: true }))
        yield* engine.drained
        expect((yield* store.get(gated)).status).toBe("completed")
      })
    )
  )
})

describe("an engine whose store fails", () => {
  const failing = (store: PersistenceService, reason: PersistenceError["reason"], isDown: () => boolean) => {
    const down = new PersistenceError({ reason, message: "the disk is strange" })
    const maybe = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.suspend((): Effect.Effect<A, E | PersistenceError> => (isDown() ? Effect.fail(down) : effect))
    return intercept(store, { read: maybe, write: (_name, effect) => maybe(effect) })
  }

  it.live("says so where somebody has to see to it", () =>
    scenario(
      Effect.gen(function* () {
        let isDown = false
        const { engine } = yield* engineOn(
          failing(yield* memory, "ReadOnly", () => isDown),
          {}
        )
        const broken = yield* Effect.fork(Effect.flip(engine.broken))
        yield* Effect.sleep(60_000)
        expect(yield* Fiber.poll(broken)).toMatchObject({ _tag: "None" })
        isDown = true
        expect((yield* Fiber.join(broken)).message).toBe("the disk is strange")
      })
    )
  )

  it.live("goes on when it clears, and is not broken", () =>
    scenario(
      Effect.gen(function* () {
        let isDown = false
        const store = yield* memory
        const { engine } = yield* engineOn(
          failing(store, "Full", () => isDown),
          { actions: { a: ok } }
        )
        const broken = yield* Effect.fork(Effect.flip(engine.broken))
        isDown = true
        const run = yield* submitted(store, "workflow w { call a }")
        yield* Effect.sleep(60_000)
        expect((yield* store.get(run)).status).toBe("pending")
        isDown = false
        yield* on(store, untilStatus(run, "completed"))
        expect(yield* Fiber.poll(broken)).toMatchObject({ _tag: "None" })
      })
    )
  )
})
