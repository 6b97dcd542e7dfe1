/**
 * Why a run does not go on until somebody sees to its code, as its record says. What people are asked for (gates,
 * signals, a pause) and what time brings is none of it.
 */
import * as Effect from "effect/Effect"
import { isEnded, type RunId, type RunRecord } from "../persistence/Records.ts"
import { shownText } from "../persistence/Redaction.ts"
import { isPaused } from "./Pause.ts"

export type Standstill =
  /** `run`, which is the one that is asked for or one below it, is parked. */
  | { readonly _tag: "Parked"; readonly run: RunId; readonly workflow: string; readonly reason: string }
  /** No engine has taken it up, though it could have: it has not begun, or could go on. */
  | { readonly _tag: "NotTaken"; readonly run: RunId; readonly workflow: string; readonly hasBegun: boolean }

/** At a time, ms since the epoch; undefined: it goes on, or will. */
export const standstillOf = (record: RunRecord, now: number): Standstill | undefined => {
  const { id: run, status, workflow } = record
  const shown = (text: string | null) => shownText(record, text ?? "")
  if (status === "needs_resume") return { _tag: "Parked", run, workflow, reason: shown(record.error) }
  if (status === "waiting") {
    // Only a child that is parked has a reason; its children's are in its own list.
    const below = record.blockedOn.find(({ _tag, prompt }) => _tag === "child" && prompt !== null)
    if (below === undefined) return notTaken(record, now)
    return { _tag: "Parked", run: below.run, workflow: shown(below.name), reason: shown(below.prompt) }
  }
  return notTaken(record, now)
}

const notTaken = (record: RunRecord, now: number): Standstill | undefined => {
  const { id: run, owner, readyAt, startedAt, workflow } = record
  const isFree = owner === null && readyAt !== null && readyAt <= now && !isEnded(record.status) && !isPaused(record)
  return isFree ? { _tag: "NotTaken", run, workflow, hasBegun: startedAt !== null } : undefined
}

/** Within this time an engine that has just started takes up what it can run, ms. */
const grace = 1_000

/** Of what a run is seen to be, look for look: what it has been for a while. */
export const lasting = (): ((seen: Standstill | undefined, now: number) => Standstill | undefined) => {
  let last: Standstill | undefined
  let since = 0
  return (seen, now) => {
    if (!isSame(seen, last)) since = now
    last = seen
    return now - since >= grace ? seen : undefined
  }
}

export const isSame = (one: Standstill | undefined, other: Standstill | undefined): boolean =>
  one?._tag === other?._tag &&
  one?.run === other?.run &&
  reasonOf(one) === reasonOf(other) &&
  begun(one) === begun(other)

const begun = (standstill: Standstill | undefined) => standstill?._tag === "NotTaken" && standstill.hasBegun

const reasonOf = (standstill: Standstill | undefined) => (standstill?._tag === "Parked" ? standstill.reason : undefined)

/** Told why a run stands still. */
export type Told = (standstill: Standstill) => Effect.Effect<void>

/** Tells of a standstill once, and of another one again. */
export const tellingOnce = (told: Told): ((standstill: Standstill | undefined) => Effect.Effect<void>) => {
  let last: Standstill | undefined
  return (standstill) =>
    Effect.suspend(() => {
      if (standstill === undefined || isSame(standstill, last)) return Effect.void
      last = standstill
      return told(standstill)
    })
}
