/**
 * G4: who is told of a gate that waits for a person, how often, and what a crash changes about that.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { answer } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import { type GateNotice, GateNotifier, type GateNotifierService } from "../../../src/engine/GateNotice.ts"
import { type StartOptions, WorkflowFiles } from "../../../src/engine/interpreter/WorkflowFiles.ts"
import { resume } from "../../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { RunId } from "../../../src/persistence/Records.ts"
import { loseEngines } from "../../../src/testing/ProgramRunner.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { action, definitionOf, type World } from "../TestEngine.ts"
import { untilStatus, untilStep, virtualLayer } from "./support.ts"

/** An engine with a notifier, in a scope of its own. */
const engineOn = (store: PersistenceService, notifier: GateNotifierService, world: World = {}) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const layer = Layer.provide(virtualLayer(world, store), GateNotifier.layerWith(notifier))
    const services = yield* Layer.buildWithScope(layer, scope)
    return {
      engine: Context.get(services, Engine),
      start: (text: string, options: StartOptions = {}) =>
        Effect.orDie(Context.get(services, WorkflowFiles).start(definitionOf(text), options)),
      resume: (run: RunId) => Effect.provide(resume(run), services),
      close: Scope.close(scope, Exit.void)
    }
  })

const memory = Effect.map(MemoryPersistence.make(), ({ service }) => service)

const scenario = <A, E>(body: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
  withVirtualClock(Effect.scoped(body))

const on = <A, E, R>(store: PersistenceService, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Persistence, store)

/** Notes `run path` of each gate that it is told of. */
const noting =
  (notes: Array<GateNotice>): GateNotifierService =>
  (notice) =>
    Effect.sync(() => notes.push(notice))

const paths = (notes: ReadonlyArray<GateNotice>) => notes.map(({ gate }) => gate.path)

const isNoted = (store: PersistenceService, run: RunId, path = "/human_review") =>
  Effect.map(store.steps(run), (steps) => steps.find((step) => step.path === path)?.gate?.notifiedAt !== null)

const gated = 'workflow w { gate human_review { prompt = "Is {{who}} right?" } }'

describe("a gate that waits for a person", () => {
  it.live("is told of with what it asks, once, and the run waits like any other", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const notes: Array<GateNotice> = []
        const { engine, start } = yield* engineOn(store, noting(notes))
        const run = yield* start(
          'workflow w { inputs { who default = "Ann" } gate human_review { prompt = "{{who}}?" } }'
        )
        const left = yield* engine.awaitRelease(run)
        expect(left).toMatchObject({ status: "waiting", owner: null })
        expect(yield* isNoted(store, run)).toBe(true)
        expect(notes).toMatchObject([
          { run: { id: run, workflow: "w" }, gate: { run, name: "human_review", prompt: "Ann?", options: [] } }
        ])
        expect(notes[0]?.since).toBe((yield* store.steps(run))[0]?.startedAt)
        yield* on(store, answer(run, { approved: true }))
        expect((yield* engine.await(run)).status).toBe("completed")
        expect(notes.length).toBe(1)
        // What was known of it is kept in the record of its end.
        expect(yield* isNoted(store, run)).toBe(true)
      })
    )
  )

  it.live("is not told of again by whoever goes on with the run, for one reason or another", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const notes: Array<GateNotice> = []
        const text = `workflow w { parallel { call slow call slow2 } gate human_review {} }`
        const world: World = { actions: { slow: action(() => ({})), slow2: action(() => ({})) } }
        const one = yield* engineOn(store, noting(notes), world)
        const run = yield* one.start(text)
        yield* on(store, untilStatus(run, "waiting"))
        yield* one.close
        const two = yield* engineOn(store, noting(notes), world)
        yield* two.resume(run)
        yield* two.engine.awaitRelease(run)
        yield* loseEngines(store)
        const three = yield* engineOn(store, noting(notes), world)
        yield* three.resume(run)
        yield* three.engine.awaitRelease(run)
        expect(notes.length).toBe(1)
      })
    )
  )

  it.live("is told of anew where the engine died while it was telling", () =>
    scenario(
      Effect.gen(function* () {
        const before = yield* MemoryPersistence.make()
        const began = yield* Deferred.make<void>()
        const stuck = () => Effect.zipRight(Deferred.succeed(began, undefined), Effect.never)
        const one = yield* engineOn(before.service, stuck)
        const run = yield* one.start(gated)
        yield* Deferred.await(began)
        yield* on(before.service, untilStatus(run, "waiting"))
        const store = (yield* MemoryPersistence.make({ from: before.snapshot() })).service
        yield* loseEngines(store)
        const notes: Array<GateNotice> = []
        const two = yield* engineOn(store, noting(notes))
        while (notes.length === 0) yield* Effect.sleep(1)
        yield* two.engine.awaitRelease(run)
        expect(paths(notes)).toEqual(["/human_review"])
        expect(yield* isNoted(store, run)).toBe(true)
      })
    )
  )

  it.live("keeps its run resident until it is told of, and hands it to the next engine at a shutdown before", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const interrupted = yield* Deferred.make<void>()
        const stuck = () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        const one = yield* engineOn(store, stuck, { settings: { linger: 10, maxResident: 0 } })
        const run = yield* one.start(gated)
        yield* on(store, untilStatus(run, "waiting"))
        yield* one.engine.letGo(run)
        yield* Effect.sleep(60_000)
        expect(yield* one.engine.resident).toEqual([run])
        yield* one.close
        yield* Deferred.await(interrupted)
        expect(yield* isNoted(store, run)).toBe(false)
        const notes: Array<GateNotice> = []
        const two = yield* engineOn(store, noting(notes))
        while (!(yield* isNoted(store, run))) yield* Effect.sleep(1)
        yield* two.engine.awaitRelease(run)
        expect(notes.length).toBe(1)
      })
    )
  )

  it.live("is answered while it is being told of, and the telling holds up nothing", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const one = yield* engineOn(store, () => Effect.never)
        const run = yield* one.start(gated)
        yield* on(store, untilStatus(run, "waiting"))
        yield* on(store, answer(run, { approved: true }))
        expect((yield* one.engine.await(run)).status).toBe("completed")
        expect(yield* one.engine.resident).toEqual([])
        expect(yield* isNoted(store, run)).toBe(false)
      })
    )
  )

  it.live("of a child is told of once, as the child's, and not for the run above it", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const notes: Array<GateNotice> = []
        const { engine, start } = yield* engineOn(store, noting(notes), {
          workflows: ["workflow sub { gate human_approval {} }"]
        })
        const run = yield* start("workflow w { call workflow sub }")
        yield* engine.awaitRelease(run)
        const [child] = yield* store.list({ parent: run, limit: 1 })
        expect(notes.map((notice) => [notice.run.id, notice.gate.name])).toEqual([[child?.id, "human_approval"]])
      })
    )
  )

  it.live("is told of anew when it is done again from its step", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const notes: Array<GateNotice> = []
        const { engine, start, resume } = yield* engineOn(store, noting(notes))
        const run = yield* start(gated)
        yield* on(store, untilStatus(run, "waiting"))
        yield* on(store, answer(run, { approved: false }))
        expect((yield* engine.await(run)).status).toBe("failed")
        yield* resume(run)
        yield* on(store, untilStep(run, "/human_review", "waiting"))
        yield* engine.awaitRelease(run)
        expect(notes.length).toBe(2)
      })
    )
  )

  it.live("is nobody's concern in a dry run, where a resolver decides, and where nobody is to be told", () =>
    scenario(
      Effect.gen(function* () {
        const store = yield* memory
        const notes: Array<GateNotice> = []
        const gates = { checks: () => Effect.succeed({ _tag: "Approved" } as const) }
        const one = yield* engineOn(store, noting(notes), { gates })
        const resolved = yield* one.start("workflow w { gate checks {} }")
        expect((yield* one.engine.await(resolved)).status).toBe("completed")
        const dry = yield* one.start(gated, { dryRun: true })
        expect((yield* one.engine.await(dry)).status).toBe("completed")
        yield* one.close
        expect(notes).toEqual([])
        const two = yield* engineOn(store, () => undefined)
        const run = yield* two.start(gated)
        yield* two.engine.awaitRelease(run)
        expect(yield* isNoted(store, run)).toBe(false)
      })
    )
  )
})
