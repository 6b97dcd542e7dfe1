/**
 * A durable wait other than a gate's: for a time, or for a message (design.md, "One runtime, one way to resume").
 *
 * - Q1 The wait is a row from its start on: its deadline is absolute, across restarts.
 * - Q2 What ends it is consumed in the commit that records the end (I5).
 * - Z2 While the run is paused neither its deadline nor a message ends it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { BlockedOn, StepPath, StepRecord } from "../persistence/Records.ts"
import { isTerminal } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import { journaled, newRow, type RunContext } from "./RunContext.ts"
import { stopRow } from "./StepRows.ts"

export interface WaitSpec {
  readonly branch: Branch
  readonly path: StepPath
  readonly kind: "sleep" | "signal"
  readonly name: string
  /** When the wait ends by itself, on the wall clock; null: never. Asked once. */
  readonly until: () => number | null
  /** Topics of the messages that may end it (`RunContext.topicOf`). */
  readonly topics: ReadonlyArray<string>
  /** The message in the inbox that ends the wait before its time, with the value that it brings. */
  readonly find: () => { readonly id: number; readonly value: unknown } | undefined
  /** Done before each look at what ends the wait: says what is passed over. */
  readonly look?: Effect.Effect<void>
}

/** Waits, and gives the wait's row: `completed`, or `timed_out` where a message did not come in time. */
export const durableWait = (spec: WaitSpec): Effect.Effect<StepRecord> =>
  Effect.flatMap(journaled(spec.branch, spec.path, spec.kind, spec.name), (row) => {
    if (row !== undefined && isTerminal(row.status)) return Effect.succeed(row)
    if (spec.branch.stopReason !== undefined) return stopRow(spec.branch, row)
    const wait = Effect.suspend(() => {
      const waiting = row ?? startWaiting(spec)
      // Also where its caller cannot be interrupted: nobody could be let go there.
      const ended = Effect.exit(Effect.interruptible(untilEnded(spec, waiting)))
      return Effect.flatMap(Effect.zipRight(spec.branch.run.flush, ended), (exit) =>
        Exit.isSuccess(exit) ? Effect.sync(() => end(spec, waiting)) : stopRow(spec.branch, waiting, exit.cause)
      )
    })
    return spec.branch.run.inProcess(Effect.uninterruptible(wait))
  })

const startWaiting = (spec: WaitSpec): StepRecord => {
  const { run, iteration, group } = spec.branch
  const { path, kind, name } = spec
  const row = newRow(run, { path, kind, name, status: "waiting", iteration, group, wakeAt: spec.until() })
  run.put(row)
  return row
}

const untilEnded = (spec: WaitSpec, row: StepRecord): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { run } = spec.branch
    if (spec.branch.isHeld) {
      return Effect.zipRight(spec.branch.unpaused([blockedOn(run, spec, row)]), untilEnded(spec, row))
    }
    const isOver = () => spec.find() !== undefined || (row.wakeAt !== null && run.now() >= row.wakeAt)
    const wait = Effect.suspend(() => {
      if (isOver()) return Effect.void
      const parked = run.park({ blockedOn: [blockedOn(run, spec, row)], wakeAt: row.wakeAt }, spec.topics, isOver)
      return Effect.zipRight(parked, untilEnded(spec, row))
    })
    return spec.look === undefined ? wait : Effect.zipRight(spec.look, wait)
  })

const blockedOn = (run: RunContext, spec: WaitSpec, row: StepRecord): BlockedOn => ({
  _tag: spec.kind,
  run: run.id,
  path: spec.path,
  name: spec.name,
  kind: null,
  prompt: null,
  options: [],
  minApprovals: 0,
  until: row.wakeAt
})

const end = (spec: WaitSpec, row: StepRecord): StepRecord => {
  const { run } = spec.branch
  const found = spec.find()
  // A sleep that is over has done what it was for; a message that did not come is missed.
  const status = found === undefined && spec.kind === "signal" ? "timed_out" : "completed"
  const ended: StepRecord = { ...row, status, value: found?.value ?? null, endedAt: run.now(), wakeAt: null }
  const consumed = found === undefined ? [] : [run.consume([found.id])]
  run.append([{ _tag: "Step", step: ended }, ...consumed])
  return ended
}
