/**
 * Gates in code workflows: a durable wait for a person's answer (spec/engine.md, "gate").
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { gate as gateStep } from "../engine/Gate.ts"
import type { GateAnswer, StepRecord } from "../persistence/Records.ts"
import { defaults } from "../workflow/Definition.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

export interface GateOptions {
  readonly prompt?: string
  /** What may be selected, by key. */
  readonly options?: Readonly<Record<string, string>>
  /** From when the gate first waited; default 24 h. */
  readonly timeout?: Duration.DurationInput
}

export class GateRejected extends Schema.TaggedError<GateRejected>()("GateRejected", {
  gate: Schema.String,
  reason: Schema.String
}) {}

export class GateTimedOut extends Schema.TaggedError<GateTimedOut>()("GateTimedOut", { gate: Schema.String }) {}

/** Waits until the gate is approved; the run may be let go meanwhile, and costs nothing then. */
export const gate = (
  name: string,
  options: GateOptions = {}
): Effect.Effect<GateAnswer, GateRejected | GateTimedOut, WorkflowRun> =>
  Effect.gen(function* () {
    const branch = yield* currentBranch(name)
    const row = yield* gateStep({
      branch,
      path: branch.next(name),
      name,
      gate: {
        kind: "human_approval",
        prompt: options.prompt ?? null,
        minApprovals: 1,
        mode: defaults.gateMode,
        timeout: Duration.toMillis(options.timeout ?? defaults.gateTimeout),
        options: Object.entries(options.options ?? {}).map(([key, text]) => ({ key, text }))
      },
      onTimeout: "fail",
      approve: branch.run.record.dryRun,
      resolver: undefined,
      identity: undefined
    })
    return yield* answerOf(name, row)
  })

const answerOf = (gate: string, row: StepRecord): Effect.Effect<GateAnswer, GateRejected | GateTimedOut> => {
  const answer = row.gate?.answer
  if (row.status === "cancelled") return Effect.interrupt
  if (answer === null || answer === undefined) return Effect.fail(new GateTimedOut({ gate }))
  if (answer.approved) return Effect.succeed(answer)
  return Effect.fail(new GateRejected({ gate, reason: row.error ?? "rejected" }))
}
