/**
 * Gates in code workflows: a durable wait for a person's answer (spec/engine.md, "gate"), which may be typed.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { checkedTime } from "../action/TryOptions.ts"
import type { Branch } from "../engine/Branch.ts"
import { gate as gateStep } from "../engine/Gate.ts"
import type { GateAnswer, StepRecord } from "../persistence/Records.ts"
import { defaults } from "../workflow/Definition.ts"
import { type AnySchema, decode, tryEncode, type Unfit } from "./Codec.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

export interface GateOptions<K extends string = string, A extends AnySchema = AnySchema> {
  readonly prompt?: string
  /** What may be selected, by key. */
  readonly options?: Readonly<Record<K, string>>
  /** What the answer has to be; default: any approval will do. */
  readonly answer?: A
  /** The answer in a dry run, which approves every gate; needed where `answer` reads no empty one. */
  readonly dryRunAnswer?: A["Type"]
  /** From when the gate first waited; default 24 h. */
  readonly timeout?: Duration.DurationInput
}

/** A gate as a value: what waits at it and what answers it agree by its type. */
export interface Gate<K extends string, A extends AnySchema> extends Omit<GateOptions<K, A>, "answer"> {
  readonly name: string
  readonly answer: A
}

/** An approval. */
export interface Approval<K extends string, A> extends Pick<GateAnswer, "feedback" | "by" | "at"> {
  readonly value: A
  readonly selections: ReadonlyArray<K>
}

export class GateRejected extends Schema.TaggedError<GateRejected>()("GateRejected", {
  gate: Schema.String,
  reason: Schema.String
}) {}

export class GateTimedOut extends Schema.TaggedError<GateTimedOut>()("GateTimedOut", { gate: Schema.String }) {}

type Waiting<K extends string, A> = Effect.Effect<Approval<K, A>, GateRejected | GateTimedOut, WorkflowRun>

/**
 * Declares a gate: `Workflow.gate` waits at it, and a workflow's `answer` answers it. Throws a `RangeError` where `timeout`
 * is no time above 0.
 *
 * ```ts
 * const Release = Workflow.makeGate("release", {
 *   options: { now: "Ship now", monday: "Ship on Monday" },
 *   answer: Schema.Struct({ discount: Schema.Int })
 * })
 * ```
 */
export const makeGate = <const K extends string = never, A extends AnySchema = typeof Schema.Void>(
  name: string,
  options: GateOptions<K, A> = {}
): Gate<K, A> => {
  checkedTime(`gate '${name}'`, "timeout", options.timeout)
  return {
    ...options,
    name,
    // SAFETY: the default of the type parameter is this very schema.
    answer: (options.answer ?? Schema.Void) as A
  }
}

/**
 * Waits until the gate is approved; the run may be let go meanwhile, and costs nothing then.
 *
 * With `answer`, the approval carries a value: the JSON that the answer has (`--value`, or what a typed handle sends).
 * Without one, the first of these that the schema reads: `{ feedback, selections }`, the feedback, the only selection.
 * An approval that it cannot read is refused where it is sent from a handle, and otherwise dropped with a warning: the
 * gate goes on waiting.
 */
export const gate: {
  <K extends string, A extends AnySchema>(gate: Gate<K, A>): Waiting<K, A["Type"]>
  <const K extends string = never, A extends AnySchema = typeof Schema.Void>(
    name: string,
    options?: GateOptions<K, A>
  ): Waiting<K, A["Type"]>
} = <K extends string, A extends AnySchema>(
  gate: string | Gate<K, A>,
  options?: GateOptions<K, A>
): Waiting<K, A["Type"]> => waitAt(typeof gate === "string" ? makeGate(gate, options) : gate)

const waitAt = <K extends string, A extends AnySchema>(gate: Gate<K, A>): Waiting<K, A["Type"]> =>
  Effect.gen(function* () {
    const { name } = gate
    const branch = yield* currentBranch(name)
    const row = yield* gateStep({
      branch,
      path: branch.next(name),
      name,
      gate: {
        kind: "human_approval",
        prompt: gate.prompt ?? null,
        minApprovals: 1,
        ...(gate.answer.ast._tag === "VoidKeyword" ? {} : { asksValue: true }),
        mode: defaults.gateMode,
        timeout: Duration.toMillis(gate.timeout ?? defaults.gateTimeout),
        options: Object.entries<string>(gate.options ?? {}).map(([key, text]) => ({ key, text }))
      },
      onTimeout: "fail",
      approve: branch.run.record.dryRun,
      resolver: undefined,
      identity: undefined,
      check: (answer) =>
        Effect.match(valueOf(gate.answer, answer), {
          onSuccess: () => undefined,
          onFailure: ({ message }) => message
        })
    })
    return yield* answerOf(branch, gate, row)
  })

const answerOf = <K extends string, A extends AnySchema>(
  branch: Branch,
  gate: Gate<K, A>,
  row: StepRecord
): Effect.Effect<Approval<K, A["Type"]>, GateRejected | GateTimedOut> => {
  const { name } = gate
  const answer = row.gate?.answer
  if (row.status === "cancelled") return Effect.interrupt
  if (answer === null || answer === undefined) return Effect.fail(new GateTimedOut({ gate: name }))
  if (!answer.approved) return Effect.fail(new GateRejected({ gate: name, reason: row.error ?? "rejected" }))
  return Effect.map(valueAt(branch, gate, row, answer), (value) => {
    const { feedback, by, at } = answer
    // SAFETY: a selection that is not among the gate's options is refused before it is stored.
    return { value, feedback, by, at, selections: answer.selections as ReadonlyArray<K> }
  })
}

const valueAt = <K extends string, A extends AnySchema>(
  branch: Branch,
  gate: Gate<K, A>,
  row: StepRecord,
  answer: GateAnswer
): Effect.Effect<A["Type"]> => {
  const { run } = branch
  if (run.record.dryRun && gate.dryRunAnswer !== undefined) return Effect.succeed(gate.dryRunAnswer)
  return Effect.catchAll(valueOf(gate.answer, answer), ({ message }) =>
    run.record.dryRun
      ? Effect.dieMessage(`gate '${gate.name}' has no dryRunAnswer, and a dry run approves it without one: ${message}`)
      : run.misfit(`the recorded answer of ${row.path} cannot be read by gate '${gate.name}': ${message}`)
  )
}

/** The value that an approval stands for. */
const valueOf = <A extends AnySchema>(schema: A, answer: GateAnswer): Effect.Effect<A["Type"], Unfit> => {
  const { feedback, selections, value } = answer
  if (value !== undefined) return decode(schema, value)
  const both = decode(schema, feedback === null ? { selections } : { feedback, selections })
  const only = selections.length === 1 ? selections : []
  const texts = [feedback, ...only].filter((text) => text !== null)
  const others = [...texts, null].map((other) => decode(schema, other))
  return Effect.catchAll(both, (error) => Effect.mapError(Effect.firstSuccessOf(others), () => error))
}

/** What answers a gate. */
export type GateReply<K extends string, A> =
  | ({
      readonly approved: true
      readonly feedback?: string
      readonly selections?: ReadonlyArray<K>
      readonly by?: string
    } & ([A] extends [void] ? { readonly value?: undefined } : { readonly value: A }))
  | { readonly approved: false; readonly feedback?: string; readonly by?: string }

/** A value that the gate's schema does not take. */
export class InvalidAnswer extends Schema.TaggedError<InvalidAnswer>()("InvalidAnswer", {
  gate: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `gate '${this.gate}' does not take this answer: ${this.problem}`
  }
}

/** The value of a reply as it is sent; undefined where the gate asks for none. */
export const encodeAnswer = <K extends string, A extends AnySchema>(
  gate: Gate<K, A>,
  value: unknown
): Effect.Effect<unknown, InvalidAnswer> =>
  Effect.mapBoth(tryEncode(gate.answer, value), {
    onSuccess: (encoded) => encoded ?? undefined,
    onFailure: ({ message }) => new InvalidAnswer({ gate: gate.name, problem: message })
  })
