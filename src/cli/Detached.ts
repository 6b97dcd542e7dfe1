/** `run --detach`: creates a run that nobody runs yet, and says its id. */
import * as Effect from "effect/Effect"
import { type StartOptions, submit } from "../engine/interpreter/NewWorkflowRun.ts"
import { Persistence } from "../persistence/Persistence.ts"
import type { WorkflowDefinition } from "../workflow/Definition.ts"
import { ExitCode } from "./ExitCode.ts"
import { dbArgument } from "./Home.ts"
import { howToTakeUp } from "./Hints.ts"
import { writeError, writeLine } from "./Output.ts"

export interface DetachedOptions {
  readonly json: boolean
  readonly database: string
}

/** A key that was used before gives the run that it was used for: whoever asks twice has one run. */
export const detach = (definition: WorkflowDefinition, start: StartOptions, { database, json }: DetachedOptions) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const { run, created } = yield* submit(definition, start).pipe(
      Effect.map((run) => ({ run, created: true })),
      Effect.catchTag("RunAlreadyExists", ({ run }) => Effect.succeed({ run, created: false }))
    )
    const { status, workflow } = yield* persistence.get(run)
    if (json) writeLine(JSON.stringify({ _tag: "RunCreated", runId: run, workflow, status, created }))
    else writeLine(run)
    if (!created) writeError(`run ${run} was created for this key before; it is ${status.replace("_", " ")}`)
    else if (process.stdout.isTTY === true) writeError(howToTakeUp(run, yield* dbArgument(database)))
    return ExitCode.done
  })
