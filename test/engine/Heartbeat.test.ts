import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as TestClock from "effect/TestClock"
import type { Executor } from "../../src/action/Action.ts"
import { awaitEnd, calm, isEvent, layerOf, start, watch } from "./TestEngine.ts"

/** Reports `reports` in order, each as the test asks for it, then falls silent; a second attempt succeeds. */
const reporting = () => {
  const wanted = [0, 1, 2].map(() => Deferred.unsafeMake<unknown>(FiberId.none))
  const done = [0, 1, 2].map(() => Deferred.unsafeMake<unknown>(FiberId.none))
  const last: Array<unknown> = []
  const execute: Executor = (call) => {
    last.push(call.lastHeartbeat)
    if (call.attempt > 1) return Effect.succeed({})
    const beats = wanted.map((want, i) =>
      Effect.flatMap(Deferred.await(want), (details) =>
        Effect.zipRight(call.heartbeat(details), Deferred.succeed(done[i] ?? want, undefined))
      )
    )
    return Effect.zipRight(Effect.all(beats), Effect.never)
  }
  const beat = (i: number, details: unknown) =>
    Effect.gen(function* () {
      const want = wanted[i]
      const reported = done[i]
      if (want === undefined || reported === undefined) throw new Error(`no beat ${i}`)
      yield* Deferred.succeed(want, details)
      yield* Deferred.await(reported)
    })
  return { execute, beat, last }
}

describe("a step's heartbeat", () => {
  it.scoped("allows an attempt to go on as long as it reports, and interrupts one that falls silent", () =>
    Effect.gen(function* () {
      const { execute, beat, last } = reporting()
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start("workflow w { call a { heartbeat = 10s retries = 1 } }")
        yield* watched.until(isEvent("StepStarted"))
        yield* beat(0, { page: 1 })
        yield* TestClock.adjust("9 seconds")
        yield* beat(1, { page: 2 })
        yield* TestClock.adjust("9 seconds")
        yield* beat(2, { page: 3 })
        yield* TestClock.adjust("10 seconds")
        return yield* awaitEnd(id, watched)
      }).pipe(Effect.provide(layerOf({ actions: { a: execute }, settings: calm })))
      const [first, second] = end.step("/a").attempts
      expect([first?.outcome, first?.error]).toEqual(["timed_out", "no heartbeat for 10000 ms"])
      expect((first?.endedAt ?? 0) - (first?.startedAt ?? 0)).toBe(28_000)
      expect(second?.outcome).toBe("completed")
      expect(last).toEqual([undefined, { page: 3 }])
    })
  )

  it.scoped("leaves out details that JSON cannot keep, with one warning, and counts all the same", () =>
    Effect.gen(function* () {
      let calls = 0
      const a: Executor = (call) =>
        Effect.suspend(() => {
          calls += 1
          return Effect.as(Effect.all([call.heartbeat({ at: 5n }), call.heartbeat(() => 1)]), {})
        })
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        return yield* awaitEnd(yield* start("workflow w { call a }"), watched)
      }).pipe(Effect.provide(layerOf({ actions: { a }, settings: calm })))
      expect([end.run.status, calls]).toEqual(["completed", 1])
      expect(end.step("/a").attempts[0]).toMatchObject({ outcome: "completed", heartbeat: null })
      expect(end.step("/a").attempts[0]?.heartbeatAt).not.toBeNull()
      expect(end.events.filter(isEvent("StepWarning")).map(({ message }) => message)).toEqual([
        "the details of its heartbeat are left out, since JSON cannot keep them: Do not know how to serialize a BigInt"
      ])
    })
  )

  it.scoped("ends the step timed out when it was the last attempt", () =>
    Effect.gen(function* () {
      const { execute, beat } = reporting()
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start("workflow w { call a { heartbeat = 1s } }")
        yield* watched.until(isEvent("StepStarted"))
        yield* beat(0, null)
        yield* TestClock.adjust("1 seconds")
        return yield* awaitEnd(id, watched)
      }).pipe(Effect.provide(layerOf({ actions: { a: execute }, settings: calm })))
      expect(end.outline).toEqual(["/a timed_out"])
    })
  )

  it.scoped("is recorded at most every 5 s, but its last details reach the next attempt", () =>
    Effect.gen(function* () {
      const { execute, beat, last } = reporting()
      const end = yield* Effect.gen(function* () {
        const watched = yield* watch
        const id = yield* start("workflow w { call a { heartbeat = 10s retries = 1 } }")
        yield* watched.until(isEvent("StepStarted"))
        yield* beat(0, "first")
        yield* TestClock.adjust("2 seconds")
        yield* beat(1, "second")
        yield* beat(2, "third")
        yield* TestClock.adjust("10 seconds")
        return yield* awaitEnd(id, watched)
      }).pipe(Effect.provide(layerOf({ actions: { a: execute }, settings: calm })))
      expect(end.events.filter(isEvent("StepHeartbeat")).map(({ details }) => details)).toEqual(["first"])
      const [first] = end.step("/a").attempts
      expect([first?.heartbeat, (first?.heartbeatAt ?? 0) - (first?.startedAt ?? 0)]).toEqual(["third", 2_000])
      expect(last).toEqual([undefined, "third"])
    })
  )
})
