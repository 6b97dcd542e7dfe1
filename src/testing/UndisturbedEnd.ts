/**
 * How a run under test ends that nobody disturbs: what is told of it, and the ends that say that the test does not test
 * what it is meant to.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { newest } from "../engine/Chain.ts"
import { Persistence } from "../persistence/Persistence.ts"
import { isUserStep, type RunRecord, type StepRecord } from "../persistence/Records.ts"
import * as Json from "../workflow/Json.ts"
import { described } from "./ComparedPayloads.ts"
import { readTree } from "./RecordComparison.ts"
import { type HistoryOptions, noRealTime, observedIn, stillActing, type World } from "./TestedProcess.ts"

/** The end of the run, or of the last one that it continued as. */
export interface UndisturbedEnd {
  readonly status: "completed" | "failed" | "cancelled"
  /** Why it did not complete; undefined: it did. */
  readonly error: string | undefined
  /** Actions, scripts, gates, children and fan-outs that it came to, those of the runs below it included. */
  readonly steps: number
  /** The gates and signals whose time was over before anybody answered: `gate 'release' at /release`. */
  readonly unanswered: ReadonlyArray<string>
  /** What `observe` gave then, as JSON keeps it; undefined: nothing. */
  readonly observed: unknown
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

/** Of a run that has ended; fails where that is no end for a test. */
export const undisturbedEnd = (
  world: World,
  root: RunRecord,
  { end }: Pick<HistoryOptions<never>, "end">
): Effect.Effect<UndisturbedEnd, NotTestable> =>
  Effect.gen(function* () {
    const { store } = world
    const last = yield* newest(store, root.id)
    const tree = yield* Effect.provideService(readTree(root.id), Persistence, store)
    const steps = tree.runs.flatMap((run) => run.steps)
    const observed = observedIn(world)
    const ended: UndisturbedEnd = {
      status: statusOf(last),
      error: last.status === "completed" ? undefined : (last.error ?? last.cancelReason ?? undefined),
      steps: steps.filter(({ kind }) => isUserStep(kind)).length,
      unanswered: steps.filter(isUnanswered).map(described),
      observed: observed === undefined ? undefined : Json.parse(observed)
    }
    const isTyped = Predicate.isTagged(last.result, "Failure")
    const reason = aboutPeople(world, ended, steps) ?? aboutEnd(ended, { end, isTyped, steps })
    return reason === undefined ? ended : yield* new NotTestable({ workflow: root.workflow, reason })
  }).pipe(Effect.catchTags({ RunNotFound: Effect.die, PersistenceError: Effect.die }))

const statusOf = ({ status }: RunRecord): UndisturbedEnd["status"] =>
  status === "completed" || status === "cancelled" ? status : "failed"

/** A gate that fails at its time is one without an answer. */
const isUnanswered = ({ gate, kind, status, superseded }: StepRecord): boolean =>
  !superseded &&
  ((kind === "signal" && status === "timed_out") ||
    (kind === "gate" && (status === "timed_out" || (status === "failed" && gate?.answer === null))))

type Steps = ReadonlyArray<StepRecord>

/** Of those who answer: that there are none, or that what one of them does is never taken. */
const aboutPeople = (world: World, { unanswered }: UndisturbedEnd, steps: Steps): string | undefined => {
  const { peopleDone, refusal, setup } = world
  const { people } = setup
  if (unanswered.length > 0 && people === undefined) {
    return `nobody answered ${unanswered.join(", ")}, until the time was over; \`people\`, beside the layer in what \`setup\` gives, are who answers: \`people: []\` where nobody is to`
  }
  if (unanswered.length > 0 && world.isActing) return stillActing(world)
  if (refusal === undefined) return undefined
  const open = [...unanswered, ...steps.filter(isGivenUp).map(described)]
  // One who is only in time for another run is none of a mistake where this one asked nobody in vain.
  if (refusal.isUntimely && open.length === 0) return undefined
  const left = open.length === 0 ? "" : `; nobody else answered ${open.join(", ")}`
  return `number ${peopleDone + 1} of \`people\` tried until the run had ended, and was never taken: ${refusal.error}${left}`
}

/** A gate that was no longer needed, before it had an answer. */
const isGivenUp = ({ gate, kind, status, superseded }: StepRecord): boolean =>
  !superseded && kind === "gate" && status === "cancelled" && gate?.answer == null

interface Wanted {
  readonly end: HistoryOptions<never>["end"] | undefined
  /** It failed with the workflow's own error. */
  readonly isTyped: boolean
  readonly steps: Steps
}

const aboutEnd = (ended: UndisturbedEnd, { end, isTyped, steps: all }: Wanted): string | undefined => {
  const { error, status, steps } = ended
  const how = `without any crash the run is ${status} after ${steps} step${steps === 1 ? "" : "s"}`
  const late = all.some(isLate) ? `; ${noRealTime}` : ""
  if (end !== undefined && status !== end) {
    return `${how}${error === undefined ? "" : ` (${error})`}, where \`end\` says ${end}${late}`
  }
  if (end === undefined && status === "failed" && !isTyped) {
    return `${how}, with what is no error of its type: ${error}${late}; where that is what you test, say so: \`end: "failed"\``
  }
  return undefined
}

/** What did not come to its end on the virtual clock, as if it waited for something else. */
const isLate = ({ kind, status, superseded }: StepRecord): boolean =>
  !superseded && (kind === "call" || kind === "script") && status === "timed_out"
