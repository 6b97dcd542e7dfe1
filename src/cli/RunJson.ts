/**
 * Runs as JSON: `runs --json` and `show --json`. Times are ms since the epoch; the values of secret inputs are
 * replaced, and all of them where the definition that says which are secret cannot be read.
 */
import * as Effect from "effect/Effect"
import { Definitions } from "../engine/interpreter/Definitions.ts"
import { Persistence, type PersistenceError } from "../persistence/Persistence.ts"
import { type ItemRecord, type RunRecord, stepId, type StepRecord } from "../persistence/Records.ts"
import type { Texts } from "../workflow/Definition.ts"
import { redacted, redactSecrets, withoutSecrets } from "../workflow/Variables.ts"

/** A run with what may be shown of it. */
export interface ShownRun {
  readonly run: RunRecord
  readonly inputs: Texts
  /** Those of the inputs whose values are shown. */
  readonly open: Texts
}

/** Runs as they may be shown; each definition is read once. */
export const showable = (
  runs: ReadonlyArray<RunRecord>
): Effect.Effect<ReadonlyArray<ShownRun>, PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const definitions = new Definitions(yield* Persistence)
    return yield* Effect.forEach(runs, (run) => {
      if (Object.keys(run.inputs).length === 0) return Effect.succeed({ run, inputs: {}, open: {} })
      return definitions.load(run.definition).pipe(
        Effect.map(({ inputs }) => ({
          run,
          inputs: redactSecrets(run.inputs, inputs),
          open: withoutSecrets(run.inputs, inputs)
        })),
        Effect.catchTag("UnreadableDefinition", () =>
          Effect.succeed({ run, inputs: allRedacted(run.inputs), open: {} })
        )
      )
    })
  })

const allRedacted = (inputs: Texts): Texts => Object.fromEntries(Object.keys(inputs).map((name) => [name, redacted]))

export const runJson = ({ run, inputs }: ShownRun) => ({
  id: run.id,
  workflow: run.workflow,
  title: run.title,
  status: run.status,
  dryRun: run.dryRun,
  trigger: run.trigger,
  inputs,
  parentRunId: run.parent?.run ?? null,
  parentPath: run.parent?.path ?? null,
  rootRunId: run.root,
  createdAt: run.createdAt,
  startedAt: run.startedAt,
  endedAt: run.endedAt,
  durationMs: run.startedAt === null || run.endedAt === null ? null : run.endedAt - run.startedAt,
  summary: run.summary,
  error: run.error,
  cancelReason: run.cancelReason,
  blockedOn: run.blockedOn.map(({ run: runId, ...blocker }) => ({ ...blocker, runId })),
  totals: run.totals,
  target: run.target,
  idempotencyKey: run.idempotencyKey,
  workingDirectory: run.settings.workingDirectory,
  owner: run.owner,
  generation: run.generation,
  epoch: run.epoch,
  recoveries: run.recoveries,
  dismissed: run.dismissed
})

export const stepJson = (run: RunRecord, step: StepRecord) => ({
  id: stepId(run.id, step),
  path: step.path,
  name: step.name,
  kind: step.kind,
  role: step.role,
  canCommit: step.canCommit,
  iteration: step.iteration,
  position: step.position,
  status: step.status,
  superseded: step.superseded,
  epoch: step.epoch,
  startedAt: step.startedAt,
  endedAt: step.endedAt,
  attempts: step.attempts,
  markers: step.result.markers,
  context: step.result.context,
  resultText: step.result.text,
  structuredOutput: step.result.structured,
  outputFile: step.result.outputFile,
  metadata: step.result.metadata,
  error: step.error,
  childRunId: step.childRun,
  gate: step.gate,
  fanOut: step.fanOut,
  parallelGroup: step.group
})

export const itemJson = (item: ItemRecord) => ({
  path: item.path,
  key: item.key,
  position: item.position,
  type: item.type,
  id: item.id,
  ref: item.ref,
  context: item.context,
  status: item.status,
  error: item.error,
  childRunId: item.childRun,
  output: item.output,
  dispatchedAt: item.dispatchedAt,
  completedAt: item.completedAt
})
