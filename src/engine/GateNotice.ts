/**
 * Telling of gates that wait for a person (spec/engine.md, "gate").
 *
 * Owns: who tells (`GateNotifier`), and that it happens once for each wait. Neighbour: `Gate` is the wait.
 * - G4 That a gate was told of is on its row, and its run is not let go before: a crash in between, and nothing else,
 *   makes whoever goes on with the run tell again. Telling holds up no answer.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { humanGates } from "../action/GateResolver.ts"
import type { BlockedOn, RunRecord } from "../persistence/Records.ts"
import type { RunContext } from "./RunContext.ts"

export interface GateNotice {
  /** The run whose gate it is: not the one above it. */
  readonly run: RunRecord
  readonly gate: BlockedOn
  /** When it began to wait, ms since the epoch. */
  readonly since: number
}

/**
 * Tells somebody of a gate; undefined: nobody is to be told. The effect succeeds as soon as the telling is under way, or
 * is known to be impossible: the gate is then not told of again. It is interrupted when the gate waits no longer, or no
 * longer here.
 */
export type GateNotifierService = (notice: GateNotice) => Effect.Effect<void> | undefined

/** Tells of gates that wait for a person; default: nobody does. */
export class GateNotifier extends Context.Reference<GateNotifier>()("millrace/GateNotifier", {
  defaultValue: (): GateNotifierService => () => undefined
}) {
  static readonly layerWith = (notifier: GateNotifierService): Layer.Layer<never> =>
    Layer.succeed(GateNotifier, notifier)
}

/** Whether a person has to answer: other gates are their resolvers'. */
export const isForPerson = ({ _tag, kind }: BlockedOn): boolean =>
  _tag === "gate" && (kind === null || humanGates.has(kind))

/** Waits for a gate's answer, and tells of the gate meanwhile, unless that was done; its row is durable. */
export const telling = <A>(run: RunContext, gate: BlockedOn, wait: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const told = tellingOf(run, gate)
    if (told === undefined) return wait
    return Effect.acquireUseRelease(
      begin(run, gate, told),
      () => wait,
      ({ fiber, release }) => Effect.zipRight(Fiber.interruptFork(fiber), Effect.sync(release))
    )
  })

/** In a fiber of its own, which may be interrupted where the gate's is not. */
const begin = (run: RunContext, gate: BlockedOn, told: Effect.Effect<void>) =>
  Effect.suspend(() => {
    const release = holdOf(run)
    const noted = Effect.map(told, () => {
      note(run, gate)
      release()
    })
    return Effect.map(Effect.forkDaemon(Effect.interruptible(noted)), (fiber) => ({ fiber, release }))
  })

/** Keeps the run from being let go until the returned function is called. */
const holdOf = (run: RunContext): (() => void) => {
  let isHeld = true
  run.hold(1)
  return () => {
    if (isHeld) run.hold(-1)
    isHeld = false
  }
}

const tellingOf = (run: RunContext, gate: BlockedOn): Effect.Effect<void> | undefined => {
  const row = run.row(gate.path)
  if (!isForPerson(gate) || row?.gate?.notifiedAt !== null) return undefined
  return run.host.notifier({ run: run.record, gate, since: row.startedAt ?? run.now() })
}

/** On the row as it is now: it may have ended meanwhile. */
const note = (run: RunContext, { path }: BlockedOn): void => {
  const row = run.row(path)
  if (row?.status !== "waiting" || row.gate === null || run.silent !== undefined) return
  run.remark({ ...row, gate: { ...row.gate, notifiedAt: run.now() } })
}
