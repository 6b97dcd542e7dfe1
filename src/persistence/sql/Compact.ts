/**
 * Steps, items, settings and totals as JSON: a key that has its usual value, or a column of its own, is left out, since
 * most have, and each row is written two or three times. What reads it puts the usual values back.
 */
import { isObject } from "../../workflow/Json.ts"
import {
  type AttemptRecord,
  blankAttempt,
  blankGate,
  blankItem,
  blankSettings,
  blankStep,
  type ItemRecord,
  noResult,
  noTotals,
  type RunId,
  type RunSettings,
  type StepRecord,
  type StepResult,
  type Totals
} from "../Records.ts"

type Json = Readonly<Record<string, unknown>>

const usualGate: Json = blankGate

const isEmpty = (value: object): boolean => {
  for (const _ in value) return false
  return true
}

/** A key with its value, unless that is the usual one: the same primitive, or as empty as that. */
const unusual = (key: string, value: unknown, usual: unknown): string => {
  if (value === usual || value === undefined) return ""
  if (isObjectOrList(usual) && isObjectOrList(value) && isEmpty(usual) && isEmpty(value)) return ""
  const json: string | undefined = JSON.stringify(value)
  return json === undefined ? "" : `,"${key}":${json}`
}

const isObjectOrList = (value: unknown): value is object => typeof value === "object" && value !== null

const encodeAttempt = (attempt: AttemptRecord): string =>
  `{"number":${attempt.number},"startedAt":${attempt.startedAt},"outcome":"${attempt.outcome}"` +
  unusual("endedAt", attempt.endedAt, blankAttempt.endedAt) +
  unusual("error", attempt.error, blankAttempt.error) +
  unusual("heartbeatAt", attempt.heartbeatAt, blankAttempt.heartbeatAt) +
  unusual("heartbeat", attempt.heartbeat, blankAttempt.heartbeat) +
  unusual("abandoned", attempt.abandoned, blankAttempt.abandoned) +
  unusual("process", attempt.process, blankAttempt.process) +
  unusual("childRun", attempt.childRun, blankAttempt.childRun) +
  unusual("childEpoch", attempt.childEpoch, blankAttempt.childEpoch) +
  "}"

const encodeResult = (result: StepResult): string => {
  if (result === noResult) return ""
  const kept =
    unusual("markers", result.markers, noResult.markers) +
    unusual("context", result.context, noResult.context) +
    unusual("text", result.text, noResult.text) +
    unusual("structured", result.structured, noResult.structured) +
    unusual("outputFile", result.outputFile, noResult.outputFile) +
    unusual("metadata", result.metadata, noResult.metadata)
  return kept === "" ? "" : `,"result":{${kept.slice(1)}}`
}

/**
 * All but what has columns of its own; `epoch` and `status` stand in both, so that a row changed by hand is noticed.
 * Written for each start and end of a step: key by key, since an object made to be turned into JSON costs as much again.
 */
export const encodeStepData = (run: RunId, step: StepRecord): string =>
  `{"epoch":${step.epoch},"status":"${step.status}"` +
  unusual("role", step.role, blankStep.role) +
  unusual("canCommit", step.canCommit, blankStep.canCommit) +
  unusual("iteration", step.iteration, blankStep.iteration) +
  unusual("startedAt", step.startedAt, blankStep.startedAt) +
  unusual("endedAt", step.endedAt, blankStep.endedAt) +
  unusual("error", step.error, blankStep.error) +
  unusual("value", step.value, blankStep.value) +
  unusual("condition", step.condition, blankStep.condition) +
  unusual("conditionMet", step.conditionMet, blankStep.conditionMet) +
  unusual("childRun", step.childRun, blankStep.childRun) +
  unusual("gate", step.gate, blankStep.gate) +
  unusual("fanOut", step.fanOut, blankStep.fanOut) +
  unusual("group", step.group, blankStep.group) +
  unusual("wakeAt", step.wakeAt, blankStep.wakeAt) +
  (step.attempts.length === 0 ? "" : `,"attempts":[${step.attempts.map(encodeAttempt).join(",")}]`) +
  encodeResult(step.result) +
  unusual("idempotencyKey", step.idempotencyKey, usualKey(run, step.path)) +
  "}"

/** Of a step that has not been done anew, and is no fork's. */
const usualKey = (run: string, path: string): string => `${run}${path}`

/** An object without the keys that have their usual values. */
const lean = (value: object, usual: Json): string => {
  let kept = ""
  for (const [key, it] of Object.entries(value)) kept += unusual(key, it, usual[key])
  return `{${kept.slice(1)}}`
}

/** All but its path and position; `key` and `status` stand in both, as above. */
export const encodeItemData = ({ path: _path, position: _position, ...item }: ItemRecord): string =>
  lean(item, blankItem)

export const encodeSettings = (settings: RunSettings): string => lean(settings, blankSettings)

export const encodeTotals = (totals: Totals): string => lean(totals, noTotals)

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
    idempotencyKey: or(data["idempotencyKey"], usualKey(String(columns.run), String(columns.path)))
  } satisfies Record<keyof StepRecord, unknown>
}

/** An item's keys as they were, to be checked. */
export const expandItemData = (data: unknown, columns: Readonly<Record<"path" | "position", unknown>>): unknown =>
  isObject(data) ? { ...blankItem, ...data, ...columns } : data

export const expandSettings = (data: unknown): unknown => (isObject(data) ? { ...blankSettings, ...data } : data)

export const expandTotals = (data: unknown): unknown => (isObject(data) ? { ...noTotals, ...data } : data)

/** What stands beside the JSON. */
type Columns = Readonly<Record<"run" | "path" | "position" | "kind" | "name" | "superseded", unknown>>

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
