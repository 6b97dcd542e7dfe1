/** `fork`: starts a new run from what another one has done before a step. */
import * as Effect from "effect/Effect"
import { fork } from "../../engine/Resume.ts"
import { UsageError } from "../CliError.ts"
import { argument, defineCommand, flag, text } from "../CommandLine.ts"
import { goOnWithFork } from "../GoOn.ts"
import { dbOption, existingDatabase, homeOption, onWaitingOption } from "../Home.ts"
import { findRun, storeLayer } from "../Session.ts"

export const command = defineCommand({
  name: "fork",
  summary: "Start a new run that keeps what another one has done before a step.",
  notes: [
    "The step, and all that follow it, are run by the new run, with the inputs and the definition of the other one,",
    "which may be in any state and is left as it is."
  ],
  examples: [
    ["try a changed action on a run that failed, and leave that as it is", "millrace fork 01JD8N4K --from-step build"],
    ["from one of several steps of that name, by its path", "millrace fork 01JD8N4K --from-step release/build"]
  ],
  arguments: { run: argument("RUN", "the other run") },
  options: {
    fromStep: text("from-step", "STEP", "the first step to run, by path or name; needed"),
    yes: flag("yes", "approve gates without asking"),
    onWaiting: onWaitingOption,
    db: dbOption,
    home: homeOption,
    json: flag("json", "print events as NDJSON, the result last")
  },
  run: ({ run: wanted, fromStep, yes, onWaiting, db, home, json }) =>
    Effect.gen(function* () {
      if (fromStep === undefined) {
        return yield* new UsageError({
          message: "`millrace fork` needs the step to start from",
          hint: "name it with `--from-step STEP`; `millrace show RUN` lists the steps"
        })
      }
      const database = yield* existingDatabase({ home, db })
      return yield* Effect.gen(function* () {
        const run = yield* findRun(wanted)
        return yield* goOnWithFork(run, fork(run.id, { fromStep }), { json, yes, home, database, onWaiting })
      }).pipe(Effect.provide(storeLayer(database)))
    })
})
