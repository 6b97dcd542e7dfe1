/**
 * What a command needs that runs something: the store, and an engine for the one run it was given.
 */
import { Console as NodeConsole } from "node:console"
import { existsSync } from "node:fs"
import { Writable } from "node:stream"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { Project } from "../action/Project.ts"
import { Engine } from "../engine/Engine.ts"
import { EngineConfig } from "../engine/EngineConfig.ts"
import * as Runs from "../engine/Runs.ts"
import { SecretListener } from "../engine/SecretListener.ts"
import { WorkflowFiles } from "../engine/interpreter/WorkflowFiles.ts"
import { Persistence, type PersistenceError } from "../persistence/Persistence.ts"
import { RunId, type RunRecord } from "../persistence/Records.ts"
import * as SqlitePersistence from "../persistence/SqlitePersistence.ts"
import { hasColor, hideSecrets, inline, writeError } from "./Output.ts"
import { CommandFailed, UsageError } from "./CliError.ts"
import { WaitingHooks } from "./WaitingHooks.ts"

/** The last warning, and when it was shown. */
let lastLogged = { text: "", at: 0 }

/** How long a warning that comes again and again is not shown again, ms. */
const sameFor = 60_000

/** Warnings go to the error stream, repeated ones now and then; those of steps are events and shown as such. */
export const loggerLayer = Logger.replace(
  Logger.defaultLogger,
  Logger.make(({ annotations, logLevel, message }) => {
    if (LogLevel.lessThan(logLevel, LogLevel.Warning) || HashMap.has(annotations, "step")) return
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    const now = performance.now()
    if (text === lastLogged.text && now - lastLogged.at < sameFor) return
    lastLogged = { text, at: now }
    writeError(`${LogLevel.greaterThanEqual(logLevel, LogLevel.Error) ? "error" : "warning"}: ${inline(text)}`)
  })
)

/** The store alone: for messages to runs. What is to be written to must not be read-only. */
export const storeLayer = (filename: string) => Layer.merge(databaseLayer(filename), loggerLayer)

/** The same, where warnings are seen to. */
export const databaseLayer = (filename: string) =>
  Layer.mapError(SqlitePersistence.layer({ filename }), (error) => withAdvice(error, filename))

/** The store for questions: it may be read-only. */
export const questionLayer = (filename: string) =>
  Layer.merge(
    Layer.catchAll(SqlitePersistence.layer({ filename }), (error) =>
      error.reason === "ReadOnly" ? SqlitePersistence.layerReadOnly({ filename }) : Layer.fail(error)
    ),
    loggerLayer
  )

const withAdvice = (error: PersistenceError, filename: string): PersistenceError | CommandFailed => {
  if (error.reason !== "ReadOnly") return error
  const hint = existsSync(filename)
    ? "`runs`, `show`, `logs` and `graph --run` read it as it is; to go on with its runs, make the file and its folder " +
      "writable, or copy it, with the folder `…-files` beside it, and name the copy with `--db FILE`"
    : "`--db FILE` puts the database elsewhere"
  return new CommandFailed({ message: error.message, hint })
}

export interface EngineLayerOptions {
  readonly project: Project
  readonly database: string
  /** In place of the configuration's `onWaiting`; empty: nobody is told. */
  readonly onWaiting: string | undefined
}

/** An engine beside a store that is provided; it looks after the runs that it is given, and no others. */
export const engineLayer = ({ database, onWaiting, project }: EngineLayerOptions) =>
  WorkflowFiles.layerWith({ scriptRoots: project.roots }).pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(hooksLayer({ project, database, onWaiting, approvesUnattended: false })),
    Layer.provide(project.layer),
    Layer.provide(EngineConfig.layerWith({ ...project.config.engine, watchdog: false })),
    Layer.provide(SecretListener.layerWith(hideSecrets)),
    Layer.provide(limitLayer(project))
  )

/** The limit of the database's size that the project says, if it does. */
export const limitLayer = ({ config: { maxDatabaseBytes } }: Project) =>
  Layer.effectDiscard(
    Effect.flatMap(SqlitePersistence.SqliteSpace, (space) =>
      maxDatabaseBytes === undefined ? Effect.void : space.limit(maxDatabaseBytes)
    )
  )

/** An engine that knows no program: it records what became of a run, and runs none. */
export const bareEngineLayer = Engine.layer.pipe(Layer.provide(EngineConfig.layerWith({ watchdog: false })))

/** Tells people of gates, and approves those of unattended runs where nobody else does. */
export const hooksLayer = ({
  approvesUnattended,
  database,
  onWaiting,
  project
}: EngineLayerOptions & { readonly approvesUnattended: boolean }) =>
  WaitingHooks.layer({ command: onWaiting ?? project.config.onWaiting, project, database, approvesUnattended })

/** What actions print by `console` must not get between the lines of `--json`, nor into the tree. */
export const divertConsole = (): void => {
  // A console writes each of its messages at once, and whole.
  const stderr = new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      writeError(text.replace(/\n$/, ""))
      done()
    }
  })
  globalThis.console = new NodeConsole({ stdout: stderr, stderr, colorMode: hasColor(process.stderr) })
}

/** A run by its id or the beginning of one; from now on no message tells its secrets. */
export const findRun = (wanted: string): Effect.Effect<RunRecord, UsageError | PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const id = wanted.toUpperCase()
    const found = yield* Effect.catchTag(persistence.find(id), "RunNotFound", () =>
      Effect.flatMap(beginningWith(id), (like) => Effect.fail(notFound(wanted, like)))
    )
    const [run = found] = yield* Runs.knowing([found])
    hideSecrets(run.settings.secrets?.values ?? [])
    return run
  })

/** So many runs are named or counted, of those that begin alike. */
const maxListed = 1_000

/** The newest first. They are the first before what follows them all, however many newer runs there are. */
const beginningWith = (id: string): Effect.Effect<ReadonlyArray<RunRecord>, PersistenceError, Persistence> =>
  Effect.gen(function* () {
    if (id === "") return []
    const persistence = yield* Persistence
    const runs = yield* persistence.list({ before: RunId.make(`${id}~`), limit: maxListed })
    return runs.filter((run) => run.id.startsWith(id))
  })

const howToList = "`millrace runs` lists them"

const notFound = (wanted: string, like: ReadonlyArray<RunRecord>): UsageError => {
  if (like.length < 2) return new UsageError({ message: `there is no run '${wanted}'`, hint: howToList })
  const named = like.slice(0, 3).map(({ id }) => id)
  const more = like.length > named.length ? ", …" : ""
  return new UsageError({
    message: `${like.length} runs begin with '${wanted}'`,
    hint: `${named.join(", ")}${more}; ${howToList}`
  })
}
