/**
 * Runs as JSON: `runs --json` and `show --json`. Times are ms since the epoch. The records are those that may be shown
 * (`engine/Runs`).
 */
import * as Origin from "../engine/Origin.ts"
import { type ItemRecord, type RunId, type RunRecord, stepId, type StepRecord } from "../persistence/Records.ts"

/** Where a fork comes from; null: the run is none. */
export const originOf = (steps: ReadonlyArray<StepRecord>): { runId: RunId; path: string } | null => {
  const origin = Origin.originOf(steps)
  return origin === undefined ? null : { runId: origin.run, path: origin.path }
}

export const runJson = (run: RunRecord) => ({
  id: run.id,
  workflow: run.workflow,
  title: run.title,
  status: run.status,
  dryRun: run.dryRun,
  trigger: run.trigger,
  inputs: run.inputs,
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
  continuesRunId: run.continues?.previous ?? null,
  continuedAsRunId: run.continuedAs,
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
