import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import { ActionFailed, type Executor } from "../../src/action/Action.ts"
import type { ItemProvider } from "../../src/action/ItemProvider.ts"
import { ChildRunner, ChildRunnerFailed, type ChildRunnerService, otherEngine } from "../../src/engine/ChildRunner.ts"
import * as Client from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import { action, awaitEnd, layerOf, start, watch, type World } from "./TestEngine.ts"

const ok = action(() => ({}))

/** A second engine with a store of its own, and what it makes of children. */
const secondEngine = (world: World, accepts?: (workflow: string) => boolean) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Layer.fresh(layerOf(world)))
    const engine = Context.get(context, Engine)
    const persistence = Context.get(context, Persistence)
    const runner = otherEngine({
      engine,
      persistence,
      ...(accepts === undefined ? {} : { accepts: ({ workflow }) => accepts(workflow) })
    })
    return { engine, persistence, runner }
  })

/** In an engine whose children go to a runner. */
const here =
  (world: World, runner: ChildRunnerService, store?: PersistenceService) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provide(Layer.provide(layerOf(world, store), ChildRunner.layerWith(runner))),
      Effect.provideService(ChildRunner, runner)
    )

const all = { limit: 100 }

const p: ItemProvider = {
  ordered: false,
  items: () => Effect.succeed({ items: ["1", "2"].map((id) => ({ type: "t", id, ref: id, context: {} })) })
}

describe("children in another engine and store", () => {
  it.scopedLive("give their results to their parents, and leave nothing in the parent's store", () =>
    Effect.gen(function* () {
      const gives = action(({ variables }) => ({
        markers: ["m"],
        context: `for ${variables["x"] ?? variables["item.id"]}`,
        structuredOutput: { id: variables["item.id"] ?? "none" },
        metadata: { num_turns: "1" }
      }))
      const second = yield* secondEngine({ actions: { a: gives } })
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start(`workflow w {
          call workflow sub { inputs { x = "1" } }
          if sub.m { call b }
          foreach each { over = p workflow = sub max_parallel = 2 }
        }`)
        return yield* awaitEnd(id, watched)
      }).pipe(
        here(
          { actions: { b: ok }, workflows: [`workflow sub { inputs { x default = "" } call a }`], providers: { p } },
          second.runner
        )
      )
      expect(end.outline).toEqual(["/workflow:sub completed", "/if:sub.m/b completed", "/foreach:each completed"])
      expect(end.step("/workflow:sub").result.context).toBe("for 1")
      expect(end.run.totals.num_turns).toBe(3)
      expect(end.children).toEqual([])
      const theirs = yield* second.persistence.list(all)
      expect(theirs.map(({ status }) => status)).toEqual(["completed", "completed", "completed"])
      expect(theirs.map(({ id }) => id)).toContain(end.step("/workflow:sub").childRun)
    })
  )

  it.scopedLive("are only those that the runner accepts", () =>
    Effect.gen(function* () {
      const second = yield* secondEngine({ actions: { a: ok } }, (workflow) => workflow === "far")
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start("workflow w { call workflow near call workflow far }")
        return yield* awaitEnd(id, watched)
      }).pipe(
        here({ actions: { a: ok }, workflows: ["workflow near { call a }", "workflow far { call a }"] }, second.runner)
      )
      expect(end.children.map(({ workflow }) => workflow)).toEqual(["near"])
      expect((yield* second.persistence.list(all)).map(({ workflow }) => workflow)).toEqual(["far"])
    })
  )

  it.scopedLive("fail their parent's attempt, and a retry starts a new one", () =>
    Effect.gen(function* () {
      let calls = 0
      const flaky: Executor = () =>
        calls++ === 0 ? Effect.fail(new ActionFailed({ message: "no" })) : Effect.succeed({})
      const second = yield* secondEngine({ actions: { a: flaky } })
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start("workflow w { call workflow sub { retries = 1 } }")
        return yield* awaitEnd(id, watched)
      }).pipe(here({ workflows: ["workflow sub { call a }"] }, second.runner))
      expect(end.step("/workflow:sub").attempts.map(({ error }) => error)).toEqual(["a: no", null])
      expect(yield* second.persistence.list(all)).toHaveLength(2)
    })
  )

  it.scopedLive("are cancelled with their parent", () =>
    Effect.gen(function* () {
      const begun = Deferred.unsafeMake<void>(FiberId.none)
      const hang: Executor = () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
      const second = yield* secondEngine({ actions: { hang } })
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start("workflow w { call workflow sub }")
        yield* Deferred.await(begun)
        yield* Client.cancel(id)
        return yield* awaitEnd(id, watched)
      }).pipe(here({ workflows: ["workflow sub { call hang }"] }, second.runner))
      expect(end.outline).toEqual(["/workflow:sub cancelled"])
      const theirs = yield* second.persistence.list(all)
      expect(theirs.map(({ status, cancelReason }) => [status, cancelReason])).toEqual([
        ["cancelled", "parent cancelled"]
      ])
    })
  )

  it.scopedLive("show their gates on their parent, whose answer is theirs, also when it was let go meanwhile", () =>
    Effect.gen(function* () {
      const second = yield* secondEngine({ settings: { linger: 1 } })
      const end = yield* Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const watched = yield* watch
        const id = yield* start("workflow w { call workflow sub }")
        yield* watched.until((event): event is typeof event => event._tag === "RunWaiting" && event.run === id)
        const { blockedOn } = yield* persistence.get(id)
        expect(blockedOn.map(({ name }) => name)).toEqual(["human_approval"])
        yield* engine.letGo(id)
        expect((yield* engine.awaitRelease(id)).owner).toBeNull()
        const answered = yield* Client.answer(id, { approved: true })
        expect(answered.run).toBe(blockedOn[0]?.run)
        return yield* awaitEnd(id, watched)
      }).pipe(
        here(
          { workflows: ["workflow sub { gate human_approval { } }"], settings: { linger: 1e6, resolverInterval: 30 } },
          second.runner
        )
      )
      expect(end.run.status).toBe("completed")
    })
  )

  it.scopedLive("are started later where the other place does not answer at first", () =>
    Effect.gen(function* () {
      const second = yield* secondEngine({ actions: { a: ok } })
      let starts = 0
      const runner: ChildRunnerService = {
        ...second.runner,
        start: (child, definition) =>
          Effect.suspend(() =>
            starts++ === 0
              ? Effect.fail(new ChildRunnerFailed({ message: "no network" }))
              : second.runner.start(child, definition)
          )
      }
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start("workflow w { call workflow sub }")
        return yield* awaitEnd(id, watched)
      }).pipe(here({ workflows: ["workflow sub { call a }"], settings: { resolverInterval: 20 } }, runner))
      expect([end.run.status, starts]).toEqual(["completed", 2])
      expect(end.step("/workflow:sub").attempts).toHaveLength(1)
    })
  )

  it.scopedLive("are started by the next engine when their parent's was gone before it had started them", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const second = yield* secondEngine({ actions: { a: ok } })
      const asked = Deferred.unsafeMake<RunId>(FiberId.none)
      const silent: ChildRunnerService = {
        ...second.runner,
        start: (child) => Effect.zipRight(Deferred.succeed(asked, child.id), Effect.never)
      }
      const world: World = { workflows: ["workflow sub { call a }"] }
      const { id, child } = yield* Effect.gen(function* () {
        const id = yield* start("workflow w { call workflow sub }")
        return { id, child: yield* Deferred.await(asked) }
      }).pipe(here(world, silent, store))
      expect(yield* second.persistence.list(all)).toEqual([])
      const run = yield* Effect.flatMap(Engine, (engine) => engine.await(id)).pipe(here(world, second.runner, store))
      expect(run.status).toBe("completed")
      expect((yield* second.persistence.list(all)).map(({ id, status }) => [id, status])).toEqual([
        [child, "completed"]
      ])
    })
  )

  it.scopedLive("are opened again when their parent is resumed", () =>
    Effect.gen(function* () {
      let broken = true
      const a: Executor = () =>
        broken ? Effect.fail(new ActionFailed({ message: "no" })) : Effect.succeed({ markers: ["m"] })
      const second = yield* secondEngine({ actions: { first: ok, a } })
      const end = yield* Effect.gen(function* () {
        const engine = yield* Engine
        const watched = yield* watch
        const id = yield* start("workflow w { call workflow sub }")
        expect((yield* awaitEnd(id, watched)).run.status).toBe("failed")
        broken = false
        yield* resume(id)
        return yield* engine.await(id)
      }).pipe(here({ workflows: ["workflow sub { call first call a }"] }, second.runner))
      expect(end.status).toBe("completed")
      const theirs = yield* second.persistence.list(all)
      expect(theirs.map(({ status, epoch }) => [status, epoch])).toEqual([["completed", 2]])
    })
  )
})
