/**
 * A long-lived engine for a project: what `work` does.
 *
 * Owns: the life of the process, from signal to signal and from one database file to the next. Neighbours: `Engine` runs
 * runs, `WorkerRuns` says which, `WorkerLog` what is told of them.
 * - W1 Whatever ends the worker, its runs can be resumed: the engine is shut down before the process ends.
 * - W2 What may clear by itself is reported and tried again; the worker fails only where somebody has to see to it.
 * - W3 A database whose file is gone, or another one, is not worked on: what would be written to it is nowhere.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConfigLayerFailed, Project } from "../action/Project.ts"
import { shownPath } from "../action/ProjectFiles.ts"
import { RunContextProvider } from "../action/Resolvers.ts"
import { Engine } from "../engine/Engine.ts"
import { defaults, EngineConfig } from "../engine/EngineConfig.ts"
import { WorkflowFiles } from "../engine/interpreter/WorkflowFiles.ts"
import { SecretListener } from "../engine/SecretListener.ts"
import * as Triggers from "../engine/Triggers.ts"
import type { OutputStore } from "../persistence/OutputStore.ts"
import { Persistence, PersistenceError } from "../persistence/Persistence.ts"
import { CommandFailed } from "./CliError.ts"
import { ExitCode } from "./ExitCode.ts"
import { identityOf, untilReplaced, untilThere } from "./FileIdentity.ts"
import { guardProcess } from "./Guard.ts"
import { contextOf } from "./Home.ts"
import { hasColor, hideSecrets, inline, paintFor, writeError } from "./Output.ts"
import { databaseLayer, divertConsole, hooksLayer, limitLayer, loggerLayer } from "./Session.ts"
import { shutDownSignal, type StopSignal } from "./Signals.ts"
import { WaitingHooks } from "./WaitingHooks.ts"
import { WorkerLog } from "./WorkerLog.ts"
import { WorkerRuns } from "./WorkerRuns.ts"

export interface WorkerOptions {
  readonly project: Project
  readonly database: string
  /** Absent: as the configuration says. */
  readonly maxRuns: number | undefined
  /** End when there is nothing left to do; triggers are not followed then. */
  readonly once: boolean
  readonly onWaiting: string | undefined
  readonly json: boolean
}

type WorkerError = PersistenceError | ConfigLayerFailed | CommandFailed

/** Works until a signal, or with `once` until there is nothing left to do (W1). */
export const work = (options: WorkerOptions): Effect.Effect<ExitCode, WorkerError> =>
  Effect.gen(function* () {
    divertConsole()
    for (const problem of options.project.problems()) writeError(`warning: ${inline(problem)}`)
    const signal = yield* shutDownSignal
    yield* guardProcess({ leave: () => undefined, hint: () => "the next worker takes its runs up again" })
    return yield* sessions(options, signal)
  }).pipe(Effect.scoped, Effect.provide(loggerLayer))

/** How a time on one database file ended. */
type End = "stopped" | "drained" | "replaced"

/** One file after the other (W3). */
const sessions = (options: WorkerOptions, signal: Effect.Effect<StopSignal>): Effect.Effect<ExitCode, WorkerError> =>
  Effect.gen(function* () {
    const { database, once } = options
    for (;;) {
      const end = yield* untilUsable(session(options, signal), signal)
      if (end !== "replaced") return ExitCode.done
      const message = `the database ${shownPath(database)} was deleted or replaced: its runs went with it`
      if (once) return yield* new CommandFailed({ message })
      yield* Effect.logWarning(`${message}; the worker goes on when there is one`)
      const isThere = yield* Effect.raceFirst(Effect.as(untilThere(database), true), Effect.as(signal, false))
      if (!isThere) return ExitCode.done
    }
  })

/** Between two tries to open a database, ms. */
const retryDelay = 1_000

/** W2. */
const untilUsable = (
  session: Effect.Effect<End, WorkerError>,
  signal: Effect.Effect<StopSignal>
): Effect.Effect<End, WorkerError> =>
  Effect.catchIf(
    session,
    (error) => error instanceof PersistenceError && error.transient,
    (error) => {
      const paused = Effect.raceFirst(Effect.as(Effect.sleep(retryDelay), true), Effect.as(signal, false))
      const again = Effect.flatMap(
        paused,
        (goesOn): Effect.Effect<End, WorkerError> => (goesOn ? untilUsable(session, signal) : Effect.succeed("stopped"))
      )
      return Effect.zipRight(Effect.logWarning(`${error.message}; trying again`), again)
    }
  )

const session = (options: WorkerOptions, signal: Effect.Effect<StopSignal>): Effect.Effect<End, WorkerError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* Effect.raceFirst(open(options), Effect.as(signal, undefined))
      return opened === undefined
        ? "stopped"
        : yield* Effect.provide(working(options, opened.own, signal), opened.engine)
    })
  )

/** The engine, which takes up nothing yet. Its settings: the command's, the configuration's, then the defaults. */
const open = ({ database, maxRuns, onWaiting, project }: WorkerOptions) =>
  Effect.gen(function* () {
    const own = yield* project.own
    const { engine } = project.config
    const settings = {
      watchdogInterval,
      ...engine,
      maxConcurrentRuns: maxRuns ?? engine.maxConcurrentRuns ?? defaults.maxConcurrentRuns,
      watchdog: true
    }
    const layer = Engine.layer.pipe(
      Layer.provideMerge(hooksLayer({ project, database, onWaiting, approvesUnattended: true })),
      Layer.provide(EngineConfig.layerWith(settings)),
      Layer.provide(SecretListener.layerWith(hideSecrets)),
      Layer.provide(limitLayer(project)),
      Layer.provideMerge(databaseLayer(database))
    )
    return { own, engine: yield* Layer.build(layer) }
  })

/** How soon the runs of a worker that died are found by another on the same machine, ms. */
const watchdogInterval = 1_000

const working = (
  options: WorkerOptions,
  own: Context.Context<never>,
  signal: Effect.Effect<StopSignal>
): Effect.Effect<End, PersistenceError, Engine | Persistence | OutputStore | WaitingHooks | Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const { json, once, project } = options
    const identity = identityOf(options.database)
    const log = new WorkerLog(yield* Persistence, json, paintFor(hasColor(process.stdout)))
    // This engine's first.
    const events = yield* Effect.orDie(engine.events((event) => log.wants(event)))
    yield* Effect.forkScoped(Stream.runForEach(events, (event) => log.event(event)))
    log.note({
      _tag: "WorkerStarted",
      engine: engine.id,
      database: shownPath(options.database),
      home: shownPath(project.home),
      maxRuns: engine.settings.maxConcurrentRuns
    })
    yield* takeUp(options, own, log)
    const end = yield* firstOf<End, PersistenceError>([
      Effect.as(signal, "stopped" as const),
      Effect.as(untilReplaced(options.database, identity), "replaced" as const),
      Effect.catchAll(engine.broken, (error) =>
        identityOf(options.database) === identity ? Effect.fail(error) : Effect.succeed("replaced" as const)
      ),
      once ? Effect.as(engine.drained, "drained" as const) : Effect.never
    ])
    if (end === "drained") yield* Effect.zipRight((yield* WaitingHooks).done, log.settled)
    log.note({ _tag: "WorkerStopping", reason: end, runs: (yield* engine.stats).atWork })
    return end
  })

/** The first that ends, well or not: `raceAll` alone waits for a success. */
const firstOf = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>): Effect.Effect<A, E> =>
  Effect.flatten(Effect.raceAll(effects.map(Effect.exit)))

/** From here on runs are taken up, and with triggers created, until the scope closes. */
const takeUp = (options: WorkerOptions, own: Context.Context<never>, log: WorkerLog) =>
  Effect.gen(function* () {
    const { once, project } = options
    const persistence = yield* Persistence
    const runs = new WorkerRuns({
      project,
      own,
      persistence,
      leftAlone: ({ id, workflow }, missing) => log.note({ _tag: "RunLeftAlone", run: id, workflow, missing })
    })
    const files = WorkflowFiles.layerWith({
      scriptRoots: project.roots,
      placeOf: (run) => runs.placeOf(run),
      knows: (run) => runs.knows(run)
    })
    const layer = (once ? files : Layer.provideMerge(Triggers.layer, files)).pipe(
      Layer.provide(Layer.succeedContext(project.services(own, persistence))),
      Layer.provide(Layer.succeed(RunContextProvider, { contextOf: (workflow) => contextIn(project, workflow) }))
    )
    yield* Layer.build(layer)
  })

/** What a run that a trigger starts remembers, as one that a user starts does. */
const contextIn = (project: Project, workflow: string) =>
  Effect.sync(() => {
    const file = project.list().find(({ name }) => name === workflow)?.file
    return { values: file === undefined ? {} : contextOf({ project, file }, false), workingDirectory: process.cwd() }
  })
