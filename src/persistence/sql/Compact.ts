/**
 * Steps as the JSON beside their columns: a key that has its usual value is left out, since most have, and a step's
 * text is written twice. What reads it puts the usual values back.
 */
import { type AttemptRecord, blankAttempt, blankGate, blankStep, noResult, type StepRecord } from "../Records.ts"

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

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** The step's keys as they were, to be checked: what is no object stays as it is. */
export const expandStepData = (data: unknown, columns: Json): unknown => {
  if (!isObject(data)) return data
  const { attempts = [], result = {}, gate = null } = data
  return {
    ...usualStep,
    ...data,
    ...columns,
    attempts: Array.isArray(attempts)
      ? attempts.map((attempt: unknown) => (isObject(attempt) ? { ...usualAttempt, ...attempt } : attempt))
      : attempts,
    result: isObject(result) ? { ...usualResult, ...result } : result,
    gate: isObject(gate) ? { ...usualGate, ...gate } : gate
  }
}
