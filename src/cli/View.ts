/**
 * How a command shows a run while it goes on: a live tree on a terminal, plain lines elsewhere, or events as NDJSON.
 */
import type { EngineEvent, EventsMissed } from "../engine/Events.ts"
import type { RunId, RunRecord, StepPath, StepRecord } from "../persistence/Records.ts"

export interface View {
  /** A run that is taken up, with the steps that it has; its place, if it is a child. */
  readonly load: (run: RunRecord, steps: ReadonlyArray<StepRecord>) => void
  /** Says where a child run belongs; `item`: the one of a fan-out that it works on. */
  readonly attach: (child: RunId, parent: RunId, path: StepPath, item?: string) => void
  readonly event: (event: EngineEvent | EventsMissed) => void
  /** A line of text for people; not part of `--json`. */
  readonly say: (text: string) => void
  /** Leaves the terminal to somebody else, and takes it again. */
  readonly pause: () => void
  readonly goOn: () => void
  /** The run is done with here, whatever its status; the last thing shown. */
  readonly end: (run: RunRecord) => void
  /** Gives the terminal back as it was; may be called more than once. */
  readonly close: () => void
}
