import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { PersistenceService } from "../../src/persistence/Persistence.ts"
import type { CrashPoint } from "../../src/testing/CrashPoints.ts"
import { crashing } from "../../src/testing/CrashPoints.ts"
import { engineRecord, runId, runRecord } from "../../src/testing/SampleRecords.ts"

const createThree = (store: PersistenceService) =>
  Effect.forEach(["A", "B", "C"], (id) => store.create(runRecord(id)), { discard: true })

const runs = (store: PersistenceService) =>
  Effect.map(store.list({ limit: 9 }), (all) => all.map((run) => String(run.id)))

const at = (moment: CrashPoint["moment"], rest: Partial<CrashPoint> = {}) =>
  Effect.map(MemoryPersistence.make(), ({ service }) => ({
    below: service,
    ...crashing(service, { at: 2, moment, ...rest })
  }))

describe("a crash point", () => {
  it.effect("before a write: it is not applied, and nothing returns any more", () =>
    Effect.gen(function* () {
      const { below, service, crash, reached } = yield* at("before")
      const fiber = yield* Effect.fork(createThree(service))
      yield* crash
      expect(reached()).toBe(true)
      expect(yield* runs(below)).toEqual(["A"])
      const reading = yield* Effect.fork(service.get(runId("A")))
      yield* Effect.yieldNow()
      expect([(yield* Fiber.poll(fiber))._tag, (yield* Fiber.poll(reading))._tag]).toEqual(["None", "None"])
    })
  )

  it.effect("after a write: it is applied, and nothing returns any more", () =>
    Effect.gen(function* () {
      const { below, service, crash } = yield* at("after")
      const fiber = yield* Effect.fork(createThree(service))
      yield* crash
      expect(yield* runs(below)).toEqual(["B", "A"])
      expect((yield* Fiber.poll(fiber))._tag).toBe("None")
    })
  )

  it.effect("can make everything fail instead", () =>
    Effect.gen(function* () {
      const { service } = yield* at("after", { onceDead: "fail" })
      expect(yield* Effect.flip(createThree(service))).toMatchObject({ reason: "Io" })
      expect(yield* Effect.flip(service.get(runId("A")))).toMatchObject({ reason: "Io" })
    })
  )

  it.effect("that loses an answer, or refuses a write, lets the process go on", () =>
    Effect.gen(function* () {
      for (const [moment, expected] of [
        ["unanswered", ["C", "B", "A"]],
        ["refused", ["C", "A"]]
      ] as const) {
        const { below, service, writes } = yield* at(moment)
        expect(yield* Effect.flip(createThree(service))).toMatchObject({ reason: "Io", transient: true })
        yield* service.create(runRecord("C"))
        expect(yield* runs(below)).toEqual(expected)
        expect(writes()).toBe(3)
      }
    })
  )

  it.effect("counts only the writes that it is told to", () =>
    Effect.gen(function* () {
      const { service, writes, reached } = yield* at("before", { only: ["commit"] })
      yield* createThree(service)
      yield* service.renewEngine(engineRecord("ann", 1))
      expect([writes(), reached()]).toEqual([0, false])
    })
  )
})
