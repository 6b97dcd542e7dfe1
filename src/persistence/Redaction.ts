/**
 * Records as they may be shown (docs/guarantees.md, "Secrets").
 *
 * The store holds true values: steps to come need them. Whatever hands a record on to be looked at takes it through
 * here; events go the same way in the engine. Ids, kinds, statuses, times and sums are no texts of a run and stay.
 */
import type { Texts } from "../workflow/Definition.ts"
import { redacted, type Redactor, redactorOf } from "../workflow/Redactor.ts"
import type { Secrets } from "../workflow/Secrets.ts"
import type {
  AttemptRecord,
  BlockedOn,
  GateRecord,
  ItemRecord,
  RunRecord,
  StepPath,
  StepRecord,
  StepResult
} from "./Records.ts"

/** A run, as far as it says what is hidden; its true record. */
type Hiding = Pick<RunRecord, "settings">

/** What hides the secrets of a run; undefined where it has none. */
export const redactorFor = ({ settings }: Hiding): Redactor | undefined => {
  const { secrets } = settings
  if (secrets === undefined) return undefined
  const known = redactors.get(secrets)
  if (known !== undefined) return known.redactor
  const redactor = redactorOf(secrets.values)
  redactors.set(secrets, { redactor })
  return redactor
}

const redactors = new WeakMap<Secrets, { readonly redactor: Redactor | undefined }>()

/** A text of a run as it may be shown. */
export const shownText = (run: Hiding, text: string): string => redactorFor(run)?.text(text) ?? text

/** A path of a run as it may be shown: keys of items may hold anything. */
export const shownStepPath = (run: Hiding, path: StepPath): StepPath => {
  const redactor = redactorFor(run)
  return redactor === undefined ? path : pathBy(redactor, path)
}

/** The record without its secrets; what else is shown of the run is redacted by the true record. */
export const shownRun = (run: RunRecord): RunRecord => {
  const { secrets, ...settings } = run.settings
  if (secrets === undefined) return run
  const inputs = Object.fromEntries(
    Object.entries(run.inputs).map(([name, value]) => [name, secrets.inputs.includes(name) ? redacted : value])
  )
  const redactor = redactorFor(run)
  if (redactor === undefined) return { ...run, inputs, settings }
  const text = textOrNull(redactor)
  return {
    ...run,
    inputs: texts(redactor, inputs),
    payload: redactor.json(run.payload),
    settings: { ...settings, values: texts(redactor, settings.values), identity: text(settings.identity) },
    summary: text(run.summary),
    error: text(run.error),
    cancelReason: text(run.cancelReason),
    result: redactor.json(run.result),
    blockedOn: run.blockedOn.map((blocker) => shownBlocker(redactor, blocker)),
    target: text(run.target),
    idempotencyKey: text(run.idempotencyKey)
  }
}

/** The inputs that are shown as they are: only they may be searched, or a secret could be guessed. */
export const openInputs = (run: RunRecord): Texts => {
  const { secrets } = run.settings
  if (secrets === undefined) return run.inputs
  const isOpen = ([name, value]: readonly [string, string]) =>
    !secrets.inputs.includes(name) && shownText(run, value) === value
  return Object.fromEntries(Object.entries(run.inputs).filter(isOpen))
}

/** A step or decision of a run, with its attempts. */
export const shownStep = (run: Hiding, step: StepRecord): StepRecord => {
  const redactor = redactorFor(run)
  if (redactor === undefined) return step
  return {
    ...step,
    path: pathBy(redactor, step.path),
    name: redactor.text(step.name),
    attempts: step.attempts.map((attempt) => shownAttempt(redactor, attempt)),
    result: shownResult(redactor, step.result),
    error: textOrNull(redactor)(step.error),
    value: redactor.json(step.value),
    gate: step.gate === null ? null : shownGate(redactor, step.gate),
    group: textOrNull(redactor)(step.group),
    idempotencyKey: redactor.text(step.idempotencyKey)
  }
}

const shownAttempt = (redactor: Redactor, attempt: AttemptRecord): AttemptRecord => ({
  ...attempt,
  error: textOrNull(redactor)(attempt.error),
  heartbeat: redactor.json(attempt.heartbeat)
})

const shownResult = (redactor: Redactor, result: StepResult): StepResult => ({
  markers: result.markers.map((marker) => redactor.text(marker)),
  context: textOrNull(redactor)(result.context),
  text: textOrNull(redactor)(result.text),
  structured: redactor.json(result.structured),
  outputFile: textOrNull(redactor)(result.outputFile),
  metadata: texts(redactor, result.metadata)
})

const shownGate = (redactor: Redactor, gate: GateRecord): GateRecord => ({
  ...gate,
  prompt: textOrNull(redactor)(gate.prompt),
  options: shownOptions(redactor, gate.options),
  answer:
    gate.answer === null
      ? null
      : {
          ...gate.answer,
          feedback: textOrNull(redactor)(gate.answer.feedback),
          selections: gate.answer.selections.map((key) => redactor.text(key)),
          ...(gate.answer.value === undefined ? {} : { value: redactor.json(gate.answer.value) })
        }
})

/** An item of a fan-out of a run. */
export const shownItem = (run: Hiding, item: ItemRecord): ItemRecord => {
  const redactor = redactorFor(run)
  if (redactor === undefined) return item
  return {
    ...item,
    path: pathBy(redactor, item.path),
    key: redactor.text(item.key),
    type: redactor.text(item.type),
    id: redactor.text(item.id),
    ref: redactor.text(item.ref),
    context: texts(redactor, item.context),
    error: textOrNull(redactor)(item.error),
    output: redactor.json(item.output)
  }
}

/** What a run is blocked on. */
export const shownBlockedOn = (run: Hiding, blocker: BlockedOn): BlockedOn => {
  const redactor = redactorFor(run)
  return redactor === undefined ? blocker : shownBlocker(redactor, blocker)
}

const shownBlocker = (redactor: Redactor, blocker: BlockedOn): BlockedOn => ({
  ...blocker,
  path: pathBy(redactor, blocker.path),
  name: redactor.text(blocker.name),
  prompt: textOrNull(redactor)(blocker.prompt),
  options: shownOptions(redactor, blocker.options)
})

type GateOption = BlockedOn["options"][number]

/** In their order; keys that look alike are numbered, so that each can still be selected. */
const shownOptions = (redactor: Redactor, options: ReadonlyArray<GateOption>): ReadonlyArray<GateOption> => {
  const seen = new Map<string, number>()
  return options.map((option) => {
    const key = redactor.text(option.key)
    if (key === option.key) return { key, text: redactor.text(option.text) }
    const count = (seen.get(key) ?? 0) + 1
    seen.set(key, count)
    return { key: count === 1 ? key : `${key} (${count})`, text: redactor.text(option.text) }
  })
}

// SAFETY: a step's path, but for what is hidden.
const pathBy = (redactor: Redactor, path: StepPath): StepPath => redactor.text(path) as StepPath

const textOrNull =
  (redactor: Redactor) =>
  (text: string | null): string | null =>
    text === null ? null : redactor.text(text)

const texts = (redactor: Redactor, all: Texts): Texts =>
  Object.fromEntries(Object.entries(all).map(([name, text]) => [redactor.text(name), redactor.text(text)]))
