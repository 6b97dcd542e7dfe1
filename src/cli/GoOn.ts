/**
 * Taking up a run that is in the store, with the project that it was started from.
 */
import * as Effect from "effect/Effect"
import type { Engine } from "../engine/Engine.ts"
import type { OutputStore } from "../persistence/OutputStore.ts"
import { Persistence } from "../persistence/Persistence.ts"
import type { RunId, RunRecord } from "../persistence/Records.ts"
import type { SqliteSpace } from "../persistence/SqlitePersistence.ts"
import type { AnyError } from "./CliError.ts"
import type { ExitCode } from "./ExitCode.ts"
import { follow, type FollowOptions } from "./Follow.ts"
import { contextNames, projectOf } from "./Home.ts"
import { engineLayer } from "./Session.ts"

export interface GoOnOptions {
  readonly json: boolean
  readonly yes?: boolean
  readonly home: string | undefined
  readonly database: string
  /** As in `engineLayer`. */
  readonly onWaiting?: string | undefined
}

/** Takes the run up by `begin` and sees it through. */
export const goOn = <E extends AnyError>(
  run: RunRecord,
  begin: Effect.Effect<void, E, Engine | Persistence>,
  options: GoOnOptions
): Effect.Effect<ExitCode, E | AnyError, Persistence | OutputStore | SqliteSpace> =>
  seeThrough(run, Effect.as(begin, run.id), { ...options, known: run })

/** Makes a fork of the run by `begin` and sees that through. */
export const goOnWithFork = <E extends AnyError>(
  run: RunRecord,
  begin: Effect.Effect<RunId, E, Engine | Persistence>,
  options: GoOnOptions
): Effect.Effect<ExitCode, E | AnyError, Persistence | OutputStore | SqliteSpace> =>
  seeThrough(run, begin, { ...options, forked: run })

const seeThrough = <E extends AnyError>(
  run: RunRecord,
  begin: Effect.Effect<RunId, E, Engine | Persistence>,
  options: GoOnOptions & Pick<FollowOptions, "known" | "forked">
): Effect.Effect<ExitCode, E | AnyError, Persistence | OutputStore | SqliteSpace> =>
  Effect.gen(function* () {
    const { database, home, json, onWaiting, ...shown } = options
    const project = yield* projectOf(run, home)
    const yes = options.yes === true || run.settings.values[contextNames.unattended] === "true"
    return yield* follow(begin, { ...shown, json, yes, database }).pipe(
      Effect.provide(engineLayer({ project, database, onWaiting: yes ? "" : onWaiting }))
    )
  })

/** The run at the top: going on with a child means going on with those above it. */
export const rootOf = (run: RunRecord) =>
  Effect.flatMap(Persistence, (persistence) => (run.root === run.id ? Effect.succeed(run) : persistence.get(run.root)))
