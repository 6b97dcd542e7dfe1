/** `prune`: deletes runs that ended long ago, and what nothing refers to any more. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Prune from "../../engine/Prune.ts"
import { shownBytes } from "../../persistence/FileSize.ts"
import { Persistence, type PersistenceError, type Pruned } from "../../persistence/Persistence.ts"
import type { RunRecord } from "../../persistence/Records.ts"
import { type FileSize, SqliteSpace } from "../../persistence/SqlitePersistence.ts"
import { UsageError } from "../CliError.ts"
import { defineCommand, flag, text } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { dbOption, existingDatabase, homeOption } from "../Home.ts"
import { inline, moment, plural, shorten, writeLine, writeTable } from "../Output.ts"
import { questionLayer, storeLayer } from "../Session.ts"
import { handleSignals } from "../Signals.ts"
import { readAge } from "../Times.ts"

export const command = defineCommand({
  name: "prune",
  summary: "Delete runs that have ended, with the runs below them, their logs and their outputs.",
  notes: [
    "With both of --older-than and --keep, what either says goes. Runs that have not ended stay, as do those above them.",
    "Interrupted at any moment, it is gone on with by the next prune."
  ],
  examples: [
    ["what would go, of what ended more than 30 days ago", "millrace prune --older-than 30d --dry-run"],
    ["all but the newest 100 that have ended", "millrace prune --keep 100"],
    ["every night, from a crontab", "millrace prune --older-than 4w --keep 10000 --json >> prune.log"]
  ],
  arguments: {},
  options: {
    olderThan: text("older-than", "AGE", "runs that ended longer ago than this: 90s, 30m, 12h, 30d, 4w"),
    keep: text("keep", "N", "runs beyond the newest N that have ended"),
    dryRun: flag("dry-run", "delete nothing; say what would go"),
    vacuum: flag("vacuum", "write the whole file anew afterwards, as small as it can be; others wait meanwhile"),
    db: dbOption,
    home: homeOption,
    json: flag("json", "print what was deleted as JSON")
  },
  run: ({ olderThan, keep, dryRun, vacuum, db, home, json }) =>
    Effect.gen(function* () {
      const criteria = yield* readCriteria(olderThan, keep)
      const database = yield* existingDatabase({ home, db })
      return dryRun
        ? yield* Effect.provide(foretell(criteria, json), questionLayer(database))
        : yield* Effect.provide(carryOut(criteria, { json, vacuum }), storeLayer(database))
    })
})

const readCriteria = (
  olderThan: string | undefined,
  keep: string | undefined
): Effect.Effect<Prune.PruneCriteria, UsageError> =>
  Effect.gen(function* () {
    if (olderThan === undefined && keep === undefined) {
      return yield* new UsageError({
        message: "prune needs --older-than AGE or --keep N",
        hint: "`millrace prune --older-than 30d --dry-run` says what would go, and deletes nothing"
      })
    }
    const age = olderThan === undefined ? undefined : yield* readAge("--older-than", olderThan)
    if (keep !== undefined && !/^\d{1,15}$/.test(keep)) {
      return yield* new UsageError({ message: `--keep needs a number of runs, not '${keep}'` })
    }
    return {
      ...(age === undefined ? {} : { endedBefore: Date.now() - age }),
      ...(keep === undefined ? {} : { keep: Number(keep) })
    }
  })

/** What went, or would go. */
class Report {
  readonly runs: Array<Pruned> = []
  unnamed: Prune.Unnamed = { logs: [], definitions: [], outputs: [] }
  isComplete = false
  before: FileSize | undefined
  after: FileSize | undefined

  get json() {
    return {
      complete: this.isComplete,
      runs: this.runs.map(({ children, root }) => ({ id: root, children })),
      definitions: this.unnamed.definitions,
      outputs: this.unnamed.outputs,
      logs: this.unnamed.logs,
      ...(this.before === undefined || this.after === undefined
        ? {}
        : { bytesBefore: this.before.bytes, bytes: this.after.bytes, bytesFree: this.after.free })
    }
  }

  /** `3 runs and 12 below them`. */
  get counted(): string {
    const below = this.runs.reduce((sum, { children }) => sum + children.length, 0)
    return `${plural(this.runs.length, "run")}${below === 0 ? "" : ` and ${below} below ${this.runs.length === 1 ? "it" : "them"}`}`
  }

  /** What nothing referred to, if there is any of it. */
  get countedUnnamed(): string | undefined {
    const { definitions, logs, outputs } = this.unnamed
    const bytes = outputs.reduce((sum, output) => sum + output.bytes, 0)
    const parts = [
      definitions.length === 0 ? [] : [plural(definitions.length, "definition")],
      outputs.length === 0 ? [] : [`${plural(outputs.length, "output")} (${shownBytes(bytes)})`],
      logs.length === 0 ? [] : [`the logs of ${plural(logs.length, "run")}`]
    ].flat()
    return parts.length === 0 ? undefined : parts.join(", ")
  }
}

// ---- a dry run

/** Runs that are shown one by one. */
const maxShown = 20

const foretell = (criteria: Prune.PruneCriteria, json: boolean) =>
  Effect.gen(function* () {
    const report = new Report()
    report.runs.push(...(yield* Prune.wouldPrune(criteria)))
    report.unnamed = yield* Prune.sweep({ dryRun: true })
    report.isComplete = true
    if (json) {
      writeLine(JSON.stringify({ dryRun: true, ...report.json }, undefined, 2))
      return ExitCode.done
    }
    const shown = report.runs.slice(0, maxShown)
    if (shown.length > 0) writeTable([headings, ...(yield* Effect.forEach(shown, row))])
    if (shown.length < report.runs.length) writeLine(`… and ${plural(report.runs.length - shown.length, "more run")}`)
    writeLine(report.runs.length === 0 ? "no run would be deleted" : `${report.counted} would be deleted`)
    const { countedUnnamed } = report
    if (countedUnnamed !== undefined) writeLine(`what nothing refers to any more: ${countedUnnamed}`)
    return ExitCode.done
  })

const headings = ["RUN", "WORKFLOW", "STATUS", "ENDED", "BELOW"]

const row = ({ children, root }: Pruned): Effect.Effect<ReadonlyArray<string>, PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const cells = ({ endedAt, status, workflow }: RunRecord) => [shorten(inline(workflow), 40), status, moment(endedAt)]
    const known = yield* persistence.get(root).pipe(
      Effect.map(cells),
      // Deleted by somebody else just now.
      Effect.catchTag("RunNotFound", () => Effect.succeed(["", "", ""]))
    )
    return [root, ...known, String(children.length)]
  })

// ---- a real one

interface CarryOutOptions {
  readonly json: boolean
  readonly vacuum: boolean
}

/** Until all is done, or a signal ends it between two transactions. */
const carryOut = (criteria: Prune.PruneCriteria, options: CarryOutOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const report = new Report()
      const stopped = yield* Deferred.make<ExitCode>()
      const cancel = () => Deferred.unsafeDone(stopped, Effect.succeed(ExitCode.cancelled))
      const terminated = yield* handleSignals({ cancel, leave: () => undefined })
      const done = Effect.as(deleteAll(criteria, options, report), ExitCode.done)
      const code = yield* Effect.raceFirst(done, Effect.raceFirst(Deferred.await(stopped), terminated))
      const space = yield* SqliteSpace
      report.after = yield* space.size
      if (options.json) writeLine(JSON.stringify({ dryRun: false, ...report.json }, undefined, 2))
      else for (const line of said(report)) writeLine(line)
      return code
    })
  )

const deleteAll = (criteria: Prune.PruneCriteria, { vacuum }: CarryOutOptions, report: Report) =>
  Effect.gen(function* () {
    const space = yield* SqliteSpace
    report.before = yield* space.size
    yield* Prune.prune(criteria, (batch) => report.runs.push(...batch))
    report.unnamed = yield* Prune.sweep({ dryRun: false })
    yield* vacuum ? space.rewrite : space.giveBack
    report.isComplete = true
  })

const said = (report: Report): ReadonlyArray<string> => {
  const { after, before, countedUnnamed, isComplete } = report
  const lines = [report.runs.length === 0 ? "no run was deleted" : `deleted ${report.counted}`]
  if (countedUnnamed !== undefined) lines.push(`deleted what nothing referred to any more: ${countedUnnamed}`)
  if (before !== undefined && after !== undefined) lines.push(...saidOfFile(before, after))
  if (!isComplete) lines.push("interrupted: another prune goes on from here")
  return lines
}

const saidOfFile = (before: FileSize, after: FileSize): ReadonlyArray<string> => {
  const less = before.bytes - after.bytes
  const size = `the database has ${shownBytes(after.bytes)}`
  if (less > 0) return [`${size}, ${shownBytes(less)} less than before`]
  if (after.free === 0 || after.givesBack) return [size]
  return [`${size}, ${shownBytes(after.free)} of them free for new runs; \`--vacuum\` gives them back to the disk`]
}
