/**
 * Steps as the JSON beside their columns: a key that has its usual value is left out, since most have, and a step's
 * text is written twice. What reads it puts the usual values back.
 */
import { blankAttempt, blankStep, noResult, type StepRecord } from "../Records.ts"

type Json = Readonly<Record<string, unknown>>

/** Only in columns of their own; `epoch` and `status` stand in both, so that a row changed by hand is noticed. */
const columns: ReadonlySet<string> = new Set(["path", "position", "kind", "name", "superseded"])

const usualStep: Json = blankStep
const usualAttempt: Json = blankAttempt
const usualResult: Json = { ...noResult }

/** Whether a value is the usual one: the same primitive, or an empty list or object where that is usual. */
const isUsual = (value: unknown, usual: unknown): boolean => value === usual || (isEmpty(usual) && isEmpty(value))

const isEmpty = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false
  for (const _ in value) return false
  return true
}

const without = (record: Json, usual: Json): Record<string, unknown> => {
  const kept: Record<string, unknown> = {}
  for (const key in record) {
    if (!columns.has(key) && !(key in usual && isUsual(record[key], usual[key]))) kept[key] = record[key]
  }
  return kept
}

export const encodeStepData = (step: StepRecord): string => {
  const data = without(step, usualStep)
  data["attempts"] = step.attempts.map((attempt) => without(attempt, usualAttempt))
  data["result"] = without(step.result, usualResult)
  if (isEmpty(data["attempts"])) delete data["attempts"]
  if (isEmpty(data["result"])) delete data["result"]
  return JSON.stringify(data)
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** The step's keys as they were, to be checked: what is no object stays as it is. */
export const expandStepData = (data: unknown, columns: Json): unknown => {
  if (!isObject(data)) return data
  const { attempts = [], result = {} } = data
  return {
    ...usualStep,
    ...data,
    ...columns,
    attempts: Array.isArray(attempts)
      ? attempts.map((attempt: unknown) => (isObject(attempt) ? { ...usualAttempt, ...attempt } : attempt))
      : attempts,
    result: isObject(result) ? { ...usualResult, ...result } : result
  }
}
