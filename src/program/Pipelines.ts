/**
 * Items through stages, each as a chain of its own (spec/orchestration.md, "pipeline"), journaled.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type AllOptions, eachAlone } from "./Branches.ts"
import type { WorkflowRun } from "./WorkflowRun.ts"

/** What becomes of an item, from what the stage before it gave (the item itself, in the first stage). */
export type Stage<I, A, B, E, R> = (value: A, item: I) => Effect.Effect<B, E, R>

export interface PipelineOptions<I> extends AllOptions {
  /** Names the item's chain; two items of one key are a defect. */
  readonly key: (item: I) => string
}

type Chains<B, E, R> = Effect.Effect<ReadonlyArray<Exit.Exit<B, E>>, never, WorkflowRun | R>

/**
 * Takes each item through the stages, with no barrier between them: one may be in the third stage while another is in
 * the first. Gives how each chain ended, in the order of the items; a chain that fails or dies stops at that stage and
 * disturbs no other. At most `concurrency` chains are under way at once, in item order.
 *
 * ```ts
 * const ends = yield* Workflow.pipeline(
 *   pages,
 *   { key: (page) => page.id, concurrency: 4 },
 *   (page) => Action.call(Extract, page),
 *   (text, page) => Action.call(Summarize, { page: page.id, text })
 * )
 * ```
 */
export const pipeline: {
  <I, A, E1, R1>(items: Iterable<I>, options: PipelineOptions<I>, one: Stage<I, I, A, E1, R1>): Chains<A, E1, R1>
  <I, A, B, E1, E2, R1, R2>(
    items: Iterable<I>,
    options: PipelineOptions<I>,
    one: Stage<I, I, A, E1, R1>,
    two: Stage<I, A, B, E2, R2>
  ): Chains<B, E1 | E2, R1 | R2>
  <I, A, B, C, E1, E2, E3, R1, R2, R3>(
    items: Iterable<I>,
    options: PipelineOptions<I>,
    one: Stage<I, I, A, E1, R1>,
    two: Stage<I, A, B, E2, R2>,
    three: Stage<I, B, C, E3, R3>
  ): Chains<C, E1 | E2 | E3, R1 | R2 | R3>
  <I, A, B, C, D, E1, E2, E3, E4, R1, R2, R3, R4>(
    items: Iterable<I>,
    options: PipelineOptions<I>,
    one: Stage<I, I, A, E1, R1>,
    two: Stage<I, A, B, E2, R2>,
    three: Stage<I, B, C, E3, R3>,
    four: Stage<I, C, D, E4, R4>
  ): Chains<D, E1 | E2 | E3 | E4, R1 | R2 | R3 | R4>
  <I, A, B, C, D, F, E1, E2, E3, E4, E5, R1, R2, R3, R4, R5>(
    items: Iterable<I>,
    options: PipelineOptions<I>,
    one: Stage<I, I, A, E1, R1>,
    two: Stage<I, A, B, E2, R2>,
    three: Stage<I, B, C, E3, R3>,
    four: Stage<I, C, D, E4, R4>,
    five: Stage<I, D, F, E5, R5>
  ): Chains<F, E1 | E2 | E3 | E4 | E5, R1 | R2 | R3 | R4 | R5>
} = <I>(
  items: Iterable<I>,
  options: PipelineOptions<I>,
  ...stages: ReadonlyArray<Stage<I, never, unknown, unknown, unknown>>
): never => {
  const lanes = [...items].map((item) => ({ key: options.key(item), effect: chain(item, stages) }))
  const ends = Effect.map(eachAlone("pipeline", lanes, options), (exits) =>
    lanes.map(({ key }) => exits.get(key) ?? Exit.die(new Error(`invariant: chain '${key}' did not end`)))
  )
  // SAFETY: the overloads say what the last stage gives, and what all of them fail with and need.
  return ends as never
}

const chain = <I>(item: I, stages: ReadonlyArray<Stage<I, never, unknown, unknown, unknown>>) =>
  stages.reduce<Effect.Effect<unknown, unknown, unknown>>(
    // SAFETY: the overloads have each stage take what the one before it gives.
    (before, stage) => Effect.flatMap(before, (value) => stage(value as never, item)),
    Effect.succeed(item)
  )
