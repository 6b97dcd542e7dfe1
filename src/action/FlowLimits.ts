/**
 * How much of an action may go on at once, and how often it may begin: across all runs of one engine.
 */
import type * as Duration from "effect/Duration"
import { problemOfTime } from "./TryOptions.ts"

/**
 * `K`: what a key is made of. An attempt waits before it does anything: its timeout counts from its turn on. One that
 * is abandoned has ended here, whatever it still does.
 */
export interface FlowLimits<in K> {
  /** Attempts that are at work at once. */
  readonly concurrency?: number
  /** The same for each key: one customer's attempts wait for each other, not for those of another one. */
  readonly perKey?: { readonly key: (value: K) => string; readonly concurrency: number }
  /** At most `limit` attempts begin within any `interval`. */
  readonly rate?: { readonly limit: number; readonly interval: Duration.DurationInput }
}

/** What is wrong with limits; undefined: nothing. */
export const problemOf = ({ concurrency, perKey, rate }: FlowLimits<never>): string | undefined => {
  if (concurrency !== undefined && !isCount(concurrency)) return "`concurrency` has to be an integer of at least 1"
  if (perKey !== undefined && typeof perKey.key !== "function") return "`perKey.key` has to be a function"
  if (perKey !== undefined && !isCount(perKey.concurrency)) {
    return "`perKey.concurrency` has to be an integer of at least 1"
  }
  if (rate === undefined) return undefined
  if (!isCount(rate.limit)) return "`rate.limit` has to be an integer of at least 1"
  return problemOfTime("rate.interval", rate.interval)
}

const isCount = (value: unknown): boolean => typeof value === "number" && Number.isSafeInteger(value) && value >= 1
