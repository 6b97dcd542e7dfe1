/** The last lines about a run. */
import type { RunRecord, RunStatus } from "../persistence/Records.ts"
import { duration, inline, type Paint, type Style } from "./Output.ts"

export const styleOf = (status: RunStatus): Style =>
  status === "completed" ? "green" : status === "failed" ? "red" : "yellow"

export const closing = (run: RunRecord, paint: Paint): ReadonlyArray<string> => {
  const took = run.startedAt === null || run.endedAt === null ? "" : ` in ${duration(run.endedAt - run.startedAt)}`
  const status = paint(styleOf(run.status), run.status.replace("_", " "))
  const why = run.error ?? run.cancelReason
  return [`${inline(run.workflow)} ${status}${took}${why === null ? "" : `: ${inline(why)}`}`]
}
