/** What is said of runs that go on only when somebody sees to their code: once, as a warning, to who waits for them. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Engine } from "../engine/Engine.ts"
import type { Standstill } from "../engine/Standstill.ts"
import type { RunId, RunRecord } from "../persistence/Records.ts"

/** To one who waits for a run. */
export const warnOfStandstill = (run: RunId, workflow: string, standstill: Standstill): Effect.Effect<void> => {
  const subject = `run ${run} of workflow '${workflow}'`
  if (standstill._tag === "NotTaken") {
    return warn(run, `${subject} ${standstill.hasBegun ? "could go on" : "has not begun"}: ${missing(workflow)}`)
  }
  const { reason, run: parked, workflow: of } = standstill
  const who = parked === run ? "it" : `run ${parked} of workflow '${of}' below it`
  return warn(
    run,
    `${subject} stands still: ${who} is parked (needs_resume): ${reason}. It goes on when a process starts whose code fits, or when it is resumed there: \`resume("${parked}")\`; until then this waits`
  )
}

const missing = (workflow: string): string =>
  `no layer of '${workflow}' is provided to the engine of this process, and no other process has taken the run up. Provide its \`toLayer\` (of a file: \`layer\`) to the engine, or start a process that has it; until then this waits`

/** Workflows that an engine lacks, and of which that was said. */
const told = new WeakMap<Context.Tag.Service<Engine>, Set<string>>()

/** To one who starts a run where nothing can carry it out, and does not wait: once for a workflow and an engine. */
export const warnOfStart = (engine: Context.Tag.Service<Engine>, run: RunRecord): Effect.Effect<void> =>
  Effect.suspend(() => {
    const names = told.get(engine) ?? new Set<string>()
    told.set(engine, names)
    if (names.has(run.definition)) return Effect.void
    names.add(run.definition)
    return warn(
      run.id,
      `no layer of '${run.workflow}' is provided to the engine of this process: its runs, such as ${run.id}, wait for a process that has one. Provide its \`toLayer\` (of a file: \`layer\`) here, or start them by \`client\`, which says that others are meant to run them`
    )
  })

const warn = (run: RunId, message: string): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logWarning(message), { run })
