import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import {
  EventBus,
  JournalStore,
  loop,
  parallel,
  pipeline,
  program,
  resumableParallel,
  RunId,
  StepExecutor
} from "../../src/orchestration/index.ts"
import { Events, runCase, Stage, step, success } from "./support.ts"

const run = RunId.make("01HRUN")

const instant = (ending: "succeeds" | "fails" | "dies" = "succeeds") =>
  new Stage(1, () => ({ ending, work: 0, cleanup: 0 })).layer

describe("the events of a program", () => {
  it("are the engine's, in order, for one run", async () => {
    const events = new Events()
    await runCase(Effect.provide(program(parallel([step("a")]), { name: "p", run, events }), instant("fails")))
    const timestamp = expect.any(Number)
    const base = { timestamp, run }
    const about = { ...base, stepId: "01HRUN/parallel/a", path: "/parallel/a", step: "a", kind: "call" }
    expect(events.all).toEqual([
      { ...base, _tag: "RunStarted", workflow: "p", parent: null, dryRun: false },
      { ...about, _tag: "StepStarted", attempt: 1 },
      { ...about, _tag: "StepCompleted", succeeded: false, status: "failed", error: "could not" },
      expect.objectContaining({ ...base, _tag: "MetricsUpdated" }),
      { ...base, _tag: "RunCompleted", succeeded: true, status: "completed", error: null }
    ])
  })

  it("have a path of their own for each step, made of the combinators around it", async () => {
    const events = new Events()
    const stages = [() => Option.some(step("x/y")), () => Option.some(step("x/y"))]
    const whole = Effect.all([
      parallel([step("a")]),
      parallel([step("a")]),
      pipeline([1, 2], stages),
      loop([step("a")], 2, () => Option.some([step("a")])),
      Effect.provide(resumableParallel([step("a")], "w"), JournalStore.layerMemory)
    ])
    await runCase(Effect.provide(program(whole, { name: "p", events }), instant()))
    expect(events.pathsOf("StepStarted")).toEqual([
      "/parallel/a",
      "/parallel~2/a",
      "/pipeline/1/x%2Fy",
      "/pipeline/1/x%2Fy~2",
      "/pipeline/2/x%2Fy",
      "/pipeline/2/x%2Fy~2",
      "/loop/@1/a",
      "/loop/@2/a",
      "/resumable/a"
    ])
  })

  it("tell how a program ended", async () => {
    const endOf = async (effect: Effect.Effect<unknown, unknown>) => {
      const events = new Events()
      await runCase(Effect.exit(program(effect, { name: "p", events })))
      return events.all.at(-1)
    }
    const failed = { _tag: "RunCompleted", succeeded: false, status: "failed" }
    expect(await endOf(Effect.fail(new Error("no")))).toMatchObject({ ...failed, error: "no" })
    expect(await endOf(Effect.die("gone"))).toMatchObject({ ...failed, error: "gone" })
    expect(await endOf(Effect.interrupt)).toMatchObject({ _tag: "RunCancelled", reason: "interrupted" })
  })

  it("name the program around as the parent", async () => {
    const events = new Events()
    const inner = program(Effect.void, { name: "inner", events })
    await runCase(program(inner, { name: "outer", run, events }))
    expect(events.all[1]).toMatchObject({ _tag: "RunStarted", workflow: "inner", parent: run })
  })

  it("include what an executor says of its step, and the totals of what it spent", async () => {
    const events = new Events()
    const executor = Layer.succeed(StepExecutor, {
      concurrency: 1,
      run: (spec, running) =>
        Effect.all([
          running.emit({ _tag: "StepHeartbeat", attempt: 1, details: { half: true } }),
          running.emit({ _tag: "StepWarning", message: "slow" }),
          running.spent({ input_tokens: 2, cost_usd: 0.5 }),
          running.spent({ input_tokens: 3 })
        ]).pipe(Effect.as(Option.some(success(spec.taskId))))
    })
    await runCase(Effect.provide(program(parallel([step("a"), step("b")]), { name: "p", run, events }), executor))
    const path = "/parallel/a"
    expect(events.all).toContainEqual(expect.objectContaining({ _tag: "StepHeartbeat", path, details: { half: true } }))
    expect(events.all).toContainEqual(expect.objectContaining({ _tag: "StepWarning", path, run, message: "slow" }))
    expect(events.all.at(-2)).toMatchObject({ _tag: "MetricsUpdated", totals: { input_tokens: 10, cost_usd: 1 } })
  })

  it("harm nobody when the channel throws", async () => {
    const events = {
      publish: () => {
        throw new Error("closed")
      }
    }
    const outcomes = await runCase(Effect.provide(program(parallel([step("a")]), { name: "p", events }), instant()))
    expect(outcomes).toEqual([success("a")])
  })

  it.scoped("go to the subscribers of an EventBus", () =>
    Effect.gen(function* () {
      const bus = new EventBus(100)
      const seen = yield* bus.subscribe()
      const tags = yield* Effect.fork(Stream.runCollect(Stream.take(seen, 3)))
      yield* program(Effect.void, { name: "p", events: bus })
      expect([...(yield* Fiber.join(tags))].map(({ _tag }) => _tag)).toEqual([
        "RunStarted",
        "MetricsUpdated",
        "RunCompleted"
      ])
    })
  )
})

describe("the spans of a program", () => {
  it("nest: program, combinator, step, and what the executor does", async () => {
    const chains: Array<ReadonlyArray<string>> = []
    const executor = Layer.succeed(StepExecutor, {
      concurrency: 1,
      run: (spec) =>
        Effect.map(Effect.orDie(Effect.currentSpan), (span) => {
          chains.push(namesOf(span))
          return Option.some(success(spec.taskId))
        })
    })
    const whole = Effect.all([
      parallel([step("a")]),
      pipeline(["x"], [() => Option.some(step("a"))]),
      loop([step("a")], 1, () => Option.none()),
      Effect.provide(resumableParallel([step("a")], "w"), JournalStore.layerMemory)
    ])
    await runCase(Effect.provide(program(whole, { name: "p" }), executor))
    expect(chains).toEqual(
      ["parallel", "pipeline", "loop", "resumableParallel"].map((name) => [
        "orchestration.step",
        `orchestration.${name}`,
        "orchestration.program"
      ])
    )
  })
})

const namesOf = (span: Tracer.AnySpan): ReadonlyArray<string> =>
  span._tag === "ExternalSpan" ? [] : [span.name, ...Option.match(span.parent, { onNone: () => [], onSome: namesOf })]
