/**
 * Where a fork comes from, as its rows say.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { RunId, type RunRecord, StepPath, type StepRecord } from "../persistence/Records.ts"
import { forkPath } from "./Phases.ts"

/** What the time and the chance of a body follow from. */
const BodyOrigin = Schema.Struct({
  /** What its chance is drawn from: the id of the run that began it. */
  seed: Schema.String,
  /** When that began it, ms since the epoch. */
  begun: Schema.Number
})

const Origin = Schema.Struct({
  run: RunId,
  path: StepPath,
  /** Absent in forks of earlier versions, as `again` is. */
  body: Schema.optional(BodyOrigin),
  /** The place of the first row that is done again, in the fork or before: what stands behind it may not come again. */
  again: Schema.optional(Schema.Number)
})

export type Origin = typeof Origin.Type

/** Undefined of a run that is no fork. */
export const originOf = (steps: Iterable<StepRecord>): Origin | undefined => {
  for (const { path, value } of steps) if (path === forkPath) return Option.getOrUndefined(decode(value))
  return undefined
}

const decode = Schema.decodeUnknownOption(Origin)

/** Those of a run's body: a fork's are those of the other run, over whose rows it is replayed. */
export const bodyOf = ({ createdAt, id, startedAt }: RunRecord, origin: Origin | undefined): typeof BodyOrigin.Type =>
  origin?.body ?? { seed: id, begun: startedAt ?? createdAt }
