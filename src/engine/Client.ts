/**
 * What is asked of runs from outside (spec/engine.md, "gate", "Cancellation"; design.md: a run's inbox).
 *
 * Needs the store only: whichever engine runs the run finds the message, at once in the same process and within the
 * poll interval in another.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  NotWaiting,
  Persistence,
  PersistenceError,
  type PersistenceService,
  type RunAlreadyEnded,
  type RunNotFound
} from "../persistence/Persistence.ts"
import {
  type BlockedOn,
  type GateAnswer,
  type InboxMessage,
  isEnded,
  isOfCode,
  RunId,
  type RunRecord,
  valueAsked
} from "../persistence/Records.ts"
import { shownBlockedOn, shownStepPath, shownText } from "../persistence/Redaction.ts"
import { newest, sendAlong } from "./Chain.ts"
import { ChildRunner, type ChildRunnerService, isThisEngine } from "./ChildRunner.ts"
import { type ForkError, forkOf, type ForkOptions } from "./Fork.ts"
import { asksToPause } from "./Pause.ts"
import { newUlid } from "../persistence/Ulid.ts"

/** Several gates wait, and the answer names none of them. */
export class AmbiguousGate extends Schema.TaggedError<AmbiguousGate>()("AmbiguousGate", {
  run: RunId,
  gates: Schema.Array(Schema.String)
}) {
  override get message() {
    return `run ${this.run} waits at several gates: ${this.gates.join(", ")}`
  }
}

/** A selection that the gate does not offer. */
export class InvalidSelection extends Schema.TaggedError<InvalidSelection>()("InvalidSelection", {
  run: RunId,
  gate: Schema.String,
  unknown: Schema.Array(Schema.String),
  options: Schema.Array(Schema.String)
}) {
  override get message() {
    const unknown = this.unknown.map((text) => `'${text}'`).join(", ")
    return this.options.length === 0
      ? `gate '${this.gate}' has no options to select from (${unknown})`
      : `gate '${this.gate}' does not offer ${unknown}; its options: ${this.options.join(", ")}`
  }
}

/** A value for a gate that asks for none: one of a workflow file. */
export class ValueNotAsked extends Schema.TaggedError<ValueNotAsked>()("ValueNotAsked", {
  run: RunId,
  gate: Schema.String
}) {
  override get message() {
    return `gate '${this.gate}' of run ${this.run} asks for no value: it has no type`
  }
}

export interface AnswerOptions {
  /** The gate's name or path; needed when several wait. */
  readonly gate?: string
  readonly approved: boolean
  readonly feedback?: string
  /** Keys of the gate's options. */
  readonly selections?: ReadonlyArray<string>
  /** Any JSON: what a typed gate asks for. */
  readonly value?: unknown
  readonly by?: string
}

export interface Answered {
  /** The run whose gate it was: the one that was asked, or one of its children. */
  readonly run: RunId
  readonly gate: string
}

/** Answers the gate that a run, or one of its children, waits at. The first answer counts. */
export const answer = (
  run: RunId,
  options: AnswerOptions
): Effect.Effect<
  Answered,
  NotWaiting | AmbiguousGate | InvalidSelection | ValueNotAsked | RunNotFound | RunAlreadyEnded | PersistenceError,
  Persistence
> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const runner = yield* ChildRunner
    const asked = yield* newest(persistence, run)
    const { gate, shown } = yield* chooseGate(asked, options.gate)
    const selections = yield* selectedKeys(asked, { gate, shown }, options.selections ?? [])
    if (options.value !== undefined) yield* checkTyped(gate, shown)
    const now = yield* Clock.currentTimeMillis
    const given: GateAnswer = {
      approved: options.approved,
      feedback: options.feedback ?? null,
      selections,
      ...(options.value === undefined ? {} : { value: options.value }),
      by: options.by ?? null,
      at: now
    }
    const message = { _tag: "Answer", path: gate.path, answer: given } as const
    const sent = Effect.catchTag(Effect.asVoid(persistence.send(gate.run, message, now)), "RunAlreadyEnded", (error) =>
      ifContinued(persistence, gate, error)
    )
    yield* isThisEngine(runner)
      ? sent
      : Effect.catchTag(sent, "RunNotFound", () => sendElsewhere(runner, gate, message))
    return { run: gate.run, gate: shown.name }
  })

/** A gate that a run left behind when it continued as new waits no longer; one of the next run is another question. */
const ifContinued = (
  persistence: PersistenceService,
  { path, run }: BlockedOn,
  error: RunAlreadyEnded
): Effect.Effect<never, NotWaiting | RunAlreadyEnded | RunNotFound | PersistenceError> =>
  Effect.flatMap(persistence.get(run), (record) =>
    Effect.fail(
      record.continuedAs === null ? error : new NotWaiting({ run, path: shownStepPath(record, path), answered: false })
    )
  )

/** The gates that a run is blocked on, those of its children included; as they may be shown. */
export const waitingGates = (run: RunRecord): ReadonlyArray<BlockedOn> =>
  gatesIn(run).map((gate) => shownBlockedOn(run, gate))

const gatesIn = (run: RunRecord): ReadonlyArray<BlockedOn> => run.blockedOn.filter((blocker) => blocker._tag === "gate")

/** A gate, and what may be shown of it. */
interface OpenGate {
  readonly gate: BlockedOn
  readonly shown: BlockedOn
}

const openGate = (run: RunRecord, gate: BlockedOn): OpenGate => ({ gate, shown: shownBlockedOn(run, gate) })

/** Asked for by name or path, as they are or as they are shown. */
const chooseGate = (
  run: RunRecord,
  wanted: string | undefined
): Effect.Effect<OpenGate, NotWaiting | AmbiguousGate | RunAlreadyEnded | PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const gates = isEnded(run.status) ? [] : [...(yield* findGates(run)), ...(yield* gatesElsewhere(run))]
    const isWanted = ({ name, path }: BlockedOn) => wanted === undefined || name === wanted || path === wanted
    const fitting = gates.filter(({ gate, shown }) => isWanted(gate) || isWanted(shown))
    const [gate] = fitting
    if (gate === undefined) {
      return yield* new NotWaiting({ run: run.id, path: shownText(run, wanted ?? ""), answered: false })
    }
    if (fitting.length > 1) {
      const described = ({ shown: { name, path, run: of } }: OpenGate) =>
        `${name} (${path}${of === run.id ? "" : ` of run ${of}`})`
      return yield* new AmbiguousGate({ run: run.id, gates: fitting.map(described) })
    }
    return gate
  })

/** The gates at which a run and those below it wait, as they may be shown. */
export const openGates = (run: RunRecord): Effect.Effect<ReadonlyArray<BlockedOn>, PersistenceError, Persistence> =>
  Effect.map(findGates(run), (gates) => gates.map(({ shown }) => shown))

/** A gate waits as soon as its row does, also while other branches are at work: only then are the rows looked at. */
const findGates = (run: RunRecord): Effect.Effect<ReadonlyArray<OpenGate>, PersistenceError, Persistence> =>
  tellsAll(run)
    ? Effect.succeed(gatesIn(run).map((gate) => openGate(run, gate)))
    : Effect.flatMap(Persistence, (persistence) => gatesInRows(persistence, run))

/** Whether all branches of a run wait for something of its own: what that is was recorded when the last one began to. */
const tellsAll = ({ blockedOn, id, status }: RunRecord): boolean =>
  status === "waiting" && blockedOn.length > 0 && blockedOn.every((on) => on.run === id && on._tag !== "paused")

const gatesInRows = (
  persistence: PersistenceService,
  run: RunRecord
): Effect.Effect<ReadonlyArray<OpenGate>, PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const steps = yield* persistence.steps(run.id)
    const own = steps
      .filter((step) => step.kind === "gate" && step.status === "waiting" && !step.superseded)
      .map((step) =>
        openGate(run, {
          _tag: "gate",
          run: run.id,
          path: step.path,
          name: step.name,
          kind: step.gate?.kind ?? null,
          prompt: step.gate?.prompt ?? null,
          options: step.gate?.options ?? [],
          minApprovals: step.gate?.minApprovals ?? 1,
          ...valueAsked(step.gate ?? {}),
          until: step.wakeAt
        })
      )
    const children = yield* persistence.list({ parent: run.id, status: openStatuses, limit: maxChildren })
    const theirs = yield* Effect.forEach(children, findGates)
    return [...own, ...theirs.flat()]
  })

/** The open gates that an answer is missing for: neither answered nor cancelled by what their runs have yet to take. */
export const gatesToAnswer = (
  run: RunRecord
): Effect.Effect<ReadonlyArray<BlockedOn>, RunNotFound | PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const found = yield* findGates(run)
    if (found.length === 0) return []
    const messages = new Map<RunId, ReadonlyArray<InboxMessage>>()
    for (const id of new Set([run.id, ...found.map(({ gate }) => gate.run)])) {
      const { inbox } = yield* persistence.load(id)
      messages.set(
        id,
        inbox.map(({ message }) => message)
      )
    }
    const isCancelled = (id: RunId) => messages.get(id)?.some(({ _tag }) => _tag === "Cancel") === true
    const isAnswered = (gate: BlockedOn) =>
      messages.get(gate.run)?.some((message) => message._tag === "Answer" && message.path === gate.path) === true
    if (isCancelled(run.id)) return []
    return found.filter(({ gate }) => !isCancelled(gate.run) && !isAnswered(gate)).map(({ shown }) => shown)
  })

/** The gates of children that live elsewhere: only the run's own record tells of them here. */
const gatesElsewhere = (run: RunRecord): Effect.Effect<ReadonlyArray<OpenGate>, PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    if (isThisEngine(yield* ChildRunner)) return []
    const isElsewhere = (gate: BlockedOn) =>
      persistence.get(gate.run).pipe(
        Effect.as(false),
        Effect.catchTag("RunNotFound", () => Effect.succeed(true))
      )
    const gates = yield* Effect.filter(gatesIn(run), isElsewhere)
    return gates.map((gate) => openGate(run, gate))
  })

const sendElsewhere = (
  runner: ChildRunnerService,
  gate: BlockedOn,
  message: InboxMessage
): Effect.Effect<void, PersistenceError> =>
  Effect.mapError(runner.send(gate.run, message), (error) => {
    return new PersistenceError({ reason: "Io", message: error.message })
  })

const openStatuses = ["pending", "running", "waiting", "cancelling"] as const

/** Children looked at for open gates. */
const maxChildren = 1_000

/** The keys of what is selected, by key or as it is shown. */
const selectedKeys = (
  run: RunRecord,
  { gate, shown }: OpenGate,
  selections: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, InvalidSelection> => {
  const keys = selections.map(
    (selected) => gate.options.find(({ key }, at) => key === selected || shown.options[at]?.key === selected)?.key
  )
  const known = keys.filter((key) => key !== undefined)
  if (known.length === keys.length) return Effect.succeed(known)
  const unknown = selections.filter((_, at) => keys[at] === undefined).map((text) => shownText(run, text))
  const options = shown.options.map(({ key }) => key)
  return Effect.fail(new InvalidSelection({ run: gate.run, gate: shown.name, unknown, options }))
}

/** Of a run elsewhere nothing is known here: its own engine asks again where a value does not fit. */
const checkTyped = (
  { run }: BlockedOn,
  shown: BlockedOn
): Effect.Effect<void, ValueNotAsked | PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const record = yield* Effect.catchTag(persistence.get(run), "RunNotFound", () => Effect.succeed(undefined))
    if (record !== undefined && !isOfCode(record)) yield* new ValueNotAsked({ run, gate: shown.name })
  })

/** Asks a run to end: its steps are interrupted, its always runs, it ends cancelled. Asking twice changes nothing. */
export const cancel = (
  run: RunId,
  text?: string
): Effect.Effect<void, RunNotFound | RunAlreadyEnded | PersistenceError, Persistence> =>
  sendTo(run, { _tag: "Cancel", reason: "user", text: text ?? null })

/**
 * Asks a run, and those below it, to begin nothing further: no step, no attempt, no item. What is going on ends as
 * usual; then the run waits, blocked on `paused`, and is let go. Deadlines count on, and answers are kept until
 * `unpause`. Asking twice changes nothing; a run that is being cancelled, or is in its always block, goes on to its end
 * (spec/engine.md, "Cancellation").
 */
export const pause = (run: RunId): Effect.Effect<void, RunNotFound | RunAlreadyEnded | PersistenceError, Persistence> =>
  sendTo(run, { _tag: "Pause" })

/**
 * Lets a paused run, and those below it, go on: in the engine that has it, or in the next one that looks for runs. What
 * came meanwhile, answers and deadlines, takes effect then. Nothing to a run that is not paused.
 */
export const unpause = (
  run: RunId
): Effect.Effect<void, RunNotFound | RunAlreadyEnded | PersistenceError, Persistence> =>
  sendTo(run, { _tag: "Unpause" })

/** Whether a run was asked to pause, and not to go on since; what is at work in it may not have ended yet. */
export const isPaused = (run: RunId): Effect.Effect<boolean, RunNotFound | PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const { inbox, journal } = yield* persistence.load((yield* newest(persistence, run)).id)
    return !isEnded(journal.run.status) && asksToPause(inbox)
  })

/** Sends a signal: whichever wait for its name comes next takes it. `value`: any JSON. */
export const signal = (
  run: RunId,
  name: string,
  value: unknown
): Effect.Effect<void, RunNotFound | RunAlreadyEnded | PersistenceError, Persistence> =>
  sendTo(run, { _tag: "Signal", name, value })

/** A run that continued as new means the one that it has come to. */
const sendTo = (run: RunId, message: InboxMessage) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const now = yield* Clock.currentTimeMillis
    const sent = sendAlong(persistence, run, (id) => persistence.send(id, message, now))
    yield* Effect.catchTag(sent, "NotWaiting", Effect.die)
  })

/**
 * Makes a new run from what another one, in whatever state, has done before a step; the next engine takes it that looks
 * for runs and knows its workflow. To run it at once, see `fork` beside `resume`.
 */
export const fork = (run: RunId, options: ForkOptions): Effect.Effect<RunId, ForkError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const now = yield* Clock.currentTimeMillis
    const newId = Effect.map(newUlid, (id) => RunId.make(id))
    const [root, ...below] = yield* forkOf(persistence, run, options, newId)
    const tree = [{ ...root, run: { ...root.run, readyAt: now } }, ...below]
    yield* Effect.catchTag(persistence.createTree(tree), "RunAlreadyExists", Effect.die)
    return root.run.id
  })
