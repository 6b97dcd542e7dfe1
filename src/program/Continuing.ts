/**
 * Workflows without an end: a run that continues as new, before its journal is too long (`engine/Continue`).
 */
import * as Effect from "effect/Effect"
import { continueAsNew as continueRun } from "../engine/Continue.ts"
import { isOfBody } from "../engine/Phases.ts"
import type { AnySchema } from "./Codec.ts"
import { secretsIn } from "./PayloadSecrets.ts"
import { encodePayload } from "./ValueRefused.ts"
import { recorded } from "./Values.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

/**
 * Ends this run here, completed, and lets a new run of the workflow begin with this payload, in one commit. Whoever
 * waits for the run, by its id, as its parent or under its idempotency key, then waits for the new one; signals that it
 * has not taken go on to it. What is going on in other branches is stopped; nothing is compensated, and undos that were
 * registered are let go. A run timeout begins afresh.
 *
 * Only from the body of this very workflow; an undo cannot continue.
 */
export const continueAsNew = <P extends AnySchema>(
  workflow: { readonly name: string; readonly payload: P },
  payload: P["Type"]
): Effect.Effect<never, never, WorkflowRun> =>
  Effect.gen(function* () {
    const branch = yield* currentBranch("continueAsNew")
    const { record } = branch.run
    if (record.workflow !== workflow.name) {
      return yield* Effect.dieMessage(`a run of '${record.workflow}' cannot continue as one of '${workflow.name}'`)
    }
    if (!isOfBody(branch.at(""))) return yield* Effect.dieMessage("an undo cannot continue the run as a new one")
    const whose = () => `with which workflow '${workflow.name}' continues as new`
    yield* branch.run.learn(secretsIn(payload))
    return yield* continueRun(branch, yield* encodePayload(workflow.payload, payload, whose))
  })

/**
 * Whether the journal has come to four fifths of its limit (`maxJournalRows`), where a run should continue as new. Costs
 * a row, as what it says does not depend on time in a replay.
 */
export const continueAsNewSuggested: Effect.Effect<boolean, never, WorkflowRun> = Effect.flatMap(
  currentBranch("continueAsNewSuggested"),
  ({ run }) => recorded("continueAsNewSuggested", () => run.rows >= run.manyRows)
)
