import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { EngineEvent } from "../../src/engine/Events.ts"
import { JournalWriter } from "../../src/engine/JournalWriter.ts"
import type { SilentReason } from "../../src/engine/StopReason.ts"
import type { Change } from "../../src/persistence/Journal.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { LeaseLost, PersistenceError, type PersistenceService } from "../../src/persistence/Persistence.ts"
import { givingWay, moments } from "./GivingWay.ts"
import { crashing } from "../../src/testing/CrashPoints.ts"
import {
  engineId,
  itemRecord,
  runId,
  runRecord,
  stepPath,
  stepRecord,
  iterated
} from "../../src/testing/SampleRecords.ts"

const run = runId("A")

/** A writer of a run that is in the store, over whatever stands before that. */
const writerOn = (before: (store: PersistenceService) => PersistenceService) =>
  Effect.gen(function* () {
    const store = (yield* MemoryPersistence.make()).service
    yield* store.create(runRecord("A", { status: "running", owner: engineId("ann"), generation: 1 }))
    const seen = { lost: [] as Array<SilentReason>, violated: [] as Array<string>, events: [] as Array<EngineEvent> }
    const violation = yield* Deferred.make<string>()
    const lease = { holds: true }
    const writer = new JournalWriter({
      persistence: before(store),
      runtime: yield* Effect.runtime<never>(),
      clock: yield* Effect.clock,
      generation: 1,
      loaded: yield* store.load(run),
      checkInvariants: true,
      leaseHolds: () => lease.holds,
      publish: (events) => void seen.events.push(...events),
      lost: (reason) => void seen.lost.push(reason),
      violated: (message) => Deferred.unsafeDone(violation, Effect.succeed(message))
    })
    return { store, writer, seen, lease, violation: Deferred.await(violation) }
  })

const step = (path: string) => ({ _tag: "Step", step: stepRecord(path) }) as const
const warning = (message: string): EngineEvent => ({ _tag: "StorageTrouble", timestamp: 0, run, message })

describe("the writer of a run's journal", () => {
  it.live("commits what is appended in one turn together, and publishes its events after that", () =>
    Effect.gen(function* () {
      const { seen, store, writer } = yield* writerOn((store) => store)
      writer.append([step("/a")], [warning("one")])
      writer.append([step("/b"), iterated(1)], [warning("two")])
      expect(seen.events).toEqual([])
      yield* writer.flush
      expect((yield* store.get(run)).seq).toBe(1)
      expect((yield* store.steps(run)).map((row) => row.path)).toEqual(["/a", "/b"])
      expect(seen.events).toEqual([warning("one"), warning("two")])
    })
  )

  it.live("writes a row once a commit, however often it has changed", () =>
    Effect.gen(function* () {
      const commits: Array<ReadonlyArray<Change>> = []
      const { store, writer } = yield* writerOn((store) => ({
        ...store,
        commit: (commit) =>
          Effect.zipRight(
            Effect.sync(() => commits.push(commit.changes)),
            store.commit(commit)
          )
      }))
      const item = (status: "pending" | "completed") =>
        ({ _tag: "Item", item: itemRecord("/each", "file:a", { status }) }) as const
      const counted = (n: number) => ({ _tag: "Step", step: stepRecord("/each", { error: `${n}` }) }) as const
      for (let n = 1; n <= 10; n++) writer.append([counted(n), item(n < 10 ? "pending" : "completed"), iterated(n)])
      writer.append([step("/b")])
      yield* writer.flush
      const [changes = []] = commits
      expect(changes.filter(({ _tag }) => _tag === "Run").length).toBe(10)
      expect(changes.filter(({ _tag }) => _tag !== "Run")).toEqual([counted(10), item("completed"), step("/b")])
      expect((yield* store.steps(run)).map(({ error, path }) => [path, error])).toEqual([
        ["/each", "10"],
        ["/b", null]
      ])
    })
  )

  it.live("says so when the store does not hold what was written (I6)", () =>
    Effect.gen(function* () {
      const forgetful = (store: PersistenceService): PersistenceService => ({
        ...store,
        commit: (commit) => store.commit({ ...commit, changes: commit.changes.slice(1) })
      })
      const { violation, writer } = yield* writerOn(forgetful)
      writer.append([step("/a"), step("/b")])
      expect(yield* violation).toContain("I6: run A at commit 0: step /a#1: wrote")
    })
  )

  it.live("tries again after an error that may clear, and knows its own commit whose answer was lost", () =>
    Effect.gen(function* () {
      for (const moment of ["refused", "unanswered"] as const) {
        const flaky = (store: PersistenceService) => crashing(store, { at: 1, moment, only: ["commit"] }).service
        const { seen, store, writer } = yield* writerOn(flaky)
        writer.append([step("/a"), iterated(1)])
        yield* writer.flush
        writer.append([step("/b")])
        yield* writer.flush
        writer.append([iterated(2)])
        yield* writer.flush
        expect((yield* store.get(run)).seq).toBe(2)
        expect((yield* store.steps(run)).map((row) => row.path)).toEqual(["/a", "/b"])
        expect(seen.lost).toEqual([])
      }
    })
  )

  for (const [name, error] of [
    ["it lost the run", new LeaseLost({ run, generation: 1 })],
    ["the store fails for good", new PersistenceError({ reason: "ReadOnly", message: "read-only" })]
  ] as const) {
    it.live(`writes nothing further when ${name} (I7)`, () =>
      Effect.gen(function* () {
        let commits = 0
        const refusing = (store: PersistenceService): PersistenceService => ({
          ...store,
          commit: () => Effect.suspend(() => (++commits > 0 ? Effect.fail(error) : Effect.void))
        })
        const { seen, writer } = yield* writerOn(refusing)
        writer.append([step("/a")], [warning("never")])
        expect((yield* Effect.exit(writer.flush))._tag).toBe("Failure")
        writer.append([step("/b")])
        expect((yield* Effect.exit(writer.flush))._tag).toBe("Failure")
        expect([commits, seen.lost.length, seen.events]).toEqual([1, 1, []])
        expect(writer.live.has(stepPath("/b"))).toBe(false)
      })
    )
  }

  it.live("does not write after the lease has ended", () =>
    Effect.gen(function* () {
      const { lease, seen, store, writer } = yield* writerOn((store) => store)
      lease.holds = false
      writer.append([step("/a")])
      yield* Effect.exit(writer.flush)
      expect(seen.lost).toEqual([{ _tag: "LeaseLost" }])
      expect((yield* store.get(run)).seq).toBe(0)
    })
  )

  it.live("takes a defect of the store for its failure", () =>
    Effect.gen(function* () {
      const broken = (store: PersistenceService): PersistenceService => ({
        ...store,
        commit: () => Effect.dieMessage("a bug")
      })
      const { seen, writer } = yield* writerOn(broken)
      writer.append([step("/a")])
      yield* Effect.exit(writer.flush)
      expect(seen.lost[0]?._tag).toBe("StorageFailed")
    })
  )

  // The fiber gave way between looking whether a commit is under way and waiting for it: nobody woke it.
  it.live("wakes whoever waits for it, at whatever moment he began to wait", () =>
    Effect.gen(function* () {
      for (const { operations } of moments) {
        const { writer } = yield* writerOn((store) => store)
        const appended = Effect.sync(() => writer.append([step("/a")]))
        const flushed = givingWay(operations, Effect.zipRight(appended, writer.flush))
        const ended = yield* Effect.timeoutOption(flushed, "5 seconds")
        expect(ended._tag, `after ${operations} operations`).toBe("Some")
      }
    })
  )
})
