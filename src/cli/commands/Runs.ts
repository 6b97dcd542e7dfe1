/** `runs`: lists the runs of a database. */
import * as Effect from "effect/Effect"
import type { RunFilter } from "../../persistence/Persistence.ts"
import { RunId, type RunRecord, RunStatus } from "../../persistence/Records.ts"
import { UsageError } from "../CliError.ts"
import { defineCommand, flag, integer, text, texts } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { howToSeeMore } from "../Hints.ts"
import { dbOption, existingDatabase, homeOption } from "../Home.ts"
import { oneOf } from "../OneOf.ts"
import { duration, inline, moment, shorten, writeError, writeLine, writeTable } from "../Output.ts"
import { runJson } from "../RunJson.ts"
import { readPage } from "../RunPage.ts"
import { findRun, questionLayer } from "../Session.ts"
import { type Blocker, blockersOf, statusOf } from "../Summary.ts"
import { readSince } from "../Times.ts"

const defaultLimit = 50

export const command = defineCommand({
  name: "runs",
  summary: "List runs, the newest first.",
  notes: ["The last line says how to see the next page, if there is one; with --json it goes to the error stream."],
  examples: [
    ["the runs that wait for an answer, or that failed", "millrace runs --status waiting --status failed"],
    [
      "those of a week, of one workflow, with a text in their inputs",
      "millrace runs --workflow deploy --since 7d --text release/2.1"
    ],
    ["for a program, the runs that others started too", "millrace runs --json --children --limit 500"]
  ],
  arguments: {},
  options: {
    status: texts("status", "STATUS", "only runs in this status"),
    workflow: text("workflow", "NAME", "only runs of this workflow"),
    since: text("since", "AGE|DATE", "only runs that were started since: 2h, 7d, 2026-11-01, 2026-11-01T08:30 (UTC)"),
    text: text(
      "text",
      "TEXT",
      "only runs with this text in an input, in upper or lower case; secret inputs do not count"
    ),
    children: flag("children", "runs that other runs started, too"),
    limit: integer("limit", "N", "at most so many (default: 50)", defaultLimit),
    before: text("before", "RUN", "only runs older than this one"),
    db: dbOption,
    home: homeOption,
    json: flag("json", "print a JSON array")
  },
  run: (values) =>
    Effect.gen(function* () {
      const { db, home, json } = values
      const filter = yield* readFilter(values)
      const database = yield* existingDatabase({ home, db })
      return yield* Effect.gen(function* () {
        const before = values.before === undefined ? undefined : yield* readBefore(values.before)
        const { next, runs } = yield* readPage({ ...filter, ...(before === undefined ? {} : { before }) })
        if (json) writeLine(JSON.stringify(runs.map(runJson), undefined, 2))
        else if (runs.length === 0) writeLine("no runs")
        else writeTable([headings, ...runs.map(row)])
        if (next !== undefined) (json ? writeError : writeLine)(howToSeeMore(nextPage(values, next)))
        return ExitCode.done
      }).pipe(Effect.provide(questionLayer(database)))
    })
})

interface Values {
  readonly status: ReadonlyArray<string>
  readonly workflow: string | undefined
  readonly since: string | undefined
  readonly text: string | undefined
  readonly children: boolean
  readonly limit: number
  readonly db: string | undefined
  readonly home: string | undefined
  readonly json: boolean
}

const readFilter = (values: Values): Effect.Effect<RunFilter, UsageError> =>
  Effect.gen(function* () {
    const { children, limit, since, text: wanted, workflow } = values
    const status = yield* Effect.forEach(values.status, readStatus)
    if (limit < 1) return yield* new UsageError({ message: "--limit must be at least 1" })
    if (wanted === "") return yield* new UsageError({ message: "--text needs a text to look for" })
    return {
      limit,
      dismissed: false,
      ...(status.length === 0 ? {} : { status }),
      ...(workflow === undefined ? {} : { workflow }),
      ...(since === undefined ? {} : { since: yield* readSince("--since", since, Date.now()) }),
      ...(wanted === undefined ? {} : { text: wanted }),
      ...(children ? {} : { parent: null })
    }
  })

/** The list says `paused`, which is not what is recorded. */
const readStatus = (word: string): Effect.Effect<RunStatus, UsageError> =>
  word === "paused" || word === "pausing"
    ? Effect.fail(
        new UsageError({
          message: `'${word}' is not a status of its own`,
          hint: "a run that is paused is waiting or, until what is going on has ended, running"
        })
      )
    : oneOf("status", word, RunStatus.literals)

/** A whole id need not be there any more: a list goes on where it was, although runs were deleted meanwhile. */
const readBefore = (word: string) => {
  const id = word.toUpperCase()
  return isUlid(id) ? Effect.succeed(RunId.make(id)) : Effect.map(findRun(word), (run) => run.id)
}

const isUlid = (word: string): boolean => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(word)

/** The words of the command that shows what follows. */
const nextPage = (values: Values, next: RunId): ReadonlyArray<string> => {
  const { children, db, home, json, limit, since, status, text: wanted, workflow } = values
  const given = (option: string, value: string | undefined) => (value === undefined ? [] : [option, value])
  return [
    "runs",
    ...status.flatMap((each) => given("--status", each)),
    ...given("--workflow", workflow),
    ...given("--since", since),
    ...given("--text", wanted),
    ...(children ? ["--children"] : []),
    ...given("--limit", limit === defaultLimit ? undefined : String(limit)),
    ...given("--before", next),
    ...given("--db", db),
    ...given("--home", home),
    ...(json ? ["--json"] : [])
  ]
}

const headings = ["RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK", ""]

const row = (run: RunRecord): ReadonlyArray<string> => [
  run.id,
  shorten(inline(run.workflow), 40),
  statusOf(run),
  moment(run.startedAt),
  run.startedAt === null ? "" : duration((run.endedAt ?? Date.now()) - run.startedAt),
  shorten(run.error === null ? namesOf(blockersOf(run)) : inline(run.error), 60)
]

const namesOf = (blockers: ReadonlyArray<Blocker>): string => blockers.map(({ name }) => name).join(", ")
