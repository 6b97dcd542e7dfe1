/**
 * Values that a replay must find again: time and chance are rows (I3).
 */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { decide } from "../engine/Decision.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

/** What was computed at the first execution, as a row. */
export const recorded = <A>(name: string, value: () => A): Effect.Effect<A, never, WorkflowRun> =>
  Effect.flatMap(currentBranch(name), (branch) =>
    decide({ branch, path: branch.next(name), kind: "value", name, decide: value })
  )

/** The time at the first execution, ms since the epoch. */
export const now: Effect.Effect<number, never, WorkflowRun> = Effect.flatMap(currentBranch("now"), (branch) =>
  recorded("now", () => branch.run.now())
)

/**
 * A number from 0 up to 1, drawn at the first execution from the process's Random service: the body's own (B4) has to go
 * on the same in a replay, which draws nothing here.
 */
export const random: Effect.Effect<number, never, WorkflowRun> = Effect.flatMap(currentBranch("random"), ({ run }) =>
  Effect.flatMap(run.inProcess(Effect.random), (source) => recorded("random", () => Effect.runSync(source.next)))
)

/** A random UUID, drawn at the first execution. */
export const uuid: Effect.Effect<string, never, WorkflowRun> = recorded("uuid", () => randomUUID())
