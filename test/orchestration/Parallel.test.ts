import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"
import { NoOutcome, parallel, StepDied, StepExecutor, type StepOutcome } from "../../src/orchestration/index.ts"
import { arbitraryAct, expected, plain, runCase, Stage, step, withLogged } from "./support.ts"

const one = (run: StepExecutor["Type"]["run"]) =>
  Effect.map(
    Effect.provide(parallel([step("a")]), Layer.succeed(StepExecutor, { concurrency: 0, run })),
    ([outcome]): StepOutcome | undefined => outcome
  )

describe("parallel", () => {
  it("accounts for every step exactly once, in the order of the specs, whatever ends first and however (law 2)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(arbitraryAct(), { maxLength: 8 }),
        fc.integer({ min: -1, max: 9 }),
        async (acts, hint) => {
          const stage = new Stage(hint, ({ taskId }) => acts[Number(taskId)]!)
          const ids = acts.map((_, index) => String(index))
          const outcomes = await runCase(Effect.provide(parallel(ids.map((id) => step(id))), stage.layer))
          expect(outcomes.map(plain)).toEqual(acts.map(({ ending }, index) => expected(String(index), ending)))
          expect([...stage.runs].sort()).toEqual(ids)
          expect(stage.released).toBe(ids.length)
          expect(stage.active).toBe(0)
          expect(stage.peak).toBeLessThanOrEqual(Math.max(1, hint))
        }
      ),
      { numRuns: 1_000 }
    )
  })

  it.effect("runs as many steps at once as the executor wants", () =>
    Effect.gen(function* () {
      for (const [hint, peak] of [
        [0, 1],
        [1, 1],
        [3, 3],
        [100, 7],
        [Number.POSITIVE_INFINITY, 7],
        [Number.NaN, 1]
      ] as const) {
        const stage = new Stage(hint)
        const specs = Array.from("abcdefg", (id) => step(id))
        const fiber = yield* Effect.fork(Effect.provide(parallel(specs), stage.layer))
        yield* TestClock.adjust("10 millis")
        yield* Fiber.join(fiber)
        expect(stage.peak).toBe(peak)
      }
    })
  )

  it.effect("is empty for no steps", () =>
    Effect.gen(function* () {
      const stage = new Stage(4)
      expect(yield* Effect.provide(parallel([]), stage.layer)).toEqual([])
    })
  )

  it.effect("refuses two steps of one task id before it starts any", () =>
    Effect.gen(function* () {
      const stage = new Stage(4)
      const refused = yield* Effect.flip(Effect.provide(parallel([step("a"), step("b"), step("a")]), stage.layer))
      expect(refused).toMatchObject({ _tag: "DuplicateTaskId", taskId: "a" })
      expect(stage.runs).toEqual([])
    })
  )

  it.effect("says why a step has no outcome of its own", () =>
    Effect.gen(function* () {
      expect(yield* one(() => Effect.succeedNone)).toMatchObject({ failure: new NoOutcome() })
      expect(yield* one(() => Effect.die({}))).toMatchObject({
        failure: new StepDied({ agent: "worker" }),
        output: "agent 'worker' died"
      })
      const throwing = one(() => {
        throw new Error("at once")
      })
      expect(yield* throwing).toMatchObject({ output: "agent 'worker' died: at once" })
      const finalizer = one(() =>
        Effect.zipRight(
          Effect.addFinalizer(() => Effect.die("late")),
          Effect.succeedNone
        )
      )
      expect(yield* finalizer).toMatchObject({ output: "agent 'worker' died: late" })
    })
  )

  it.effect("logs what a step threw, with the step's task id: its outcome has the message alone", () =>
    Effect.gen(function* () {
      const { logged, value } = yield* withLogged(one(() => Effect.die(new Error("no such model"))))
      expect(value).toMatchObject({ success: false })
      expect(logged).toEqual(["step 'a' died", "Error: no such model"])
      const { logged: none } = yield* withLogged(one(() => Effect.interrupt))
      expect(none).toEqual([])
    })
  )

  it.effect("interrupts a step at its timeout, and waits for its finalizers", () =>
    Effect.gen(function* () {
      const stage = new Stage(2, () => ({ ending: "succeeds", work: 1_000, cleanup: 20 }))
      const specs = [{ ...step("a"), timeout: 100 }, step("b")]
      const fiber = yield* Effect.fork(Effect.timed(Effect.provide(parallel(specs), stage.layer)))
      yield* TestClock.adjust("119 millis")
      expect(stage.released).toBe(0)
      yield* TestClock.adjust("1 millis")
      expect(stage.released).toBe(1)
      yield* TestClock.adjust("10 seconds")
      const [elapsed, [a, b]] = yield* Fiber.join(fiber)
      expect(a).toMatchObject({ success: false, output: "timed out after 100 ms", failure: { _tag: "StepTimedOut" } })
      expect(b).toMatchObject({ success: true })
      expect(Duration.toMillis(elapsed)).toBe(1_020)
    })
  )
})
