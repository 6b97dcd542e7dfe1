/**
 * The law of compensation, for generated programs, delays, ends and crashes: exactly what was done is undone, each once,
 * in the reverse order of its journaled completion, also when the run was stopped at any write.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId, StepRecord } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { recordingStates } from "../../src/testing/CrashStates.ts"
import { loseEngines } from "../../src/testing/ProgramRunner.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, until } from "./support.ts"

type Tree =
  | { readonly _tag: "Do"; readonly millis: number; readonly fails: boolean }
  | { readonly _tag: "Sleep"; readonly millis: number }
  | { readonly _tag: "Seq" | "All" | "Race" | "Caught" | "Whole"; readonly parts: ReadonlyArray<Tree> }

const { tree } = fc.letrec<{ tree: Tree; leaf: Tree; node: Tree }>((tie) => ({
  leaf: fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ _tag: fc.constant("Do" as const), millis: fc.nat(40), fails: fc.constant(false) })
    },
    {
      weight: 1,
      arbitrary: fc.record({ _tag: fc.constant("Do" as const), millis: fc.nat(40), fails: fc.constant(true) })
    },
    { weight: 1, arbitrary: fc.record({ _tag: fc.constant("Sleep" as const), millis: fc.nat(60) }) }
  ),
  node: fc.record({
    _tag: fc.constantFrom("Seq" as const, "All" as const, "Race" as const, "Caught" as const, "Whole" as const),
    parts: fc.array(tie("tree"), { minLength: 1, maxLength: 3 })
  }),
  tree: fc.oneof({ maxDepth: 3, depthSize: "small" }, tie("leaf"), tie("node"))
}))

interface Case {
  readonly tree: Tree
  /** How the run ends: its body fails behind the tree, or it is cancelled after so many ms. */
  readonly cancelAfter: number | undefined
}

const arbitraryCase: fc.Arbitrary<Case> = fc.record({
  tree,
  cancelAfter: fc.oneof(fc.constant(undefined), fc.integer({ min: 1, max: 120 }))
})

const Do = Action.make("do", { payload: Schema.Number, success: Schema.String, error: Schema.String })
const Undo = Action.make("undo-it", { payload: Schema.String })
const UndoAll = Action.make("undo-all", { payload: Schema.String })

const handlers = Layer.mergeAll(
  Do.toLayer((millis, { path }) =>
    Effect.zipRight(Effect.sleep(Math.abs(millis)), millis < 0 ? Effect.fail("it failed") : Effect.succeed(path))
  ),
  Undo.toLayer(() => Effect.void),
  UndoAll.toLayer(() => Effect.void)
)

type Needs =
  | Workflow.WorkflowRun
  | Action.HandlerOf<typeof Do>
  | Action.HandlerOf<typeof Undo>
  | Action.HandlerOf<typeof UndoAll>

const bodyOf = (tree: Tree): Effect.Effect<string, string, Needs> => {
  switch (tree._tag) {
    case "Do":
      return Action.call(Do, tree.fails ? -tree.millis - 1 : tree.millis).pipe(
        Workflow.withCompensation((path) => Action.call(Undo, path))
      )
    case "Sleep":
      return Effect.as(Workflow.sleep(tree.millis), "slept")
    case "Seq":
      return Effect.as(Effect.forEach(tree.parts, bodyOf), "sequence")
    case "All":
      return Effect.as(Workflow.all(tree.parts.map(bodyOf)), "all")
    case "Race":
      return Workflow.race(tree.parts.map(bodyOf))
    case "Caught":
      return Effect.as(Effect.either(Effect.forEach(tree.parts, bodyOf)), "caught")
    case "Whole":
      return Effect.as(Effect.forEach(tree.parts, bodyOf), "whole").pipe(
        Workflow.withCompensation(() => Action.call(UndoAll, "whole"))
      )
  }
}

const Law = Workflow.make("law", { payload: Schema.Void, error: Schema.String })

const code = ({ tree }: Case) =>
  Layer.provide(
    Law.toLayer(() => Effect.zipRight(bodyOf(tree), Effect.zipRight(Workflow.sleep(30), Effect.fail("the end")))),
    handlers
  )

/** In which order things were done, and undone: the paths of their rows. */
const orders = (steps: ReadonlyArray<StepRecord>) => {
  const inOrder = [...steps].sort((a, b) => a.position - b.position)
  const done = inOrder.filter(({ kind, name }) => kind === "value" && name === "undo").map(({ path }) => path)
  const undone = inOrder
    .filter(({ kind, name, status }) => kind === "block" && name === "undo" && status === "completed")
    .map(({ path }) => path.slice("/@compensation".length))
  return { done, undone }
}

/** What was not undone once and in its turn. */
const problemsOf = (steps: ReadonlyArray<StepRecord>): ReadonlyArray<string> => {
  const { done, undone } = orders(steps)
  const completed = (name: string) => steps.filter((step) => step.name === name && step.status === "completed").length
  const problems: Array<string> = []
  if (JSON.stringify(undone) !== JSON.stringify(done.toReversed())) {
    problems.push(`done ${done.join(" ")}, undone ${undone.join(" ")}`)
  }
  if (completed("do") !== completed("undo-it")) {
    problems.push(`${completed("do")} steps completed, ${completed("undo-it")} were undone`)
  }
  return problems
}

const finish = (store: PersistenceService, run: RunId, { cancelAfter }: Case) =>
  Effect.gen(function* () {
    if (cancelAfter !== undefined) {
      yield* Effect.sleep(cancelAfter)
      yield* Effect.either(Law.cancel(run))
    }
    const ended = until(store, run, ({ endedAt }) => endedAt !== null)
    const { status } = yield* Effect.timeoutFail(ended, {
      duration: "5 minutes",
      onTimeout: () => new Error("the run did not end")
    })
    return { status, problems: problemsOf(yield* store.steps(run)) }
  })

const runs = Number(process.env["LAW_RUNS"] ?? 40)

describe("compensation", () => {
  it.live(
    "undoes exactly what was done, backwards, whatever the program and wherever it is stopped",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(arbitraryCase, fc.nat(), (it, seed) => Effect.runPromise(holds(it, seed))),
          { numRuns: runs }
        )
      ),
    60_000 + runs * 2_000
  )
})

/** Runs a case to its end, then again from some of the states that it went through. */
const holds = (it: Case, seed: number): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const recording = recordingStates(yield* MemoryPersistence.make(), () => undefined)
    const whole = yield* withVirtualClock(
      Effect.provide(
        Effect.flatMap(Law.start(undefined), (run) => finish(recording.service, run, it)),
        engine(recording.service, code(it))
      )
    )
    expect(whole.problems).toEqual([])
    expect(["failed", ...(it.cancelAfter === undefined ? [] : ["cancelled"])]).toContain(whole.status)
    const states = recording.states()
    for (const offset of [0, 1, 2, 3, 4]) {
      const state = states[(seed + offset * 7) % states.length]
      if (state === undefined) continue
      const { service: store } = yield* MemoryPersistence.make({ from: state.snapshot })
      const [run] = yield* store.list({ limit: 1 })
      if (run === undefined) continue
      yield* loseEngines(store)
      const resumed = yield* withVirtualClock(
        Effect.provide(finish(store, run.id, it), engine(store, code(it))),
        run.createdAt + 1_000_000
      )
      expect(resumed.problems, `stopped after write ${state.write}`).toEqual([])
    }
  })
