/** `work`: a long-lived engine for the project. */
import * as Effect from "effect/Effect"
import { UsageError } from "../CliError.ts"
import { defineCommand, flag, integer } from "../CommandLine.ts"
import { databaseOf, dbOption, homeOption, onWaitingOption, openProject } from "../Home.ts"
import { work } from "../Worker.ts"

export const command = defineCommand({
  name: "work",
  summary: "Run runs as they come: detached ones, those of triggers, and those that wait or were left behind.",
  notes: [
    "It takes up runs that were created with --detach, that other processes left or that died with them, gates that",
    "were answered, and times that have come. Any number of workers may share a database.",
    "SIGTERM and Ctrl-C shut it down: its runs are left as they are, for another worker or `millrace resume`."
  ],
  examples: [
    ["a worker for the project, until it is told to stop", "millrace work"],
    ["all that is left to do, as a job of cron", "millrace work --once --max-runs 4"],
    ["a message to a person for each gate", 'millrace work --on-waiting "./notify.sh"']
  ],
  arguments: {},
  options: {
    maxRuns: integer("max-runs", "N", "at most so many runs at once (default: 100)", undefined),
    once: flag("once", "end when nothing is left to do; follow no triggers"),
    onWaiting: onWaitingOption,
    db: dbOption,
    home: homeOption,
    json: flag("json", "print what happens as NDJSON")
  },
  run: ({ maxRuns, once, onWaiting, db, home, json }) =>
    Effect.gen(function* () {
      if (maxRuns !== undefined && maxRuns < 1) {
        return yield* new UsageError({ message: "--max-runs must be at least 1" })
      }
      const project = yield* openProject(home)
      const database = yield* databaseOf(project.home, db)
      return yield* work({ project, database, maxRuns, once, onWaiting, json })
    })
})
