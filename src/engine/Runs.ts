/**
 * Runs as they are shown to people and other programs: without their secrets (docs/guarantees.md, "Secrets").
 *
 * The store's own records hold the true values; what is read to be looked at is read here.
 */
import * as Effect from "effect/Effect"
import { Persistence, type PersistenceError, type RunFilter, type RunNotFound } from "../persistence/Persistence.ts"
import type { ItemRecord, RunId, RunRecord, StepRecord } from "../persistence/Records.ts"
import { shownItem, shownRun, shownStep } from "../persistence/Redaction.ts"
import { declaredSecrets, type Secrets } from "../workflow/Secrets.ts"
import { Definitions, isDefinitionKey } from "./interpreter/Definitions.ts"

type Read<A, E = never> = Effect.Effect<A, E | PersistenceError, Persistence>

/** By a full id, or any beginning of one that no other run has. */
export const find = (idOrPrefix: string): Read<RunRecord, RunNotFound> =>
  Effect.gen(function* () {
    const found = yield* (yield* Persistence).find(idOrPrefix)
    const [known = found] = yield* knowing([found])
    return shownRun(known)
  })

/** Newest first. */
export const list = (filter: RunFilter): Read<ReadonlyArray<RunRecord>> =>
  Effect.gen(function* () {
    const runs = yield* (yield* Persistence).list(filter)
    return (yield* knowing(runs)).map(shownRun)
  })

/** All rows of a run by position, superseded ones and decisions included. */
export const steps = (run: RunId): Read<ReadonlyArray<StepRecord>, RunNotFound> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const record = yield* recordOf(run)
    return (yield* persistence.steps(run)).map((step) => shownStep(record, step))
  })

/** The items of a run's fan-outs. */
export const items = (run: RunId): Read<ReadonlyArray<ItemRecord>, RunNotFound> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const record = yield* recordOf(run)
    return (yield* persistence.items(run)).map((item) => shownItem(record, item))
  })

const recordOf = (run: RunId): Read<RunRecord, RunNotFound> =>
  Effect.gen(function* () {
    const record = yield* (yield* Persistence).get(run)
    const [known = record] = yield* knowing([record])
    return known
  })

/**
 * True records that say what is secret in them. Those of runs that began before records did are told by their
 * definitions; where one cannot be read, no input is shown.
 */
export const knowing = (runs: ReadonlyArray<RunRecord>): Read<ReadonlyArray<RunRecord>> =>
  Effect.gen(function* () {
    const definitions = new Definitions(yield* Persistence)
    return yield* Effect.forEach(runs, (run) => {
      const isSilent = run.settings.secrets === undefined && isDefinitionKey(run.definition)
      if (!isSilent || Object.keys(run.inputs).length === 0) return Effect.succeed(run)
      return definitions.load(run.definition).pipe(
        Effect.map(({ inputs }) => withSecrets(run, declaredSecrets(inputs, run.inputs))),
        Effect.catchTag("UnreadableDefinition", () =>
          Effect.succeed(withSecrets(run, { inputs: Object.keys(run.inputs), values: [] }))
        )
      )
    })
  })

const withSecrets = (run: RunRecord, secrets: Secrets | undefined): RunRecord =>
  secrets === undefined ? run : { ...run, settings: { ...run.settings, secrets } }
