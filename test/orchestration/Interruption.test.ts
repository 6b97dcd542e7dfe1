import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import {
  budget,
  JournalStore,
  loop,
  parallel,
  pipeline,
  program,
  resumableParallel,
  type StepExecutor
} from "../../src/orchestration/index.ts"
import { arbitraryAct, Events, runCase, Stage, step } from "./support.ts"

const specs = ["0", "1", "2", "3"].map((id) => step(id))

/** Each combinator, over the same steps; a loop and a pipeline run them more than once. */
const combinators = {
  parallel: parallel(specs),
  pipeline: pipeline(specs, [(_, spec) => Option.some(spec), (_, spec) => Option.some(spec)]),
  resumableParallel: Effect.provide(resumableParallel(specs, "w"), JournalStore.layerMemory),
  loop: loop(specs, 3, () => Option.some(specs)),
  budget: budget(parallel(specs), { steps: 3 }),
  nested: Effect.all([parallel(specs), loop(specs, 2, () => Option.some(specs))], { concurrency: "unbounded" })
}

describe("the interruption of a program", () => {
  it("interrupts every step in flight and waits for its finalizers, at any moment, in every combinator", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.values<Effect.Effect<unknown, unknown, StepExecutor>>(combinators)),
        fc.array(arbitraryAct(), { minLength: 4, maxLength: 4 }),
        fc.option(fc.integer({ min: 1, max: 3 })),
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 0, max: 16 }),
        async (combinator, acts, timeout, hint, moment) => {
          const stage = new Stage(hint, ({ taskId }) => acts[Number(taskId)]!)
          const events = new Events()
          await runCase(
            Effect.gen(function* () {
              const limited = timeout === null ? combinator : Effect.timeoutOption(combinator, timeout * 10)
              const work = program(Effect.provide(limited, stage.layer), { name: "p", events })
              const fiber = yield* Effect.fork(work)
              yield* Effect.sleep(moment)
              const inFlight = stage.active
              const exit = yield* Fiber.interrupt(fiber)
              expect(stage.active).toBe(0)
              expect(stage.released).toBe(stage.runs.length)
              if (inFlight > 0) expect(Exit.isInterrupted(exit)).toBe(true)
              const runs = stage.runs.length
              yield* Effect.sleep(50)
              expect(stage.runs.length).toBe(runs)
            })
          )
          const started = events.pathsOf("StepStarted")
          expect([...events.pathsOf("StepCompleted")].sort()).toEqual([...started].sort())
          expect(new Set(started).size).toBe(started.length)
          const last = events.all.at(-1)
          expect(["RunCompleted", "RunCancelled"]).toContain(last?._tag)
        }
      ),
      { numRuns: 500 }
    )
  })

  it("ends the steps in flight as cancelled, and starts none afterwards", async () => {
    const stage = new Stage(2, () => ({ ending: "succeeds", work: 100, cleanup: 10 }))
    const events = new Events()
    const work = program(Effect.provide(parallel(specs), stage.layer), { name: "p", events })
    await runCase(Effect.timeoutOption(work, 50))
    const ends = events.all.map((event) => {
      return event._tag === "StepCompleted" ? `${event.path} ${event.status}` : event._tag
    })
    expect(ends).toEqual([
      "RunStarted",
      "StepStarted",
      "StepStarted",
      "/parallel/0 cancelled",
      "/parallel/1 cancelled",
      "MetricsUpdated",
      "RunCancelled"
    ])
  })
})
