/**
 * How a run under test ends that nobody disturbs: what is told of it, and the ends that say that the test does not test
 * what it is meant to.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { newest } from "../engine/Chain.ts"
import { Persistence, type PersistenceService } from "../persistence/Persistence.ts"
import { isUserStep, type RunRecord, type StepRecord } from "../persistence/Records.ts"
import { readTree } from "./RecordComparison.ts"
import type { HistoryOptions } from "./TestedProcess.ts"

/** The end of the run, or of the last one that it continued as. */
export interface UndisturbedEnd {
  readonly status: "completed" | "failed" | "cancelled"
  /** Why it did not complete; undefined: it did. */
  readonly error: string | undefined
  /** Actions, scripts, gates, children and fan-outs that it came to, those of the runs below it included. */
  readonly steps: number
  /** The gates and signals whose time was over before anybody answered: `gate 'release' at /release`. */
  readonly unanswered: ReadonlyArray<string>
}

/** The run does not come to an end, or to one that is hardly meant: nothing was tested. */
export class NotTestable extends Schema.TaggedError<NotTestable>()("NotTestable", {
  workflow: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `workflow '${this.workflow}' cannot be tested like this: ${this.reason}`
  }
}

/** Of a run that has ended; fails where that is no end for a test. `people`: of the setup. */
export const undisturbedEnd = (
  store: PersistenceService,
  root: RunRecord,
  { end }: Pick<HistoryOptions<never>, "end">,
  people: ReadonlyArray<unknown> | undefined
): Effect.Effect<UndisturbedEnd, NotTestable> =>
  Effect.gen(function* () {
    const last = yield* newest(store, root.id)
    const tree = yield* Effect.provideService(readTree(root.id), Persistence, store)
    const steps = tree.runs.flatMap((run) => run.steps)
    const ended: UndisturbedEnd = {
      status: statusOf(last),
      error: last.status === "completed" ? undefined : (last.error ?? last.cancelReason ?? undefined),
      steps: steps.filter(({ kind }) => isUserStep(kind)).length,
      unanswered: steps.filter(isUnanswered).map(({ kind, name, path }) => `${kind} '${name}' at ${path}`)
    }
    const reason = misgiving(ended, { end, isTyped: Predicate.isTagged(last.result, "Failure"), people })
    return reason === undefined ? ended : yield* new NotTestable({ workflow: root.workflow, reason })
  }).pipe(Effect.catchTags({ RunNotFound: Effect.die, PersistenceError: Effect.die }))

const statusOf = ({ status }: RunRecord): UndisturbedEnd["status"] =>
  status === "completed" || status === "cancelled" ? status : "failed"

/** A gate that fails at its time is one without an answer. */
const isUnanswered = ({ gate, kind, status, superseded }: StepRecord): boolean =>
  !superseded &&
  ((kind === "signal" && status === "timed_out") ||
    (kind === "gate" && (status === "timed_out" || (status === "failed" && gate?.answer === null))))

interface Wanted {
  readonly end: HistoryOptions<never>["end"] | undefined
  /** It failed with the workflow's own error. */
  readonly isTyped: boolean
  readonly people: ReadonlyArray<unknown> | undefined
}

const misgiving = (ended: UndisturbedEnd, { end, isTyped, people }: Wanted): string | undefined => {
  const { error, status, steps, unanswered } = ended
  const how = `without any crash the run is ${status} after ${steps} step${steps === 1 ? "" : "s"}`
  if (unanswered.length > 0 && people === undefined) {
    return `nobody answered ${unanswered.join(", ")}, until the time was over; \`people\`, beside the layer in what \`setup\` gives, are who answers: \`people: []\` where nobody is to`
  }
  if (end !== undefined && status !== end) {
    return `${how}${error === undefined ? "" : ` (${error})`}, where \`end\` says ${end}`
  }
  if (end === undefined && status === "failed" && !isTyped) {
    return `${how}, with what is no error of its type: ${error}; where that is what you test, say so: \`end: "failed"\``
  }
  return undefined
}
