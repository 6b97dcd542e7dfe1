/**
 * The secrets of a typed workflow: what stands in a `Redacted` (of `Schema.Redacted`) anywhere in its payload.
 */
import * as Redacted from "effect/Redacted"
import { type Secrets, withValues } from "../workflow/Secrets.ts"

/** Undefined where there is none. */
export const secretsIn = (payload: unknown): Secrets | undefined => {
  const values: Array<string> = []
  collect(payload, false, values, new Set())
  return values.length === 0 ? undefined : withValues(undefined, values)
}

const collect = (value: unknown, isSecret: boolean, values: Array<string>, seen: Set<object>): void => {
  if (typeof value === "object" && value !== null) {
    if (seen.has(value)) return
    seen.add(value)
    if (Redacted.isRedacted(value)) return collect(Redacted.value(value), true, values, seen)
    const inner = value instanceof Map || value instanceof Set ? [...value] : Object.values(value)
    for (const one of inner) collect(one, isSecret, values, seen)
  } else if (isSecret && (typeof value === "string" || typeof value === "number" || typeof value === "bigint")) {
    values.push(String(value))
  }
}
