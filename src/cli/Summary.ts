/** The last lines about a run. */
import { isAtRest, isPaused } from "../engine/Pause.ts"
import type { RunRecord, RunStatus } from "../persistence/Records.ts"
import { duration, inline, type Paint, type Style } from "./Output.ts"

/** A run's status in words: one that is paused says so, and `pausing` while something in it is still at work. */
export const statusOf = (run: RunRecord): string => {
  if (!isPaused(run)) return run.status.replace("_", " ")
  if (run.status === "needs_resume") return "needs resume, paused"
  return isAtRest(run) ? "paused" : "pausing"
}

export interface Blocker {
  readonly name: string
  readonly prompt: string | null
}

/** What a run waits for, in words; one that is paused does not say so again, nor that those below it are. */
export const blockersOf = (run: RunRecord): ReadonlyArray<Blocker> =>
  run.blockedOn
    .filter(({ _tag }) => _tag !== "paused" || !isPaused(run))
    .map(({ _tag, name, prompt, run: of }) => ({
      name: _tag === "paused" ? `run ${of}, which is paused` : inline(name),
      prompt: prompt === null ? null : inline(prompt)
    }))

export const styleOf = (status: RunStatus): Style =>
  status === "completed" ? "green" : status === "failed" ? "red" : "yellow"

export const closing = (run: RunRecord, paint: Paint): ReadonlyArray<string> => {
  const took = run.startedAt === null || run.endedAt === null ? "" : ` in ${duration(run.endedAt - run.startedAt)}`
  const status = paint(styleOf(run.status), statusOf(run))
  const why = run.error ?? run.cancelReason
  return [`${inline(run.workflow)} ${status}${took}${why === null ? "" : `: ${inline(why)}`}`]
}
