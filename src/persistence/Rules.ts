/**
 * Decisions that every backend makes alike: who may claim a run, and which messages a run takes.
 *
 * Pure functions over records; reading and writing those is the backend's.
 */
import * as Either from "effect/Either"
import type { ClaimReadyOptions, Commit } from "./Persistence.ts"
import type { Change, OwnedBy } from "./Journal.ts"
import { LeaseLost, RunAlreadyEnded, RunAlreadyOwned, SeqConflict } from "./Persistence.ts"
import type { EngineId, InboxMessage, RunId, RunRecord, RunStatus } from "./Records.ts"
import { isEnded } from "./Records.ts"

/** Whether a run is among those that a watchdog asks for. */
export const isWanted = (
  run: Pick<RunRecord, "id" | "root" | "workflow" | "definition">,
  { except, only, root, ...known }: Omit<ClaimReadyOptions, "engine" | "now" | "limit">
): boolean =>
  isKnown(run, known) &&
  (root === undefined || run.root === root || run.id === root) &&
  only?.includes(run.id) !== false &&
  except?.includes(run.id) !== true

/** Whether a watchdog that knows these workflows and definitions may claim a run. */
const isKnown = (
  run: Pick<RunRecord, "workflow" | "definition">,
  { workflows, definitions }: Pick<ClaimReadyOptions, "workflows" | "definitions">
): boolean => {
  if (workflows === undefined && definitions === undefined) return true
  const isOf = (key: string) => (key.endsWith(":") ? run.definition.startsWith(key) : run.definition === key)
  return workflows?.includes(run.workflow) === true || definitions?.some(isOf) === true
}

/** `RunFilter.text`: letters of ASCII in either case, as in SQL. */
export const anyValueHas = (inputs: RunRecord["inputs"], text: string): boolean => {
  const wanted = lower(text)
  return Object.values(inputs).some((value) => lower(value).includes(wanted))
}

const lower = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

/** What fences a write to a run. */
export type Fence = Pick<RunRecord, "id" | "status" | "owner" | "generation" | "seq" | "recoveries">

/** What a claim changes. */
export type Ownership = Pick<RunRecord, "owner" | "generation" | "recoveries" | "readyAt">

/** Neither ended nor parked: an engine may take it without being asked to. */
export const isLive = (status: RunStatus): boolean => !isEnded(status) && status !== "needs_resume"

/** The status of a run that a message reaches: what is parked is looked for again when it is to be cancelled. */
export const statusAfter = (run: Pick<Fence, "status" | "owner">, message: InboxMessage): RunStatus =>
  run.status === "needs_resume" && run.owner === null && message._tag === "Cancel" ? "cancelling" : run.status

/**
 * I7, and a commit whose answer was lost is recognised: that is asked before ownership, since the commit itself may
 * have ended the run and with it the lease.
 */
export const fenceCommit = (
  fence: Fence | undefined,
  commit: Pick<Commit, "run" | "generation" | "expectedSeq">
): LeaseLost | SeqConflict | undefined => {
  if (fence === undefined || fence.generation !== commit.generation) return leaseLost(commit)
  if (fence.seq !== commit.expectedSeq) {
    return new SeqConflict({ run: commit.run, expected: commit.expectedSeq, actual: fence.seq })
  }
  return fence.owner === null ? leaseLost(commit) : undefined
}

/** An engine's row is forgotten when another registers this long (ms) after its lease ended, if it owns no run. */
export const engineMemory = 86_400_000

/** I7 for writes that do not count as a commit. */
export const fenceOwner = (
  fence: Fence | undefined,
  write: { readonly run: RunId; readonly generation: number }
): LeaseLost | undefined =>
  fence === undefined || fence.owner === null || fence.generation !== write.generation ? leaseLost(write) : undefined

export const leaseLost = (write: { readonly run: RunId; readonly generation: number }): LeaseLost =>
  new LeaseLost({ run: write.run, generation: write.generation })

/** The ownership after a claim. `ownerLease`: until when the owner's lease holds; undefined if it has no row. */
export const claimRun = (
  run: Fence,
  ownerLease: number | undefined,
  options: { readonly engine: EngineId; readonly now: number }
): Either.Either<Ownership, RunAlreadyOwned | RunAlreadyEnded> => {
  if (isEnded(run.status)) return Either.left(new RunAlreadyEnded({ run: run.id, status: run.status }))
  const { owner } = run
  if (owner === options.engine) {
    return Either.right({ owner, generation: run.generation, recoveries: run.recoveries, readyAt: null })
  }
  if (owner !== null && ownerLease !== undefined && ownerLease > options.now) {
    return Either.left(new RunAlreadyOwned({ run: run.id, owner, leaseUntil: ownerLease }))
  }
  const recoveries = owner === null ? run.recoveries : run.recoveries + 1
  return Either.right({ owner: options.engine, generation: run.generation + 1, recoveries, readyAt: null })
}

/** Whether a run that ended (or is parked) may be opened again; it has an owner only when it was claimed by id. */
export const fenceReopen = (
  run: Fence,
  ownerLease: number | undefined,
  options: { readonly engine: EngineId; readonly expectedSeq: number }
): SeqConflict | RunAlreadyOwned | undefined => {
  if (run.seq !== options.expectedSeq) {
    return new SeqConflict({ run: run.id, expected: options.expectedSeq, actual: run.seq })
  }
  return run.owner === null || run.owner === options.engine
    ? undefined
    : new RunAlreadyOwned({ run: run.id, owner: run.owner, leaseUntil: ownerLease ?? 0 })
}

/** Whether a run is owned by this engine, under this claim. */
export const isOwnedBy = (run: Pick<Fence, "owner" | "generation">, by: OwnedBy | undefined): boolean =>
  by !== undefined && run.owner === by.engine && run.generation === by.generation

/** Whether a commit with this change may give others something to look at: a run to take up, a message. */
export const wakes = (change: Change): boolean =>
  change._tag === "Notify" || (change._tag === "Create" && change.run.owner === null)

/** The messages that concern whichever run a chain has come to, as against those to a step of one run. */
export const handedOn = ["Signal", "Cancel", "Pause", "Unpause"] as const satisfies ReadonlyArray<InboxMessage["_tag"]>

export const isHandedOn = ({ _tag }: InboxMessage): boolean => handedOn.some((tag) => tag === _tag)
