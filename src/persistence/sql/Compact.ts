/**
 * Steps as the JSON beside their columns: a key that has its usual value is left out, since most have, and a step's
 * text is written twice. What reads it puts the usual values back.
 */
import { isObject } from "../../workflow/Json.ts"
import {
  type AttemptRecord,
  blankAttempt,
  blankGate,
  blankStep,
  noResult,
  type StepRecord,
  type StepResult
} from "../Records.ts"

type Json = Readonly<Record<string, unknown>>

const usualStep: Json = blankStep
const usualAttempt: Json = blankAttempt
const usualResult: Json = { ...noResult }
/** Absent only in rows of earlier releases. */
const usualGate: Json = blankGate

const stepKeys = Object.keys(usualStep)
const attemptKeys = Object.keys(usualAttempt)
const resultKeys = Object.keys(usualResult)

/** Whether a value is the usual one: the same primitive, or an empty list or object where that is usual. */
const isUsual = (value: unknown, usual: unknown): boolean => value === usual || (isEmpty(usual) && isEmpty(value))

const isEmpty = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false
  for (const _ in value) return false
  return true
}

const putUnusual = (into: Record<string, unknown>, record: Json, keys: ReadonlyArray<string>, usual: Json): void => {
  for (const key of keys) if (!isUsual(record[key], usual[key])) into[key] = record[key]
}

const encodeAttempt = (attempt: AttemptRecord): Json => {
  const { number, startedAt, outcome } = attempt
  const kept: Record<string, unknown> = { number, startedAt, outcome }
  putUnusual(kept, attempt, attemptKeys, usualAttempt)
  return kept
}

/**
 * All but what has columns of its own; `epoch` and `status` stand in both, so that a row changed by hand is noticed.
 * Written for each start and end of a step: the keys are known, rather than looked for.
 */
export const encodeStepData = (step: StepRecord): string => {
  const { epoch, status, attempts, result, idempotencyKey } = step
  const data: Record<string, unknown> = { epoch, status }
  putUnusual(data, step, stepKeys, usualStep)
  if (attempts.length > 0) data["attempts"] = attempts.map(encodeAttempt)
  if (result !== noResult) {
    const kept: Record<string, unknown> = {}
    putUnusual(kept, result, resultKeys, usualResult)
    if (!isEmpty(kept)) data["result"] = kept
  }
  data["idempotencyKey"] = idempotencyKey
  return JSON.stringify(data)
}

const or = (value: unknown, usual: unknown): unknown => (value === undefined ? usual : value)

/**
 * The step's keys as they were, to be checked: what is no object stays as it is. Key by key, since a resumed run is read
 * step by step: objects that are spread together take five times as long.
 */
export const expandStepData = (data: unknown, columns: Columns): unknown => {
  if (!isObject(data)) return data
  const { attempts = [], result = {}, gate = null } = data
  return {
    path: columns.path,
    epoch: data["epoch"],
    kind: columns.kind,
    name: columns.name,
    role: or(data["role"], blankStep.role),
    canCommit: or(data["canCommit"], blankStep.canCommit),
    position: columns.position,
    iteration: or(data["iteration"], blankStep.iteration),
    status: data["status"],
    superseded: columns.superseded,
    startedAt: or(data["startedAt"], blankStep.startedAt),
    endedAt: or(data["endedAt"], blankStep.endedAt),
    attempts: Array.isArray(attempts) ? attempts.map(expandAttempt) : attempts,
    result: expandResult(result),
    error: or(data["error"], blankStep.error),
    value: or(data["value"], blankStep.value),
    condition: or(data["condition"], blankStep.condition),
    conditionMet: or(data["conditionMet"], blankStep.conditionMet),
    childRun: or(data["childRun"], blankStep.childRun),
    gate: isObject(gate) ? { ...usualGate, ...gate } : gate,
    fanOut: or(data["fanOut"], blankStep.fanOut),
    group: or(data["group"], blankStep.group),
    wakeAt: or(data["wakeAt"], blankStep.wakeAt),
    idempotencyKey: data["idempotencyKey"]
  } satisfies Record<keyof StepRecord, unknown>
}

/** What stands beside the JSON. */
type Columns = Readonly<Record<"path" | "position" | "kind" | "name" | "superseded", unknown>>

const expandAttempt = (attempt: unknown): unknown =>
  isObject(attempt)
    ? ({
        number: attempt["number"],
        startedAt: attempt["startedAt"],
        endedAt: or(attempt["endedAt"], blankAttempt.endedAt),
        outcome: attempt["outcome"],
        error: or(attempt["error"], blankAttempt.error),
        heartbeatAt: or(attempt["heartbeatAt"], blankAttempt.heartbeatAt),
        heartbeat: or(attempt["heartbeat"], blankAttempt.heartbeat),
        abandoned: or(attempt["abandoned"], blankAttempt.abandoned),
        process: or(attempt["process"], blankAttempt.process),
        childRun: or(attempt["childRun"], blankAttempt.childRun),
        childEpoch: or(attempt["childEpoch"], blankAttempt.childEpoch)
      } satisfies Record<keyof AttemptRecord, unknown>)
    : attempt

const expandResult = (result: unknown): unknown =>
  isObject(result)
    ? ({
        markers: or(result["markers"], noResult.markers),
        context: or(result["context"], noResult.context),
        text: or(result["text"], noResult.text),
        structured: or(result["structured"], noResult.structured),
        outputFile: or(result["outputFile"], noResult.outputFile),
        metadata: or(result["metadata"], noResult.metadata)
      } satisfies Record<keyof StepResult, unknown>)
    : result
