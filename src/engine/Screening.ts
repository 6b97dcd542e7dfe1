/**
 * Looking at runs before they are claimed: a source may take a run's definition for its own, and yet lack what that
 * names (spec/engine.md, "Durability"; K2).
 *
 * - K4 A run that no source here knows how to run is left to others, and looked at again after a while: what it needs
 *   may have come.
 */
import * as Effect from "effect/Effect"
import type { PersistenceError } from "../persistence/Persistence.ts"
import type { RunId, RunRecord } from "../persistence/Records.ts"
import type { ProgramSource } from "./Program.ts"

/** How long a run that was refused is not looked at, ms. */
const refusedFor = 5_000

export class Screening {
  /** Until when a run is not looked at again. */
  readonly #refused = new Map<RunId, number>()

  constructor(private readonly sources: ReadonlySet<ProgramSource>) {}

  /** Whether a source wants to see runs before they are claimed. */
  get isNeeded(): boolean {
    return [...this.sources].some((source) => source.knows !== undefined)
  }

  /** The runs that are not to be looked at now. */
  refused(now: number): ReadonlyArray<RunId> {
    for (const [run, until] of this.#refused) if (until <= now) this.#refused.delete(run)
    return [...this.#refused.keys()]
  }

  /** Those of the runs that a source here can run. */
  choose(runs: ReadonlyArray<RunRecord>, now: number): Effect.Effect<ReadonlyArray<RunId>, PersistenceError> {
    const known = Effect.filter(runs, (run) =>
      Effect.tap(this.isKnown(run), (isKnown) =>
        Effect.sync(() => {
          if (!isKnown) this.#refused.set(run.id, now + refusedFor)
        })
      )
    )
    return Effect.map(known, (chosen) => chosen.map(({ id }) => id))
  }

  isKnown(run: RunRecord): Effect.Effect<boolean, PersistenceError> {
    return Effect.suspend(() => {
      const source = [...this.sources].find((source) => source.accepts(run))
      if (source === undefined) return Effect.succeed(false)
      return source.knows?.(run) ?? Effect.succeed(true)
    })
  }
}
