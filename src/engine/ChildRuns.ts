/**
 * The children of runs, as their parents' steps ask for them (spec/engine.md, "Child runs"): started, seen to, opened
 * again and cancelled in this engine and its store.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { PersistenceError, type PersistenceService } from "../persistence/Persistence.ts"
import { type EngineId, isEnded, type RunId, type RunRecord } from "../persistence/Records.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { Lookout } from "./Lookout.ts"
import { isAtRest } from "./Pause.ts"
import { reopenFailed } from "./Reopen.ts"
import { sendAlong } from "./Chain.ts"
import type { Residents } from "./Residents.ts"
import type { Children } from "./RunContext.ts"

export interface ChildRunsOptions {
  readonly id: EngineId
  readonly persistence: PersistenceService
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  readonly residents: Residents
  readonly lookout: Lookout
}

/** ms before the store is asked again. */
const retryDelay = 500

export const childRuns = (options: ChildRunsOptions): Children => {
  const { clock, lookout, persistence, residents } = options
  const now = () => clock.unsafeCurrentTimeMillis()
  const patiently = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E | PersistenceError>) =>
    untilAnswered(options, effect)
  /** Whether it has ended. */
  const take = (run: RunId) =>
    Effect.catchTags(
      Effect.as(
        Effect.suspend(() => residents.take(run, lookout.claim(run), false)),
        false
      ),
      { RunAlreadyOwned: () => Effect.succeed(false), RunAlreadyEnded: () => Effect.succeed(true) }
    )
  const stored = (child: RunId) => patiently(persistence.get(child))
  /** The newest message seen when a child's record was made: any later one reaches it once it is resident. */
  const seen = new WeakMap<RunRecord, number>()
  return {
    /** Of one that lives here, or has just ended here, the store need not be asked. */
    get: (child) =>
      Effect.suspend(() => {
        const known = residents.live(child) ?? residents.takeEnded(child)
        return known === undefined ? stored(child) : Effect.succeed(known)
      }),
    create: (child) => {
      seen.set(child, lookout.lastInbox)
      return [{ _tag: "Create", run: child }]
    },
    start: (child) => patiently(residents.beginChild(child, () => seen.get(child) === lookout.lastInbox)),
    ensure: (child) =>
      Effect.suspend(() => {
        if (residents.live(child) !== undefined) return Effect.succeed(false)
        return Effect.flatMap(stored(child), (it) => {
          if (isEnded(it.status)) return Effect.succeed(true)
          return mustRun(it, now()) ? patiently(take(child)) : Effect.succeed(false)
        })
      }),
    reopen: (child) => patiently(reopenChild(options, child)),
    send: (child, message) => {
      const sent = sendAlong(persistence, child, (id) => persistence.send(id, message, now()))
      return patiently(Effect.catchTag(Effect.asVoid(sent), "RunAlreadyEnded", () => Effect.void))
    },
    sendElsewhere: undefined,
    elsewhere: () => undefined
  }
}

/** A child that was let go is left alone until its time has come. */
const mustRun = (child: RunRecord, now: number): boolean =>
  child.owner !== null || !isAtRest(child) || (child.readyAt !== null && child.readyAt <= now)

/** Tries again while the store is in trouble that may clear; anything else is a broken invariant. */
const untilAnswered = <A, E extends { readonly _tag: string }>(
  options: ChildRunsOptions,
  effect: Effect.Effect<A, E | PersistenceError>
): Effect.Effect<A> =>
  Effect.catchAll(effect, (error): Effect.Effect<A> => {
    if (!(error instanceof PersistenceError) || !error.transient) return Effect.die(error)
    if (options.residents.isStopping) return Effect.interrupt
    return Effect.zipRight(options.deadlines.sleep(retryDelay), untilAnswered(options, effect))
  })

const reopenChild = ({ id, persistence, residents }: ChildRunsOptions, child: RunId) => {
  const opened = reopenFailed(persistence, id, child)
  return residents.take(child, opened, false).pipe(
    // Somebody else opened it meanwhile: its parent looks again.
    Effect.catchTags({
      RunAlreadyOwned: () => Effect.void,
      SeqConflict: () => Effect.void,
      RunNotEnded: () => Effect.void,
      StepNotFound: Effect.die,
      RunContinued: Effect.die
    })
  )
}
