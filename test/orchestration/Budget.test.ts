import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import {
  budget,
  BudgetExceeded,
  type BudgetLimits,
  JournalStore,
  loop,
  parallel,
  pipeline,
  resumableParallel,
  StepExecutor,
  type StepOutcome,
  type Totals
} from "../../src/orchestration/index.ts"
import { runCase, Stage, step, success } from "./support.ts"

const specs = (count: number, prefix = "s") => Array.from({ length: count }, (_, index) => step(`${prefix}${index}`))

const reasons = (outcomes: ReadonlyArray<StepOutcome>) => outcomes.map(({ failure }) => failure?._tag ?? "ran")

/** Each step takes 10 ms and spends this, also when it then dies. */
const spending = (usage: Partial<Totals>, concurrency = 1, dies = false) =>
  Layer.succeed(StepExecutor, {
    concurrency,
    run: (spec, running) =>
      Effect.zipRight(running.spent(usage), Effect.sleep(10)).pipe(
        Effect.zipRight(dies ? Effect.die("spent") : Effect.succeedSome(success(spec.taskId)))
      )
  })

const under = (limits: BudgetLimits, layer: Layer.Layer<StepExecutor>, count: number) =>
  runCase(Effect.provide(budget(parallel(specs(count)), limits), layer))

describe("budget", () => {
  it("starts exactly as many steps as it has, whatever the hint; the others fail with BudgetExceeded", async () => {
    const counts = fc.tuple(
      fc.integer({ min: 0, max: 6 }),
      fc.integer({ min: 0, max: 6 }),
      fc.integer({ min: 0, max: 5 })
    )
    await fc.assert(
      fc.asyncProperty(counts, async ([count, steps, hint]) => {
        const stage = new Stage(hint)
        const outcomes = await under({ steps }, stage.layer, count)
        expect(stage.runs.length).toBe(Math.min(count, steps))
        expect(reasons(outcomes).filter((reason) => reason === "BudgetExceeded").length).toBe(
          Math.max(0, count - steps)
        )
      }),
      { numRuns: 200 }
    )
  })

  it("says what was exceeded, in the outcome of the step that was not started", async () => {
    const [, refused] = await under({ steps: 1 }, new Stage(1).layer, 2)
    expect(refused).toMatchObject({
      taskId: "s1",
      success: false,
      output: "budget exceeded: 1 of 1 steps",
      failure: { _tag: "BudgetExceeded", limit: "steps", ceiling: 1, spent: 1 }
    })
  })

  it("counts tokens and costs as the executor reports them, those of steps that died too", async () => {
    const usage = { input_tokens: 30, output_tokens: 20, cache_read_input_tokens: 5, cache_creation_input_tokens: 5 }
    const ran = ["ran", "ran", "BudgetExceeded", "BudgetExceeded"]
    expect(reasons(await under({ tokens: 120 }, spending(usage), 4))).toEqual(ran)
    expect(reasons(await under({ tokens: 61 }, spending(usage), 4))).toEqual(ran)
    expect(reasons(await under({ cost_usd: 0.5 }, spending({ cost_usd: 0.25 }), 4))).toEqual(ran)
    expect(reasons(await under({ cost_usd: 1 }, spending({ cost_usd: 0.5 }, 1, true), 3))).toEqual([
      "StepDied",
      "StepDied",
      "BudgetExceeded"
    ])
  })

  it("counts wall time from the start of the program", async () => {
    const outcomes = await under({ wallTime: "25 millis" }, spending({}), 4)
    expect(reasons(outcomes)).toEqual(["ran", "ran", "ran", "BudgetExceeded"])
    expect(reasons(await under({ wallTime: "20 millis" }, spending({}), 3))[2]).toBe("BudgetExceeded")
  })

  it("lets nothing start when a ceiling is zero", async () => {
    for (const limit of ["steps", "tokens", "cost_usd", "wallTime"] as const) {
      const stage = new Stage(1)
      expect(reasons(await under({ [limit]: 0 }, stage.layer, 1))).toEqual(["BudgetExceeded"])
      expect(stage.runs).toEqual([])
    }
  })

  it("refuses a ceiling that is negative or no number, where it is set", () => {
    for (const ceiling of [-1, Number.NaN]) {
      for (const limit of ["steps", "tokens", "cost_usd"] as const) {
        expect(() => budget({ [limit]: ceiling })(Effect.void)).toThrow(
          new RangeError(`budget: \`${limit}\` has to be a number of at least 0, not ${ceiling}`)
        )
      }
      expect(() => budget(Effect.void, { wallTime: ceiling })).toThrow(
        new RangeError('budget: `wallTime` has to be a time of at least 0, such as "10 minutes"')
      )
    }
  })

  it("shows sums of dollars, and times, without digits that mean nothing", () => {
    const text = (limit: BudgetExceeded["limit"], ceiling: number, spent: number) =>
      new BudgetExceeded({ limit, ceiling, spent }).message
    expect(text("cost_usd", 0.3, 0.1 + 0.2)).toBe("budget exceeded: 0.3 of 0.3 USD")
    expect(text("cost_usd", 0.00002, 0.000021)).toBe("budget exceeded: 0.000021 of 0.00002 USD")
    expect(text("wallTime", 70, 90.123456789012)).toBe("budget exceeded: 90 of 70 ms")
  })

  it("is shared by a whole program, fibers included, and starts afresh with each execution", async () => {
    const stage = new Stage(2)
    const whole = Effect.gen(function* () {
      const first = yield* parallel(specs(2))
      const [second, chains] = yield* Effect.all(
        [parallel(specs(1, "t")), pipeline(["x"], [() => Option.some(step("u")), () => Option.some(step("v"))])],
        { concurrency: "unbounded" }
      )
      const rounds = yield* loop(specs(1), 5, () => Option.some(specs(1)))
      const kept = yield* Effect.provide(resumableParallel(specs(1), "w"), JournalStore.layerMemory)
      return [reasons(first), reasons(second), reasons(chains.flatMap(Option.toArray)), reasons(rounds), reasons(kept)]
    })
    const limited = Effect.provide(budget({ steps: 6 })(whole), stage.layer)
    const ends = [["ran", "ran"], ["ran"], ["ran"], ["BudgetExceeded"], ["BudgetExceeded"]]
    expect(await runCase(limited)).toEqual(ends)
    expect(stage.runs.length).toBe(6)
    expect(await runCase(limited)).toEqual(ends)
  })

  it("nests: a step needs room in all budgets, and takes it from none if it has not", async () => {
    const stage = new Stage(1)
    const inner = Effect.all([budget(parallel(specs(4)), { steps: 1 }), parallel(specs(4))])
    const [first, second] = await runCase(Effect.provide(budget(inner, { steps: 3 }), stage.layer))
    expect(reasons(first)).toEqual(["ran", "BudgetExceeded", "BudgetExceeded", "BudgetExceeded"])
    expect(reasons(second)).toEqual(["ran", "ran", "BudgetExceeded", "BudgetExceeded"])
  })

  it("leaves a refused step of a resumable call for the next one", async () => {
    const stage = new Stage(1)
    const layer = Layer.merge(stage.layer, JournalStore.layerMemory)
    const call = budget(resumableParallel(specs(3), "w"), { steps: 2 })
    const outcomes = await runCase(Effect.provide(Effect.all([call, call]), layer))
    expect(outcomes.map(reasons)).toEqual([
      ["ran", "ran", "BudgetExceeded"],
      ["ran", "ran", "ran"]
    ])
    expect(stage.runs).toEqual(["s0", "s1", "s2"])
  })
})
