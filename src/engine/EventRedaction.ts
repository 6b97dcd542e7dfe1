/**
 * Events as subscribers get them: without the secrets of their run (`persistence/Redaction`).
 */
import type { RunRecord } from "../persistence/Records.ts"
import { redactorFor } from "../persistence/Redaction.ts"
import type { Redactor } from "../workflow/Redactor.ts"
import type { EngineEvent } from "./Events.ts"

/** The events of a run; the very same where it has no secrets. */
export const shownEvents = (run: RunRecord, events: ReadonlyArray<EngineEvent>): ReadonlyArray<EngineEvent> => {
  const redactor = redactorFor(run)
  return redactor === undefined ? events : events.map((event) => shownEvent(redactor, event))
}

/** Names of things and states, which no run makes up: subscribers rely on them. */
const fixed: ReadonlySet<string> = new Set(["_tag", "run", "parent", "workflow", "kind", "status"])

const shownEvent = (redactor: Redactor, event: EngineEvent): EngineEvent => {
  const fields = Object.entries(event).map(([name, value]) => [name, shownField(redactor, name, value)])
  // SAFETY: texts stay texts, lists of texts such lists; only `details`, which may be anything, changes its shape.
  return Object.fromEntries(fields) as EngineEvent
}

/** Numbers are times and sums. */
const shownField = (redactor: Redactor, name: string, value: unknown): unknown => {
  if (name === "details" || Array.isArray(value)) return redactor.json(value)
  return typeof value === "string" && !fixed.has(name) ? redactor.text(value) : value
}
