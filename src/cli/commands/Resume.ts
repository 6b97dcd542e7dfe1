/** `resume`: goes on with a run, or opens one that ended again. */
import * as Effect from "effect/Effect"
import { resume } from "../../engine/Resume.ts"
import type { RunId } from "../../persistence/Records.ts"
import { CommandFailed, UsageError } from "../CliError.ts"
import { argument, defineCommand, flag, text } from "../CommandLine.ts"
import { goOn } from "../GoOn.ts"
import { howToShow, howToUnpause, program } from "../Hints.ts"
import { dbArgument, dbOption, existingDatabase, homeOption, onWaitingOption } from "../Home.ts"
import { findRun, storeLayer } from "../Session.ts"

/** Its owner's id would tell nobody which process that is. */
const goesOnElsewhere = (run: RunId, db: string) => ({
  message: `run ${run} goes on in another process already`,
  hint: `${howToShow(run, db)}\nend it with: ${program()} cancel ${run}${db}`
})

export const command = defineCommand({
  name: "resume",
  summary: "Go on with a run that was interrupted, that waits, or that failed.",
  notes: [
    "What has completed is not run again. A completed or cancelled run needs --from-step or --restart.",
    "A RUN is given by its id, or by the beginning of it if no other run begins like that."
  ],
  examples: [
    ["go on with a run; the beginning of its id is enough", "millrace resume 01JD8N4K"],
    ["run one step, and all behind it, again", "millrace resume 01JD8N4K --from-step build"],
    ["everything again, with the same inputs", "millrace resume 01JD8N4K --restart --yes"]
  ],
  arguments: { run: argument("RUN", "the run") },
  options: {
    fromStep: text("from-step", "STEP", "run this step, by path or name, again, and all that follow it"),
    restart: flag("restart", "run every step again"),
    yes: flag("yes", "approve gates without asking"),
    onWaiting: onWaitingOption,
    db: dbOption,
    home: homeOption,
    json: flag("json", "print events as NDJSON, the result last")
  },
  run: ({ run: wanted, fromStep, restart, yes, onWaiting, db, home, json }) =>
    Effect.gen(function* () {
      if (fromStep !== undefined && restart) {
        return yield* new UsageError({ message: "--from-step and --restart exclude each other" })
      }
      const database = yield* existingDatabase({ home, db })
      const mode =
        fromStep !== undefined
          ? ({ _tag: "From", step: fromStep } as const)
          : restart
            ? ({ _tag: "Restart" } as const)
            : undefined
      return yield* Effect.gen(function* () {
        const run = yield* findRun(wanted)
        const argument = yield* dbArgument(database)
        const resumed = Effect.catchTags(resume(run.id, mode), {
          RunPaused: ({ message }) => new CommandFailed({ message, hint: howToUnpause(run.id, argument) }),
          RunAlreadyOwned: (error) => new CommandFailed(goesOnElsewhere(error.run, argument))
        })
        return yield* goOn(run, resumed, { json, yes, home, database, onWaiting })
      }).pipe(Effect.provide(storeLayer(database)))
    })
})
