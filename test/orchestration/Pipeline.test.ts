import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"
import { pipeline, type Stage as PipelineStage } from "../../src/orchestration/index.ts"
import { type Act, arbitraryAct, expected, plain, runCase, Stage, step, success, withLogged } from "./support.ts"

/** What the stages do for one item: a step, none, or a throw. */
type Chain = ReadonlyArray<Act | "none" | "throws">

const arbitraryChain = (stages: number): fc.Arbitrary<Chain> =>
  fc.array(fc.oneof({ weight: 6, arbitrary: arbitraryAct() }, fc.constantFrom("none" as const, "throws" as const)), {
    minLength: stages,
    maxLength: stages
  })

const arbitraryChains = fc
  .integer({ min: 0, max: 4 })
  .chain((stages) =>
    fc.record({ stages: fc.constant(stages), chains: fc.array(arbitraryChain(stages), { maxLength: 6 }) })
  )

interface Item {
  readonly name: string
  readonly chain: Chain
}

const stagesOf = (count: number): ReadonlyArray<PipelineStage<Item>> =>
  Array.from({ length: count }, (_, index) => (_previous, { name, chain }: Item) => {
    const act = chain[index]
    if (act === "throws") throw new Error("a stage threw")
    return act === "none" ? Option.none() : Option.some(step(`${name}.${index}`))
  })

const itemsOf = (chains: ReadonlyArray<Chain>) => chains.map((chain, index): Item => ({ name: `i${index}`, chain }))

const play = (items: ReadonlyArray<Item>, stages: number, hint: number) => {
  const acts = new Map<string, Chain[number]>(
    items.flatMap(({ name, chain }) => chain.map((act, index) => [`${name}.${index}`, act] as const))
  )
  const stage = new Stage(hint, ({ taskId }) => {
    const act = acts.get(taskId)
    return typeof act === "object" ? act : { ending: "dies", work: 0, cleanup: 0 }
  })
  const outcomes = Effect.map(Effect.provide(pipeline(items, stagesOf(stages)), stage.layer), (found) =>
    found.map((outcome) => Option.getOrNull(Option.map(outcome, plain)))
  )
  return { stage, outcomes }
}

/** By hand, from the contract. */
const endOf = ({ name, chain }: Item) => {
  let last: ReturnType<typeof expected> | null = null
  for (const [index, act] of chain.entries()) {
    if (act === "none") return last
    if (act === "throws" || act.ending === "dies") return null
    last = expected(`${name}.${index}`, act.ending)
    if (!last.success) return last
  }
  return last
}

describe("pipeline", () => {
  it("has the outcomes of running each chain alone, in item order (law 3)", async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryChains, fc.integer({ min: 0, max: 7 }), async ({ chains, stages }, hint) => {
        const items = itemsOf(chains)
        const { stage, outcomes } = play(items, stages, hint)
        const together = await runCase(outcomes)
        const alone = await Promise.all(items.map((item) => runCase(play([item], stages, 1).outcomes)))
        expect(together).toEqual(alone.flat())
        expect(together).toEqual(items.map(endOf))
        expect(stage.peak).toBeLessThanOrEqual(Math.max(1, hint))
        expect(new Set(stage.runs).size).toBe(stage.runs.length)
        expect(stage.released).toBe(stage.runs.length)
      }),
      { numRuns: 1_000 }
    )
  })

  it.effect("has no barrier: the wall time is that of the slowest chain", () =>
    Effect.gen(function* () {
      const work = { a: [300, 10, 10], b: [10, 300, 10], c: [10, 10, 300] }
      const acts = Object.entries(work).map(([name, times]): Item => {
        return { name, chain: times.map((ms) => ({ ending: "succeeds", work: ms, cleanup: 0 })) }
      })
      const { outcomes, stage } = play(acts, 3, 3)
      const fiber = yield* Effect.fork(outcomes)
      yield* TestClock.adjust("20 millis")
      expect([...stage.runs].sort()).toEqual(["a.0", "b.0", "b.1", "c.0", "c.1", "c.2"])
      yield* TestClock.adjust("299 millis")
      expect(yield* Fiber.poll(fiber)).toEqual(Option.none())
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(fiber)).toEqual([success("a.2"), success("b.2"), success("c.2")])
    })
  )

  it.effect("gives each stage the outcome before it and the item, with the same task ids in every chain", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [string, string]> = []
      const stage =
        (taskId: string): PipelineStage<string> =>
        (previous, item) => {
          seen.push([item, Option.match(previous, { onNone: () => "first", onSome: ({ output }) => output })])
          return Option.some(step(taskId))
        }
      const stages = [stage("draft"), stage("check")]
      const fiber = yield* Effect.fork(Effect.provide(pipeline(["x", "y"], stages), new Stage(1).layer))
      yield* TestClock.adjust("10 millis")
      expect(yield* Fiber.join(fiber)).toEqual([Option.some(success("check")), Option.some(success("check"))])
      expect(seen).toEqual([
        ["x", "first"],
        ["x", "did draft"],
        ["y", "first"],
        ["y", "did draft"]
      ])
    })
  )

  it.effect("logs what a stage threw, with the item's number: the chain has no outcome that could tell", () =>
    Effect.gen(function* () {
      const stage: PipelineStage<string> = (_, item) => {
        if (item === "y") throw new Error("no prompt for y")
        return Option.none()
      }
      const { logged, value } = yield* withLogged(Effect.provide(pipeline(["x", "y"], [stage]), new Stage(1).layer))
      expect(value).toEqual([Option.none(), Option.none()])
      expect(logged).toEqual(["the chain of item 2 of a pipeline died", "Error: no prompt for y"])
    })
  )

  it.effect("is empty for no items, and gives none for no stages", () =>
    Effect.gen(function* () {
      const { layer } = new Stage(4)
      expect(yield* Effect.provide(pipeline([], stagesOf(2)), layer)).toEqual([])
      expect(yield* Effect.provide(pipeline(["a"], []), layer)).toEqual([Option.none()])
    })
  )
})
