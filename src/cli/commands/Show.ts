/** `show`: a run, its steps and its items. */
import * as Effect from "effect/Effect"
import { gatesToAnswer } from "../../engine/Client.ts"
import * as Runs from "../../engine/Runs.ts"
import type { Persistence, PersistenceError, RunNotFound } from "../../persistence/Persistence.ts"
import {
  isEnded,
  isUserStep,
  type ItemRecord,
  type RunRecord,
  type StepRecord,
  type Totals
} from "../../persistence/Records.ts"
import { shownRun } from "../../persistence/Redaction.ts"
import { argument, defineCommand, flag } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { howToGoOn } from "../Hints.ts"
import { dbArgument, dbOption, existingDatabase, homeOption } from "../Home.ts"
import { duration, hasColor, inline, type Paint, paintFor, plural, shorten, writeLine } from "../Output.ts"
import { itemJson, originOf, runJson, stepJson } from "../RunJson.ts"
import { findRun, questionLayer } from "../Session.ts"
import { statusOf, styleOf } from "../Summary.ts"

export const command = defineCommand({
  name: "show",
  summary: "Show a run, its steps, and the runs that they started.",
  notes: ["With --json: {run, steps, items} of the one run, steps of earlier epochs included."],
  examples: [
    ["a run and its steps; the beginning of its id is enough", "millrace show 01JD8N4K"],
    ["everything that is recorded", "millrace show 01JD8N4K --json > run.json"]
  ],
  arguments: { run: argument("RUN", "the run") },
  options: { db: dbOption, home: homeOption, json: flag("json", "print everything that is recorded, as JSON") },
  run: ({ run: wanted, db, home, json }) =>
    Effect.gen(function* () {
      const database = yield* existingDatabase({ home, db })
      return yield* Effect.gen(function* () {
        const found = yield* findRun(wanted)
        const run = shownRun(found)
        if (json) yield* showJson(run)
        else yield* showText(run, yield* waitLines(found, database))
        return ExitCode.done
      }).pipe(Effect.provide(questionLayer(database)))
    })
})

type ShowError = RunNotFound | PersistenceError

const showJson = (run: RunRecord): Effect.Effect<void, ShowError, Persistence> =>
  Effect.gen(function* () {
    const steps = yield* Runs.steps(run.id)
    const items = yield* Runs.items(run.id)
    const json = {
      run: { ...runJson(run), forkedFrom: originOf(steps) },
      steps: steps.filter(({ kind }) => isUserStep(kind)).map((step) => stepJson(run, step)),
      items: items.map(itemJson)
    }
    writeLine(JSON.stringify(json, undefined, 2))
  })

const showText = (run: RunRecord, waits: ReadonlyArray<string>): Effect.Effect<void, ShowError, Persistence> =>
  Effect.gen(function* () {
    const paint = paintFor(hasColor(process.stdout))
    const origin = originOf(yield* Runs.steps(run.id))
    for (const line of head(run, origin, paint)) writeLine(line)
    writeLine("")
    for (const line of yield* stepLines(run, 1, paint)) writeLine(line)
    if (waits.length > 0) writeLine("")
    for (const line of waits) writeLine(line)
  })

/** Gates as whoever answers them needs them, from their rows: they wait also while other steps are at work. */
const waitLines = (run: RunRecord, database: string): Effect.Effect<ReadonlyArray<string>, ShowError, Persistence> =>
  Effect.gen(function* () {
    if (isEnded(run.status)) return []
    const gates = yield* gatesToAnswer(run)
    const { blockedOn } = shownRun(run)
    const others = blockedOn.filter(({ _tag }) => _tag !== "gate" && _tag !== "paused")
    const lines = others.map(({ name }) => `it waits for ${inline(name)}`)
    const isForOthers = gates.length > 0 || blockedOn.some(({ _tag }) => _tag === "paused")
    return isForOthers ? [...lines, ...howToGoOn(run, gates, yield* dbArgument(database))] : lines
  })

const head = (run: RunRecord, origin: ReturnType<typeof originOf>, paint: Paint): ReadonlyArray<string> => {
  const title = run.title === "" || run.title === run.workflow ? "" : ` (${inline(run.title)})`
  const rows: ReadonlyArray<readonly [string, string | null]> = [
    ["run", run.id],
    ["workflow", `${inline(run.workflow)}${title}${run.dryRun ? ", dry run" : ""}`],
    ["status", paint(styleOf(run.status), statusOf(run))],
    ["forked", origin === null ? null : `from ${origin.runId} at ${inline(origin.path)}`],
    ["parent", run.parent === null ? null : `${run.parent.run} ${inline(run.parent.path)}`],
    ["continues", run.continues === null ? null : run.continues.previous],
    ["went on as", run.continuedAs],
    ["started", run.startedAt === null ? null : new Date(run.startedAt).toISOString()],
    ["took", run.startedAt === null ? null : duration((run.endedAt ?? Date.now()) - run.startedAt)],
    ["usage", usage(run.totals)],
    ["error", run.error === null ? null : inline(run.error)],
    ["cancelled", run.cancelReason === null ? null : inline(run.cancelReason)],
    ...Object.entries(run.inputs).map(
      ([name, value]) => [`input ${inline(name)}`, shorten(inline(value), 100)] as const
    )
  ]
  return rows.filter(([, value]) => value !== null).map(([name, value]) => `${paint("dim", name.padEnd(10))} ${value}`)
}

/** What agents said that they used, children included; null where they said nothing. */
const usage = (totals: Totals): string | null => {
  const counts = [
    [totals.num_turns, "turn"],
    [totals.input_tokens, "input token"],
    [totals.output_tokens, "output token"]
  ] as const
  const cost = totals.cost_usd === 0 ? [] : [`$${totals.cost_usd.toFixed(2)}`]
  const used = [...cost, ...counts.filter(([count]) => count !== 0).map(([count, of]) => plural(count, of))]
  return used.length === 0 ? null : used.join(", ")
}

/** How deep children are shown, and how many of a run. */
const maxDepth = 5
const maxChildren = 200

const stepLines = (
  run: RunRecord,
  depth: number,
  paint: Paint
): Effect.Effect<ReadonlyArray<string>, ShowError, Persistence> =>
  Effect.gen(function* () {
    const steps = (yield* Runs.steps(run.id)).filter(({ kind, superseded }) => isUserStep(kind) && !superseded)
    const items = yield* Runs.items(run.id)
    const children = depth < maxDepth ? yield* Runs.list({ parent: run.id, limit: maxChildren }) : []
    const lines: Array<string> = []
    for (const step of steps) {
      lines.push(`${"  ".repeat(depth)}${stepLine(step, paint)}`)
      for (const item of items.filter(({ path }) => path === step.path)) {
        lines.push(`${"  ".repeat(depth + 1)}${itemLine(item, paint)}`)
      }
      const child = children.find(({ id }) => id === step.childRun)
      if (child !== undefined) lines.push(...(yield* stepLines(child, depth + 1, paint)))
    }
    return lines
  })

const stepLine = (step: StepRecord, paint: Paint): string => {
  const ran = step.startedAt !== null && step.endedAt !== null ? `  ${duration(step.endedAt - step.startedAt)}` : ""
  const tries = step.attempts.filter(({ outcome }) => outcome !== "lost").length
  const attempts = tries > 1 ? `  ${tries} attempts` : ""
  const markers = step.result.markers.length === 0 ? "" : `  [${step.result.markers.map(inline).join(", ")}]`
  const detail = step.error ?? step.result.context ?? ""
  const note = detail === "" ? "" : `  ${paint("dim", shorten(inline(detail), 80))}`
  return `${inline(step.path)}  ${step.status.replace("_", " ")}${ran}${attempts}${markers}${decision(step)}${note}`
}

/** Who decided a gate. */
const decision = ({ gate }: StepRecord): string => {
  if (gate === null || gate.answer === null) return ""
  const { approved, by } = gate.answer
  return `  ${approved ? "approved" : "rejected"}${by === null ? "" : ` by ${inline(by)}`}`
}

const itemLine = (item: ItemRecord, paint: Paint): string => {
  const child = item.childRun === null ? "" : `  run ${item.childRun}`
  const error = item.error === null ? "" : `  ${paint("dim", shorten(inline(item.error), 80))}`
  return `${inline(item.key)}  ${item.status}${child}${error}`
}
