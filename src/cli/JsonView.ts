/** `--json`: each event a line, the last line the result. */
import { isPaused } from "../engine/Pause.ts"
import type { RunRecord } from "../persistence/Records.ts"
import { writeError, writeLine } from "./Output.ts"
import type { View } from "./View.ts"

export const jsonView: View = {
  load: () => undefined,
  attach: () => undefined,
  event: (event) => writeLine(JSON.stringify(event)),
  say: writeError,
  pause: () => undefined,
  goOn: () => undefined,
  end: (run) => writeLine(JSON.stringify(runResult(run, Date.now()))),
  close: () => undefined
}

export const runResult = (run: RunRecord, now: number) => ({
  _tag: "RunResult",
  runId: run.id,
  workflow: run.workflow,
  status: run.status,
  durationMs: run.startedAt === null ? 0 : Math.max(0, (run.endedAt ?? now) - run.startedAt),
  ...(run.error === null ? {} : { error: run.error }),
  ...(isPaused(run) ? { paused: true } : {})
})
