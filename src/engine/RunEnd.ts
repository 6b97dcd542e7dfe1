/**
 * The last writes of a run: its end, or that it is parked.
 */
import type { Change } from "../persistence/Journal.ts"
import { isUserStep, type RunStatus, type StepRecord } from "../persistence/Records.ts"
import { isContinuing } from "./Continue.ts"
import type { EngineEvent } from "./Events.ts"
import { isPauseRequest } from "./Pause.ts"
import type { RunContext } from "./RunContext.ts"
import { summarize } from "./Summary.ts"

/** How a run ends. */
export interface Outcome {
  readonly status: "completed" | "failed" | "cancelled"
  readonly error: string | null
  readonly result: unknown
}

/** The run's end, told to its parent in the same commit, unless that lives beside it (C2). */
export const recordEnd = (
  run: RunContext,
  outcome: Outcome,
  cancelReason: string | null,
  also: ReadonlyArray<Change> = []
): void => {
  const endedAt = run.now()
  const { status, error, result } = outcome
  const summary = summarize(run.record, userSteps(run), status, error ?? cancelReason)
  const patch = { status, error, result, summary, endedAt, cancelReason, blockedOn: [], recoveries: 0 }
  const told = run.tellParent((path) => ({ _tag: "ChildEnded", child: run.id, path }), run.host.parentBeside(run))
  const base = { timestamp: endedAt, run: run.id }
  const last: EngineEvent =
    status === "cancelled"
      ? { _tag: "RunCancelled", ...base, reason: cancelReason ?? "cancelled" }
      : { _tag: "RunCompleted", ...base, succeeded: status === "completed", status, error }
  const { totals } = run.record
  const consumed = isContinuing(run) ? [] : consumeLate(run)
  const changes = [{ _tag: "Run", patch } as const, ...consumed, ...also, ...told]
  run.append(changes, [{ _tag: "MetricsUpdated", ...base, totals }, last])
}

/** Requests that came too late would stand against a run that is opened again. */
const consumeLate = (run: RunContext): ReadonlyArray<Change> => {
  const late = run.inbox.filter((row) => row.message._tag === "Cancel" || isPauseRequest(row))
  return late.length === 0 ? [] : [run.consume(late.map(({ id }) => id))]
}

/** Parks a run: nobody claims it until somebody asks for it by id, or an engine starts that knows it anew. */
export const parkRun = (run: RunContext, why: string): void => {
  const message = run.shown(why)
  const status: RunStatus = "needs_resume"
  const told = run.tellParent((path) => ({ _tag: "ChildWaiting", child: run.id, path, blockedOn: [] }))
  const on = [`needs resume: ${message}`]
  const event: EngineEvent = { _tag: "RunWaiting", timestamp: run.now(), run: run.id, on, isPaused: false }
  run.append([{ _tag: "Run", patch: { status, error: message } }, ...told], [event])
}

const userSteps = (run: RunContext): ReadonlyArray<StepRecord> =>
  [...run.writer.live.values()].filter((step) => isUserStep(step.kind)).sort((a, b) => a.position - b.position)
