import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { persistenceContract } from "../../src/testing/PersistenceContract.ts"
import {
  commitTo,
  iterated,
  engineId,
  itemRecord,
  runId,
  runRecord,
  stepRecord
} from "../../src/testing/SampleRecords.ts"

persistenceContract({ describe, it }, "memory", () => MemoryPersistence.layer)

describe("a memory store", () => {
  it("does all its work synchronously", () => {
    const { service } = Effect.runSync(MemoryPersistence.make())
    Effect.runSync(service.create(runRecord("A")))
    expect(Effect.runSync(service.get(runId("A"))).id).toBe("A")
  })

  it.effect("goes on from a snapshot, which later writes do not change", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryPersistence.make()
      const run = runRecord("A", { generation: 1 })
      yield* memory.service.create(run)
      const { generation } = yield* memory.service.claim(run.id, { engine: engineId("ann"), now: 1 })
      const owned = { ...run, generation }
      yield* memory.service.commit(commitTo(owned, iterated(1), { _tag: "Item", item: itemRecord("/each", "a") }))
      const snapshot = memory.snapshot()
      const step = { _tag: "Step", step: stepRecord("/one") } as const
      yield* memory.service.commit(commitTo({ ...owned, seq: 1 }, iterated(2), step))

      const copies = yield* Effect.all([
        MemoryPersistence.make({ from: snapshot }),
        MemoryPersistence.make({ from: snapshot })
      ])
      yield* copies[0].service.commit(
        commitTo({ ...owned, seq: 1 }, iterated(2), { _tag: "Item", item: itemRecord("/each", "b") })
      )
      const sizes = yield* Effect.forEach([memory, ...copies], ({ service }) =>
        Effect.map(service.load(run.id), ({ journal }) => [
          journal.run.seq,
          journal.steps.size,
          [...journal.items.values()].flatMap((items) => [...items.keys()])
        ])
      )
      expect(sizes).toEqual([
        [2, 1, ["a"]],
        [2, 0, ["a", "b"]],
        [1, 0, ["a"]]
      ])
    })
  )
})
