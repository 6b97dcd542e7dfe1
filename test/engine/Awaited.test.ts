/**
 * Waiting for the ends of runs: each is told of its own run, wherever that lives.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { answer } from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { PersistenceError, type PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { virtualLayer } from "./durability/support.ts"
import { action, calm, definitionOf, type World } from "./TestEngine.ts"

const asked = definitionOf("workflow asked { gate human_review {} }")
const instant = definitionOf("workflow instant { call ok }")

/** Waiting runs leave at once, and the engine does nothing by itself. */
const world: World = { actions: { ok: action(() => ({})) }, settings: { ...calm, maxResident: 0 } }

/** A store that counts how often each run is looked at. */
const counting = Effect.map(MemoryPersistence.make(), ({ service }) => {
  const looks = new Map<RunId, number>()
  const store: PersistenceService = {
    ...service,
    get: (run) =>
      Effect.suspend(() => {
        looks.set(run, (looks.get(run) ?? 0) + 1)
        return service.get(run)
      })
  }
  return { store, looks }
})

const gone = Effect.gen(function* () {
  const run = yield* (yield* WorkflowFiles).start(asked)
  yield* (yield* Engine).awaitRelease(run)
  return run
})

const completed = (run: RunId) => Effect.flatMap(Engine, (engine) => engine.await(run))

describe("waiting for the end of a run that does not live here", () => {
  it.live("costs nothing while others come and leave", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const { looks, store } = yield* counting
        yield* Effect.gen(function* () {
          const run = yield* gone
          const waiting = yield* Effect.fork(completed(run))
          yield* Effect.sleep(10)
          const before = looks.get(run)
          const files = yield* WorkflowFiles
          for (let others = 0; others < 50; others++) yield* completed(yield* files.start(instant))
          expect(looks.get(run)).toBe(before)
          yield* answer(run, { approved: true })
          expect((yield* Fiber.join(waiting)).status).toBe("completed")
        }).pipe(Effect.provide(virtualLayer(world, store)))
      })
    )
  )

  it.live("ends within a second of its end in another engine, for all who wait", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const { service: store } = yield* MemoryPersistence.make()
        yield* Effect.gen(function* () {
          const run = yield* gone
          const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(completed(run)))
          // The other one takes it up: this one is full.
          const ended = yield* Effect.gen(function* () {
            yield* answer(run, { approved: true })
            yield* (yield* Engine).take(run)
            return yield* completed(run)
          }).pipe(Effect.provide(virtualLayer(world, store)))
          const seen = yield* Effect.forEach(waiting, Fiber.join)
          const at = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          expect(seen.map(({ status }) => status)).toEqual(["completed", "completed", "completed"])
          expect(at - (ended.endedAt ?? 0)).toBeLessThanOrEqual(1_000)
        }).pipe(Effect.provide(virtualLayer({ ...world, settings: { ...world.settings, watchdog: false } }, store)))
      })
    )
  )

  it.live("leaves no timer behind when it is interrupted", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const engine = yield* Engine
        const run = yield* gone
        yield* Effect.sleep(10)
        const deadlines = Effect.map(engine.stats, (stats) => stats.deadlines)
        const before = yield* deadlines
        const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(completed(run)))
        yield* Effect.sleep(5_000)
        expect(yield* deadlines).toBe(before + 1)
        yield* Fiber.interruptAll(waiting)
        yield* Effect.sleep(1)
        expect(yield* deadlines).toBe(before)
      }).pipe(Effect.provide(virtualLayer(world)))
    )
  )

  it.live("fails where the store cannot be looked at any more", () =>
    withVirtualClock(
      Effect.gen(function* () {
        const { service } = yield* MemoryPersistence.make()
        let isBroken = false
        const broken = new PersistenceError({ reason: "Io", message: "the disk is gone" })
        const store = { ...service, get: (run: RunId) => Effect.suspend(() => (isBroken ? broken : service.get(run))) }
        yield* Effect.gen(function* () {
          const waiting = yield* Effect.fork(completed(yield* gone))
          yield* Effect.sleep(10)
          isBroken = true
          expect(yield* Effect.flip(Fiber.join(waiting))).toBe(broken)
        }).pipe(Effect.provide(virtualLayer(world, store)))
      })
    )
  )
})
