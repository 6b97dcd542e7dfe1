/** M1, M2: the combinators inside durable workflows, with the outcomes of plain ones, and no step done twice. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import {
  budget,
  durable,
  loop,
  parallel,
  pipeline,
  StepExecutor,
  StepOutcome,
  StepSpec
} from "../../src/orchestration/index.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { crashEverywhere } from "../../src/testing/CrashTest.ts"
import { type Began, type TypedProgram, typedSubject } from "../../src/testing/TypedProgram.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, outline } from "../program/support.ts"
import { plain, step } from "./support.ts"

const Ask = Action.make("ask", {
  payload: StepSpec,
  success: Schema.Struct({ text: Schema.String, cost: Schema.Number })
})

/** `t:30` takes 30 ms, each costs a dollar; one that says `fail` fails. */
const ask = (began: Began) =>
  Ask.toLayer((spec, attempt) =>
    Effect.gen(function* () {
      yield* began(attempt)
      yield* Effect.sleep(Number(spec.prompt.split(":")[1] ?? 0))
      if (spec.prompt.startsWith("fail")) return yield* Effect.dieMessage("no idea")
      return { text: `did ${spec.taskId}`, cost: 1 }
    })
  )

const asked = (spec: StepSpec, text: string): StepOutcome => ({
  taskId: spec.taskId,
  sessionId: "",
  agent: spec.agent,
  output: text,
  success: true
})

const steps = {
  concurrency: 2,
  run: (spec: StepSpec, running: { readonly spent: (usage: { readonly cost_usd: number }) => Effect.Effect<void> }) =>
    Effect.gen(function* () {
      const { cost, text } = yield* Action.call(Ask, spec)
      yield* running.spent({ cost_usd: cost })
      return asked(spec, text)
    })
}

/** The same as a plain executor, for comparison. */
const executor = Layer.succeed(StepExecutor, {
  concurrency: 2,
  run: (spec, running) =>
    Effect.gen(function* () {
      yield* Effect.sleep(Number(spec.prompt.split(":")[1] ?? 0))
      if (spec.prompt.startsWith("fail")) return yield* Effect.dieMessage("no idea")
      yield* running.spent({ cost_usd: 1 })
      return Option.some(asked(spec, `did ${spec.taskId}`))
    })
})

const Body = Workflow.make("body", { payload: Schema.Void, success: Schema.Array(Schema.NullOr(StepOutcome)) })

type Program = Effect.Effect<ReadonlyArray<StepOutcome | null>, unknown, StepExecutor>

const program = (name: string, body: Program): TypedProgram => ({
  name,
  start: Body.start(undefined),
  layer: (began) =>
    Layer.provide(
      Body.toLayer(() => Effect.orDie(durable(body, steps))),
      ask(began)
    )
})

const two = (prefix: string) => [step(`${prefix}1`, "t:30"), step(`${prefix}2`, "t:10")]

const programs: Readonly<Record<string, Program>> = {
  "parallel, with a step that dies": parallel([...two("a"), step("bad", "fail"), step("late", "t:5")]),
  "two parallel calls behind each other, of the same task ids": Effect.zipWith(
    parallel(two("a")),
    parallel(two("a")),
    (one, other) => [...one, ...other]
  ),
  "a pipeline in which chains end early": Effect.map(
    pipeline(
      ["x:20", "fail", "y:5"],
      [
        (_, item) => Option.some(step("first", item)),
        (previous) => Option.map(previous, ({ output }) => step("second", `t:${output.length}`)),
        () => Option.none()
      ]
    ),
    (outcomes) => outcomes.map(Option.getOrNull)
  ),
  "a loop until enough was done": loop(two("a"), 4, (outcomes) =>
    outcomes.length > 3 ? Option.none() : Option.some([...two("b"), ...two("c")])
  ),
  "a budget that three of five steps fit in": budget(
    parallel([1, 2, 3, 4, 5].map((n) => step(`s${n}`, `t:${n * 10}`))),
    { cost_usd: 2 }
  ),
  "a budget of steps around a pipeline": Effect.map(
    budget(
      pipeline(
        ["x:5", "y:25"],
        [1, 2, 3].map((n) => (_: Option.Option<StepOutcome>, item: string) => Option.some(step(`stage ${n}`, item)))
      ),
      { steps: 4 }
    ),
    (outcomes) => outcomes.map(Option.getOrNull)
  ),
  "a timeout of a step": parallel([{ ...step("slow", "t:5000"), timeout: 50 }, step("quick", "t:10")])
}

const plainly = (outcomes: ReadonlyArray<StepOutcome | null>) =>
  outcomes.map((outcome) =>
    outcome === null ? null : { ...plain(outcome), output: outcome.success ? outcome.output : "" }
  )

describe("the combinators in a durable workflow", () => {
  for (const [name, body] of Object.entries(programs)) {
    it.live(`give what they give in a plain program: ${name}`, () =>
      Effect.gen(function* () {
        const { service: store } = yield* MemoryPersistence.make()
        const { layer } = program(name, body)
        const durably = yield* withVirtualClock(
          Effect.provide(
            Body.execute(undefined),
            engine(
              store,
              layer(() => Effect.void)
            )
          )
        )
        const simply = yield* withVirtualClock(Effect.provide(body, executor))
        expect(plainly(durably)).toEqual(plainly(simply))
      })
    )

    it.live(
      `go on after a crash at any write, and do no step again: ${name}`,
      () =>
        Effect.gen(function* () {
          const report = yield* crashEverywhere(typedSubject(program(name, body)), { everyNth: 3, secondCrashes: 2 })
          expect(report.failures.slice(0, 3).join("\n\n")).toBe("")
        }),
      120_000
    )
  }

  it.live("name their steps by task id, each in a branch of its own", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const { layer } = program("", Effect.zipRight(parallel(two("a")), parallel(two("a"))))
      const rows = yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Body.start(undefined)
          yield* Body.await(run)
          return yield* outline(store, run)
        }).pipe(
          Effect.provide(
            engine(
              store,
              layer(() => Effect.void)
            )
          )
        )
      )
      expect(rows).toEqual([
        "/forEach completed",
        "/forEach/a1/ask completed",
        "/forEach/a2/ask completed",
        "/forEach~2 completed",
        "/forEach~2/a1/ask completed",
        "/forEach~2/a2/ask completed",
        "/@body completed"
      ])
    })
  )
})
