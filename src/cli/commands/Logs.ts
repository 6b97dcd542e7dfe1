/** `logs`: what the scripts and programs of a run printed, attempt by attempt. */
import { createReadStream } from "node:fs"
import * as Effect from "effect/Effect"
import { type AttemptLog, OutputStore } from "../../persistence/OutputStore.ts"
import * as Runs from "../../engine/Runs.ts"
import { isUserStep, type RunRecord, type StepRecord } from "../../persistence/Records.ts"
import { redactorFor, shownStepPath } from "../../persistence/Redaction.ts"
import type { Redactor } from "../../workflow/Redactor.ts"
import { nearest } from "../../workflow/Suggest.ts"
import { CommandFailed, UsageError } from "../CliError.ts"
import { argument, defineCommand, optionalArgument } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { dbOption, existingDatabase, homeOption } from "../Home.ts"
import { hasColor, inline, paintFor, write, writeBytes, writeLine } from "../Output.ts"
import { findRun, questionLayer } from "../Session.ts"

export const command = defineCommand({
  name: "logs",
  summary: "Show what the steps of a run printed: stdout and stderr of each attempt.",
  notes: ["Runs that the run started have logs of their own; `millrace show RUN` names them."],
  examples: [
    ["what all steps of a run printed", "millrace logs 01JD8N4K"],
    ["what one step printed, page by page", "millrace logs 01JD8N4K build | less"]
  ],
  arguments: { run: argument("RUN", "the run"), step: optionalArgument("STEP", "only this step, by name or path") },
  options: { db: dbOption, home: homeOption },
  run: ({ run: wanted, step, db, home }) =>
    Effect.gen(function* () {
      const database = yield* existingDatabase({ home, db })
      return yield* Effect.gen(function* () {
        const run = yield* findRun(wanted)
        const outputs = yield* OutputStore
        const steps = (yield* Runs.steps(run.id)).filter(({ kind }) => isUserStep(kind))
        const found = (yield* outputs.logs(run.id)).map((log) => ({ ...log, path: shownStepPath(run, log.path) }))
        const logs = inOrder(found, steps)
        const chosen = step === undefined ? logs : yield* logsOf(run, logs, steps, step)
        if (chosen.length === 0) writeLine(step === undefined ? "no step printed anything" : `${step} printed nothing`)
        yield* Effect.forEach(chosen, (log) => show(log, redactorFor(run)), { discard: true })
        return ExitCode.done
      }).pipe(Effect.provide(questionLayer(database)))
    })
})

/** What was printed, in the order of the steps. */
const inOrder = (logs: ReadonlyArray<AttemptLog>, steps: ReadonlyArray<StepRecord>): ReadonlyArray<AttemptLog> => {
  const places = new Map(steps.map(({ path }, place) => [path, place]))
  const placeOf = ({ path }: AttemptLog) => places.get(path) ?? steps.length
  return logs.filter(({ bytes }) => bytes > 0).toSorted((a, b) => placeOf(a) - placeOf(b))
}

const logsOf = (
  run: RunRecord,
  logs: ReadonlyArray<AttemptLog>,
  steps: ReadonlyArray<StepRecord>,
  wanted: string
): Effect.Effect<ReadonlyArray<AttemptLog>, UsageError> => {
  const paths = new Set(steps.filter((step) => step.path === wanted || step.name === wanted).map(({ path }) => path))
  return paths.size > 0
    ? Effect.succeed(logs.filter(({ path }) => paths.has(path)))
    : Effect.fail(unknownStep(run, steps, wanted))
}

const unknownStep = (run: RunRecord, steps: ReadonlyArray<StepRecord>, wanted: string): UsageError => {
  const names = [...new Set(steps.flatMap(({ name, path }) => [name, path as string]))]
  const close = nearest(wanted, names)
  return new UsageError({
    message: `run ${run.id} has no step '${wanted}'`,
    hint:
      close === undefined
        ? `its steps: ${[...new Set(steps.map(({ name }) => name))].join(", ")}`
        : `did you mean '${close}'?`
  })
}

const show = (log: AttemptLog, redactor: Redactor | undefined): Effect.Effect<void, CommandFailed> => {
  const paint = paintFor(hasColor(process.stdout))
  const epoch = log.epoch > 1 ? `, epoch ${log.epoch}` : ""
  const title = `== ${inline(log.path)}  attempt ${log.attempt}${epoch}  ${log.stream}  ${log.bytes} bytes`
  writeLine(paint("bold", title))
  return Effect.tryPromise({
    try: () => copy(log.file, redactor),
    catch: (error) => new CommandFailed({ message: error instanceof Error ? error.message : String(error) })
  })
}

/** Piece by piece: it may be larger than memory. */
const copy = async (file: string, redactor: Redactor | undefined): Promise<void> => {
  const redacted = redactor?.stream()
  let last = 10
  const print = (bytes: Buffer): Promise<boolean> => {
    last = bytes.at(-1) ?? last
    return writeBytes(bytes)
  }
  for await (const chunk of createReadStream(file)) {
    const bytes = Buffer.from(chunk)
    // Whoever reads this has left.
    if (!(await print(redacted?.push(bytes) ?? bytes))) return
  }
  if (redacted !== undefined) await print(redacted.end())
  if (last !== 10) write("\n")
}
