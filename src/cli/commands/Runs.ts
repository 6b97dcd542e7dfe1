/** `runs`: lists the runs of a database. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Persistence } from "../../persistence/Persistence.ts"
import { type RunRecord, RunStatus } from "../../persistence/Records.ts"
import { nearest } from "../../workflow/Suggest.ts"
import { UsageError } from "../CliError.ts"
import { defineCommand, flag, integer, text, texts } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { dbOption, existingDatabase, homeOption } from "../Home.ts"
import { duration, inline, shorten, table, writeLine } from "../Output.ts"
import { runJson, showable } from "../RunJson.ts"
import { storeLayer } from "../Session.ts"

export const command = defineCommand({
  name: "runs",
  summary: "List runs, the newest first.",
  arguments: {},
  options: {
    status: texts("status", "STATUS", "only runs in this status"),
    workflow: text("workflow", "NAME", "only runs of this workflow"),
    children: flag("children", "runs that other runs started, too"),
    limit: integer("limit", "N", "at most so many (default: 50)", 50),
    db: dbOption,
    home: homeOption,
    json: flag("json", "print a JSON array")
  },
  run: ({ status, workflow, children, limit, db, home, json }) =>
    Effect.gen(function* () {
      const statuses = yield* Effect.forEach(status, readStatus)
      if (limit < 1) return yield* new UsageError({ message: "--limit must be at least 1" })
      const database = yield* existingDatabase({ home, db })
      return yield* Effect.gen(function* () {
        const persistence = yield* Persistence
        const runs = yield* persistence.list({
          limit,
          dismissed: false,
          ...(statuses.length === 0 ? {} : { status: statuses }),
          ...(workflow === undefined ? {} : { workflow }),
          ...(children ? {} : { parent: null })
        })
        if (json) writeLine(JSON.stringify((yield* showable(runs)).map(runJson), undefined, 2))
        else if (runs.length === 0) writeLine("no runs")
        else writeLine(table([headings, ...runs.map(row)]))
        return ExitCode.done
      }).pipe(Effect.provide(storeLayer(database)))
    })
})

const isStatus = Schema.is(RunStatus)

const readStatus = (word: string): Effect.Effect<RunStatus, UsageError> => {
  if (isStatus(word)) return Effect.succeed(word)
  const close = nearest(word, RunStatus.literals)
  const hint = close === undefined ? `one of: ${RunStatus.literals.join(", ")}` : `did you mean '${close}'?`
  return Effect.fail(new UsageError({ message: `there is no status '${word}'`, hint }))
}

const headings = ["RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK", ""]

const row = (run: RunRecord): ReadonlyArray<string> => [
  run.id,
  shorten(inline(run.workflow), 40),
  run.status.replace("_", " "),
  run.startedAt === null ? "" : new Date(run.startedAt).toISOString().slice(0, 19).replace("T", " "),
  run.startedAt === null ? "" : duration((run.endedAt ?? Date.now()) - run.startedAt),
  shorten(inline(run.error ?? run.blockedOn.map(({ name }) => name).join(", ")), 60)
]
