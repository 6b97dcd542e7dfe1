/**
 * The runs of a recorded database: as they were when it was made, and what makes them go on.
 */
import * as Effect from "effect/Effect"
import { ActionFailed, type Executor } from "../../../src/action/Action.ts"
import type { World } from "../../engine/TestEngine.ts"

/** By name; which is also the idempotency key of the run. */
export const texts = {
  done: 'workflow done { inputs { who default = "you" } call gives call flaky { retries = 1 } if gives.good { call ok } }',
  asked: 'workflow asked { call ok gate human_review { prompt = "Go on?" } call gives always { call ok } }',
  cut: "workflow cut { call gives call held call ok always { call ok } }",
  beside: "workflow beside { parallel { call gives call held } call ok }",
  many: `workflow many {
    call items
    foreach each { over = json scope = { from = "items.list" } max_parallel = 2 ordered = true workflow = item }
    call ok
  }`,
  paused: "workflow paused { call ok gate human_review {} call gives }",
  failed: "workflow failed { call ok call breaks call gives }",
  looped: "workflow looped { do { max_iterations = 5 call again } while again.more call ok }"
} as const

export type Recorded = keyof typeof texts

export const workflows = ['workflow item { call ok gate human_approval { prompt = "This one?" } call gives }']

export interface Begun {
  readonly run: string
  readonly path: string
}

/** `isMaking`: steps hang, or fail, where the recorded runs were left; otherwise all go on. */
export const worldOf = (isMaking: boolean, begun: Array<Begun> = []): World => {
  const noted =
    (execute: Executor): Executor =>
    (call) =>
      Effect.suspend(() => {
        begun.push({ run: call.run, path: call.path })
        return execute(call)
      })
  const fails = Effect.fail(new ActionFailed({ message: "not yet" }))
  const actions: Readonly<Record<string, Executor>> = {
    ok: () => Effect.succeed({}),
    gives: () =>
      Effect.succeed({
        markers: ["good"],
        context: "given",
        structuredOutput: { n: 1 },
        metadata: { input_tokens: "3" }
      }),
    flaky: ({ attempt }) => (attempt === 1 ? fails : Effect.succeed({})),
    items: () =>
      Effect.succeed({ structuredOutput: { list: [{ id: "a" }, { id: "b" }, { id: "c", blocked_by: ["a"] }] } }),
    held: () => (isMaking ? Effect.never : Effect.succeed({ context: "held" })),
    breaks: () => (isMaking ? fails : Effect.succeed({})),
    again: ({ path }) => {
      if (isMaking && path.includes("/@2/")) return Effect.never
      return Effect.succeed(path.includes("/@3/") ? {} : { markers: ["more", `at ${path}`] })
    }
  }
  return {
    workflows,
    actions: Object.fromEntries(Object.entries(actions).map(([name, execute]) => [name, noted(execute)])),
    settings: { linger: 10, watchdogInterval: 100 }
  }
}
