import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Once } from "../../src/engine/Once.ts"

describe("what comes once", () => {
  it.effect("is given to all who wait, and to those who come later; only the first counts", () =>
    Effect.gen(function* () {
      const once = new Once<number, string>()
      const waiting = yield* Effect.forkAll([once.await, once.await])
      yield* Effect.yieldNow()
      once.done(Exit.succeed(1))
      once.done(Exit.fail("late"))
      expect(yield* Fiber.join(waiting)).toEqual([1, 1])
      expect(yield* once.await).toBe(1)
    })
  )

  it.effect("fails for all where it failed", () =>
    Effect.gen(function* () {
      const once = new Once<number, string>()
      const waiting = yield* Effect.fork(Effect.flip(once.await))
      yield* Effect.yieldNow()
      once.done(Exit.fail("no"))
      expect(yield* Fiber.join(waiting)).toBe("no")
      expect(yield* Effect.flip(once.await)).toBe("no")
    })
  )

  it.effect("leaves those who wait interruptible, and the others waiting", () =>
    Effect.gen(function* () {
      const once = new Once<number>()
      const [first, second] = [yield* Effect.fork(once.await), yield* Effect.fork(once.await)]
      yield* Effect.yieldNow()
      expect(Exit.isInterrupted(yield* Fiber.interrupt(first))).toBe(true)
      once.done(Exit.succeed(2))
      expect(yield* Fiber.join(second)).toBe(2)
    })
  )
})
