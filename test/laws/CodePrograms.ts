/**
 * Generated workflows in code: every combinator, nested. What an action does depends on nothing but its payload and attempt.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import type { ScriptedAnswer } from "../../src/testing/TestProgram.ts"

/** What an action does. */
export interface Work {
  readonly ms: number
  /** Attempts that fail. */
  readonly failures: number
  /** They die instead. */
  readonly dies: boolean
  readonly retries: number
}

/** How a person answers a gate, and for how long that is waited for. */
export interface Asked {
  readonly after: number
  readonly approved: boolean
  readonly timeout: number
}

export type Tree =
  | ({ readonly _tag: "Do" } & Work)
  | ({ readonly _tag: "Gate" } & Asked)
  | { readonly _tag: "Sleep" | "Signal"; readonly ms: number }
  | { readonly _tag: "Seq" | "All" | "ForEach" | "Race" | "Caught" | "Pipeline"; readonly parts: ReadonlyArray<Tree> }
  | { readonly _tag: "Timeout"; readonly ms: number; readonly work: Tree }
  | { readonly _tag: "Child" | "Undone"; readonly work: Tree }

const ms = fc.constantFrom(0, 10, 20, 30)

export const tree: fc.Arbitrary<Tree> = fc.letrec<{
  tree: Tree
  leaf: Tree
  node: Tree
  late: Tree
  apart: Tree
}>((tie) => ({
  leaf: fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        _tag: fc.constant("Do" as const),
        ms,
        failures: fc.constantFrom(0, 0, 1, 3),
        dies: fc.constantFrom(false, false, true),
        retries: fc.constantFrom(0, 1, 2)
      })
    },
    { weight: 2, arbitrary: fc.record({ _tag: fc.constantFrom("Sleep", "Signal"), ms }) },
    {
      weight: 1,
      arbitrary: fc.record({
        _tag: fc.constant("Gate" as const),
        after: ms,
        approved: fc.boolean(),
        timeout: fc.constantFrom(15, 20, 1_000)
      })
    }
  ),
  node: fc.record({
    _tag: fc.constantFrom("Seq", "All", "ForEach", "Race", "Caught", "Pipeline"),
    parts: fc.array(tie("tree"), { minLength: 1, maxLength: 3 })
  }),
  late: fc.record({ _tag: fc.constant("Timeout" as const), ms: fc.constantFrom(5, 10, 25), work: tie("tree") }),
  apart: fc.record({ _tag: fc.constantFrom("Child", "Undone", "Undone"), work: tie("tree") }),
  tree: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    { weight: 2, arbitrary: tie("leaf") },
    { weight: 4, arbitrary: tie("node") },
    { weight: 1, arbitrary: tie("late") },
    { weight: 2, arbitrary: tie("apart") }
  )
})).tree

const payload = Schema.Struct({ ms: Schema.Number, failures: Schema.Number, dies: Schema.Boolean })
const shape = { payload, error: Schema.String }
const actions = [
  Action.make("do-0", { ...shape, retry: { times: 0 } }),
  Action.make("do-1", { ...shape, retry: { times: 1, delay: 5 }, timeout: 20 }),
  Action.make("do-2", { ...shape, retry: { times: 2, delay: 5, exponential: true } })
] as const

const undo = Action.make("undo-it", { payload: Schema.Void })

type Needs = Workflow.WorkflowRun | Action.HandlerOf<(typeof actions)[number]> | Action.HandlerOf<typeof undo>

/** Told of what each attempt acquires, and releases. */
export type Told = (what: "began" | "ended", attempt: Action.ActionAttempt) => void

const handler = (told: Told) => (work: typeof payload.Type, attempt: Action.ActionAttempt) => {
  const failing = work.dies ? Effect.die(new Error("it died")) : Effect.fail("it failed")
  return Effect.zipRight(
    Effect.acquireRelease(
      Effect.sync(() => told("began", attempt)),
      () => Effect.sync(() => told("ended", attempt))
    ),
    Effect.delay(attempt.attempt <= work.failures ? failing : Effect.void, work.ms)
  )
}

const work = ({ dies, failures, ms, retries }: Work): Effect.Effect<void, string, Needs> => {
  const payload = { dies, failures, ms }
  if (retries === 0) return Action.call(actions[0], payload)
  return retries === 1 ? Effect.mapError(Action.call(actions[1], payload), String) : Action.call(actions[2], payload)
}

const Go = Workflow.signal("go", Schema.Void)

/** When it is sent to the run, ms after its start. */
export const signals: ReadonlyArray<number> = [0, 20, 35]

/** The gate's prompt says how it is answered. */
const promptOf = ({ after, approved }: Pick<Asked, "after" | "approved">): string =>
  `${approved ? "approved" : "rejected"} after ${after} ms`

/** By a gate's prompt. */
export const answers: Readonly<Record<string, ScriptedAnswer>> = Object.fromEntries(
  [0, 10, 20, 30]
    .flatMap((after) => [
      { after, approved: true },
      { after, approved: false }
    ])
    .map((answer) => [promptOf(answer), answer])
)

/** The n-th child of a tree is a run of what stands in it: `n` is its payload. */
const Child = Workflow.make("child", { payload: Schema.Number, error: Schema.String })

const childrenOf = (tree: Tree): ReadonlyArray<Tree> => {
  const inner = "parts" in tree ? tree.parts : "work" in tree ? [tree.work] : []
  return [...(tree._tag === "Child" ? [tree.work] : []), ...inner.flatMap(childrenOf)]
}

/** `children`: of the whole tree. */
const bodyIn = (children: ReadonlyArray<Tree>) => {
  const bodyOf = (tree: Tree): Effect.Effect<unknown, string, Needs> => {
    switch (tree._tag) {
      case "Do":
        return work(tree)
      case "Sleep":
        return Workflow.sleep(tree.ms)
      case "Signal":
        return Effect.mapError(Workflow.awaitSignal(Go, { timeout: tree.ms }), String)
      case "Seq":
        return Effect.forEach(tree.parts, bodyOf)
      case "All":
        return Workflow.all(tree.parts.map(bodyOf))
      case "ForEach":
        return Workflow.forEach([...tree.parts.entries()], ([, part]) => bodyOf(part), {
          key: ([index]) => `i${index}`,
          concurrency: 2
        })
      case "Race":
        return Workflow.race(tree.parts.map(bodyOf))
      case "Caught":
        return Effect.either(Effect.forEach(tree.parts, bodyOf))
      case "Pipeline":
        return Workflow.pipeline(tree.parts.entries(), { key: ([index]) => `i${index}` }, ([, part]) => bodyOf(part))
      case "Timeout":
        return Effect.mapError(Workflow.timeout(bodyOf(tree.work), tree.ms), String)
      case "Gate":
        return Effect.mapError(Workflow.gate("human_review", { prompt: promptOf(tree), timeout: tree.timeout }), String)
      case "Child":
        return Effect.mapError(Workflow.child(Child, children.indexOf(tree.work)), String)
      case "Undone":
        return Workflow.withCompensation(bodyOf(tree.work), () => Action.call(undo, undefined))
    }
  }
  return bodyOf
}

const Generated = Workflow.make("generated", { payload: Schema.Void, error: Schema.String })

export const start = Generated.start(undefined)

/** The workflow of a tree, with its actions. */
export const layerOf = (tree: Tree, told: Told) => {
  const children = childrenOf(tree)
  const bodyOf = bodyIn(children)
  return Layer.provide(
    Layer.merge(
      Generated.toLayer(() => Effect.asVoid(bodyOf(tree))),
      Child.toLayer((n) => Effect.asVoid(bodyOf(children[n] ?? tree)))
    ),
    Layer.mergeAll(
      actions[0].toLayer(handler(told)),
      actions[1].toLayer(handler(told)),
      actions[2].toLayer(handler(told)),
      undo.toLayer(() => Effect.void)
    )
  )
}
