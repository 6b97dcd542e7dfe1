/** B2–B4: time and chance inside a body are the workflow's own, and a replay finds them again. */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, outline } from "./support.ts"

const Work = Action.make("work", { payload: Schema.Number, success: Schema.Number })
/** Takes its time, and gives the time that the process's clock shows then. */
const handlers = Work.toLayer((millis) => Effect.zipRight(Effect.sleep(millis), Clock.currentTimeMillis))

const Body = Workflow.make("body", { payload: Schema.Void, success: Schema.Unknown })
type Needs = Workflow.WorkflowRun | Action.HandlerOf<typeof Work>
const code = (body: Effect.Effect<unknown, unknown, Needs>) =>
  Layer.provide(
    Body.toLayer(() => Effect.orDie(body)),
    handlers
  )

/** Runs a body to its end; `restarts`: as often it is let go and taken up by another engine. */
const run = (body: Effect.Effect<unknown, unknown, Needs>, restarts = 0) =>
  withVirtualClock(
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const layer = () => engine(store, code(body))
      if (restarts === 0) {
        const id = yield* Effect.provide(Effect.tap(Body.start(undefined), Body.await), layer())
        return { value: yield* Effect.provide(Body.await(id), layer()), rows: yield* outline(store, id) }
      }
      const id = yield* Effect.provide(
        Effect.tap(Body.start(undefined), (id) => letGo(store, id)),
        layer()
      )
      for (let n = 1; n < restarts; n++) {
        yield* Effect.provide(Effect.zipRight(resume(id), letGo(store, id)), layer())
      }
      return { value: yield* Effect.provide(Body.await(id), layer()), rows: yield* outline(store, id) }
    })
  )

describe("the time of a body", () => {
  it.live("is that of the primitives it has passed, and stands still between them", () =>
    Effect.gen(function* () {
      const { value } = yield* run(
        Effect.gen(function* () {
          const start = yield* Clock.currentTimeMillis
          const at = (time: number) => time - start
          const worked = yield* Action.call(Work, 300)
          const after = yield* Clock.currentTimeMillis
          const nanos = yield* Clock.currentTimeNanos
          yield* Workflow.sleep("2 seconds")
          const slept = DateTime.toEpochMillis(yield* DateTime.now)
          return [at(worked), at(after), nanos === BigInt(after) * 1_000_000n, at(slept)]
        })
      )
      expect(value).toEqual([300, 300, true, 2_300])
    })
  )

  it.live("is the same in every replay, however late that is, in branches too", () =>
    Effect.gen(function* () {
      const seen: Array<ReadonlyArray<number>> = []
      const body = Effect.gen(function* () {
        const start = yield* Clock.currentTimeMillis
        const times: Array<number> = []
        const note = Effect.map(Clock.currentTimeMillis, (time) => void times.push(time - start))
        yield* note
        yield* Action.call(Work, 100).pipe(Workflow.withCompensation(() => Effect.void))
        yield* note
        yield* Workflow.all([
          Effect.zipRight(note, Effect.zipRight(Action.call(Work, 200), note)),
          Effect.delay(note, "50 millis")
        ])
        yield* note
        yield* Workflow.race({ one: Action.call(Work, 10), other: Workflow.sleep("1 day") })
        yield* note
        seen.push(times.toSorted((a, b) => a - b))
        yield* Workflow.sleep("20 seconds")
        return true
      })
      yield* run(body, 3)
      expect(seen).toHaveLength(4)
      expect(seen[0]).toEqual([0, 100, 100, 150, 300, 300, 310])
      for (const times of seen) expect(times).toEqual(seen[0])
    })
  )

  it.live("makes Effect.sleep, and the delays of a retry, durable", () =>
    Effect.gen(function* () {
      let failures = 0
      const { rows, value } = yield* run(
        Effect.gen(function* () {
          const start = yield* Workflow.now
          yield* Effect.sleep("20 seconds")
          yield* Effect.suspend(() => Effect.zipRight(Workflow.uuid, Effect.fail("not yet"))).pipe(
            Effect.retry({ times: 2, schedule: Schedule.spaced("1 second") }),
            Effect.catchAll(() => Effect.sync(() => void (failures += 1)))
          )
          return (yield* Workflow.now) - start
        }),
        1
      )
      expect(value).toBe(22_000)
      expect(failures).toBe(1)
      expect(rows).toEqual([
        "/now completed",
        "/sleep completed",
        "/uuid completed",
        "/sleep~2 completed",
        "/uuid~2 completed",
        "/sleep~3 completed",
        "/uuid~3 completed",
        "/now~2 completed",
        "/@body completed"
      ])
    })
  )

  it.live("Effect.timeout dies and names what to use, as any other fork that sleeps", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.sandbox(run(Effect.timeout(Workflow.sleep("1 hour"), "1 second"))).pipe(Effect.mapError(String))
      )
      expect(error).toContain("Workflow.all, race or timeout instead of Effect.all, race, timeout or fork")
    })
  )

  it.live("is not what handlers see: their clock is the process's", () =>
    Effect.gen(function* () {
      const { value } = yield* run(
        Effect.gen(function* () {
          const [a, b] = yield* Workflow.all([Action.call(Work, 100), Action.call(Work, 250)])
          return b - a
        })
      )
      expect(value).toBe(150)
    })
  )
})

describe("chance in a body", () => {
  it.live("is the same in every replay, and of each branch's own", () =>
    Effect.gen(function* () {
      const seen: Array<ReadonlyArray<number>> = []
      const body = Effect.gen(function* () {
        const first = yield* Random.next
        const [a, b] = yield* Workflow.all([
          Effect.zipRight(Action.call(Work, 50), Random.next),
          Effect.zipRight(Action.call(Work, 10), Random.next)
        ])
        const shuffled = yield* Random.shuffle([1, 2, 3, 4, 5, 6, 7, 8])
        seen.push([first, a, b, ...shuffled])
        yield* Workflow.sleep("20 seconds")
      })
      yield* run(body, 2)
      expect(seen).toHaveLength(3)
      for (const draws of seen) expect(draws).toEqual(seen[0])
      expect(new Set(seen[0]?.slice(0, 3)).size).toBe(3)
    })
  )

  it.live("goes on the same behind Workflow.random, which a replay does not draw again", () =>
    Effect.gen(function* () {
      const seen: Array<ReadonlyArray<number>> = []
      const body = Effect.gen(function* () {
        const drawn = [yield* Random.next, yield* Workflow.random, yield* Random.next]
        seen.push(drawn)
        yield* Workflow.sleep("20 seconds")
      })
      yield* run(body, 2)
      expect(seen).toHaveLength(3)
      for (const draws of seen) expect(draws).toEqual(seen[0])
      expect(new Set(seen[0]).size).toBe(3)
    })
  )

  it.live("differs from run to run", () =>
    Effect.gen(function* () {
      const one = yield* run(Random.next)
      const other = yield* run(Random.next)
      expect(one.value).not.toBe(other.value)
    })
  )
})
