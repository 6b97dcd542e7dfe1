/**
 * The result summary of a run (spec/engine.md, "Records"): counts, a line a step, the outcome.
 */
import type { RunRecord, StepRecord, StepStatus } from "../persistence/Records.ts"

export const summarize = (
  run: RunRecord,
  steps: ReadonlyArray<StepRecord>,
  status: string,
  reason: string | null
): string => {
  const of = (...wanted: ReadonlyArray<StepStatus>) => steps.filter((step) => wanted.includes(step.status)).length
  const parts = [`${of("completed")}/${steps.length} steps completed`]
  const others: ReadonlyArray<readonly [string, number]> = [
    ["failed", of("failed")],
    ["timed out", of("timed_out")],
    ["skipped", of("skipped")],
    ["cancelled", of("cancelled")]
  ]
  for (const [name, count] of others) if (count > 0) parts.push(`${count} ${name}`)
  const head = `Workflow '${run.workflow}': ${parts.join(", ")}`
  const end = reason === null ? `Run ${status}` : `Run ${status}: ${reason}`
  return [head, ...steps.map(line), end].join("\n")
}

const line = (step: StepRecord): string => {
  const iteration = step.iteration > 0 ? ` (round ${step.iteration})` : ""
  const retries = step.attempts.filter((attempt) => attempt.outcome !== "lost").length - 1
  const retried = retries > 0 ? ` after ${retries} ${retries === 1 ? "retry" : "retries"}` : ""
  const error = step.error === null ? "" : `: ${firstLine(step.error)}`
  return `- ${step.name}${iteration}: ${step.status}${retried}${error}`
}

const firstLine = (text: string): string => {
  const end = text.indexOf("\n")
  const first = end === -1 ? text : text.slice(0, end)
  return first.length > 200 ? `${first.slice(0, 200)}…` : first
}
