import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as fc from "fast-check"
import { awaitWithin, Deadlines } from "../../src/engine/Deadlines.ts"

const make = Effect.gen(function* () {
  return new Deadlines(yield* Effect.clock, yield* Effect.runtime<never>())
})

describe("deadlines", () => {
  it.effect("fire in the order of their times, once, when these have come", () =>
    Effect.gen(function* () {
      const deadlines = yield* make
      const fired: Array<string> = []
      deadlines.arm(30, () => fired.push("30"))
      deadlines.arm(10, () => fired.push("10"))
      deadlines.arm(20, () => fired.push("20"))
      expect(deadlines.size).toBe(3)
      yield* TestClock.adjust(9)
      expect(fired).toEqual([])
      yield* TestClock.adjust(11)
      expect(fired).toEqual(["10", "20"])
      yield* TestClock.adjust(100)
      expect(fired).toEqual(["10", "20", "30"])
      expect(deadlines.size).toBe(0)
    })
  )

  it.effect("do not fire when they are disarmed, which may be done twice", () =>
    Effect.gen(function* () {
      const deadlines = yield* make
      const fired: Array<string> = []
      const disarm = deadlines.arm(10, () => fired.push("10"))
      deadlines.arm(20, () => fired.push("20"))
      disarm()
      disarm()
      expect(deadlines.size).toBe(1)
      yield* TestClock.adjust(20)
      expect(fired).toEqual(["20"])
    })
  )

  it.effect("may be armed by what fires", () =>
    Effect.gen(function* () {
      const deadlines = yield* make
      const fired: Array<string> = []
      deadlines.arm(10, () => {
        fired.push("10")
        deadlines.arm(5, () => fired.push("15"))
        deadlines.arm(0, () => fired.push("at once"))
      })
      yield* TestClock.adjust(10)
      yield* TestClock.adjust(5)
      expect(fired).toEqual(["10", "at once", "15"])
    })
  )

  it.live("let what else was due go first after a pause (D5)", () =>
    Effect.gen(function* () {
      const deadlines = yield* make
      const fired: Array<string> = []
      deadlines.arm(10, () => fired.push("10"))
      const silent = deadlines.arm(60, () => fired.push("silent"))
      deadlines.arm(70, () => fired.push("70"))
      setTimeout(silent, 30)
      const until = performance.now() + 120
      while (performance.now() < until);
      yield* Effect.sleep(50)
      expect(fired).toEqual(["10", "70"])
    })
  )

  it.effect("may lie further away than a timer of Node's reaches", () =>
    Effect.gen(function* () {
      const deadlines = yield* make
      const far = 2 ** 31 + 1_000
      let fired = 0
      deadlines.arm(far, () => (fired += 1))
      yield* TestClock.adjust(2 ** 30)
      yield* TestClock.adjust(2 ** 30)
      expect(fired).toBe(0)
      yield* TestClock.adjust(1_000)
      expect(fired).toBe(1)
    })
  )

  it.effect("let a sleeper go when it is interrupted", () =>
    Effect.gen(function* () {
      const deadlines = yield* make
      const fiber = yield* Effect.fork(deadlines.sleep(1_000))
      yield* Effect.yieldNow()
      expect(deadlines.size).toBe(1)
      yield* Fiber.interrupt(fiber)
      expect(deadlines.size).toBe(0)
    })
  )

  it.effect("bound the wait for a fiber, which is interrupted and left when it takes longer", () =>
    Effect.gen(function* () {
      const deadlines = yield* make
      const quick = yield* Effect.forkDaemon(Effect.succeed("done"))
      expect(yield* awaitWithin(deadlines, quick, 1_000)).toBe("done")
      let interrupted = false
      const slow = yield* Effect.forkDaemon(
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true)))
      )
      const waiting = yield* Effect.fork(awaitWithin(deadlines, slow, 1_000))
      yield* TestClock.adjust(1_000)
      expect(yield* Fiber.join(waiting)).toBeUndefined()
      yield* Fiber.await(slow)
      expect(interrupted).toBe(true)
    })
  )

  it("fire exactly those not disarmed, in order, whatever is armed and disarmed", () => {
    const plan = fc.array(fc.record({ delay: fc.integer({ min: 0, max: 50 }), drop: fc.boolean() }), {
      minLength: 1,
      maxLength: 150
    })
    return fc.assert(
      fc.asyncProperty(plan, (entries) =>
        Effect.runPromise(
          Effect.gen(function* () {
            const deadlines = yield* make
            const fired: Array<number> = []
            const armed = entries.map(({ delay }) => deadlines.arm(delay, () => fired.push(delay)))
            entries.forEach(({ drop }, i) => drop && armed[i]?.())
            yield* TestClock.adjust(50)
            const kept = entries.filter(({ drop }) => !drop).map(({ delay }) => delay)
            expect(fired).toEqual([...kept].sort((a, b) => a - b))
            expect(deadlines.size).toBe(0)
          }).pipe(Effect.provide(TestContext.TestContext))
        )
      ),
      { numRuns: 20 }
    )
  })
})
