/**
 * Taking up a run that is in the store, with the project that it was started from.
 */
import * as Effect from "effect/Effect"
import { Engine } from "../engine/Engine.ts"
import type { OutputStore } from "../persistence/OutputStore.ts"
import { Persistence } from "../persistence/Persistence.ts"
import type { RunId, RunRecord } from "../persistence/Records.ts"
import type { SqliteSpace } from "../persistence/SqlitePersistence.ts"
import { type AnyError, RunOfProgram } from "./CliError.ts"
import { ExitCode } from "./ExitCode.ts"
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
  /** False where a run may be taken whose workflow is not known here: all that is left to do is to end it. */
  readonly needsWorkflow?: boolean
}

/** Takes the run up by `begin` and sees it through; `RunOfProgram` where that is for a program of its own. */
export const goOn = <E extends AnyError>(
  run: RunRecord,
  begin: Effect.Effect<void, E, Engine | Persistence>,
  options: GoOnOptions
): Effect.Effect<ExitCode, E | AnyError, Persistence | OutputStore | SqliteSpace> =>
  seeThrough(
    run,
    Effect.zipRight(options.needsWorkflow === false ? Effect.void : knownHere(run), Effect.as(begin, run.id)),
    { ...options, known: run }
  )

/** Taken up here, a run of a workflow in code would only be parked. */
const knownHere = (run: RunRecord): Effect.Effect<void, RunOfProgram, Engine> =>
  Effect.flatMap(Engine, (engine) =>
    Effect.flatMap(engine.accepts(run), (isKnown) =>
      isKnown ? Effect.void : Effect.fail(new RunOfProgram({ run: run.id, workflow: run.workflow }))
    )
  )

/**
 * Says where a run goes on that does not do so here: in the process that runs it (`owned` says so), nowhere, since that
 * was so fast that the run has ended, or in the program that has its workflow.
 */
export const orElsewhere =
  (say: (text: string) => void, owned: string) =>
  <E extends AnyError, R>(going: Effect.Effect<ExitCode, E, R>): Effect.Effect<ExitCode, E, R> =>
    Effect.catchIf(going, isElsewhere, ({ _tag, message }) =>
      Effect.sync(() => {
        say(_tag === "RunAlreadyOwned" ? owned : message)
        return ExitCode.done
      })
    )

const isElsewhere = ({ _tag }: AnyError): boolean =>
  _tag === "RunAlreadyOwned" || _tag === "RunAlreadyEnded" || _tag === "RunOfProgram"

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
    const { database, home, json, needsWorkflow: _, onWaiting, ...shown } = options
    const project = yield* projectOf(run, home)
    const yes = options.yes === true || run.settings.values[contextNames.unattended] === "true"
    return yield* follow(begin, { ...shown, json, yes, database }).pipe(
      Effect.provide(engineLayer({ project, database, onWaiting: yes ? "" : onWaiting }))
    )
  })

/** The run at the top: going on with a child means going on with those above it. */
export const rootOf = (run: RunRecord) =>
  Effect.flatMap(Persistence, (persistence) => (run.root === run.id ? Effect.succeed(run) : persistence.get(run.root)))
