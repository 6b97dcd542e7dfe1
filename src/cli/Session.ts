/**
 * What a command needs that runs something: the store, and an engine for the one run it was given.
 */
import { Console as NodeConsole } from "node:console"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { Project } from "../action/Project.ts"
import { Engine } from "../engine/Engine.ts"
import { EngineConfig } from "../engine/EngineConfig.ts"
import { WorkflowFiles } from "../engine/interpreter/WorkflowFiles.ts"
import { Persistence, type RunNotFound } from "../persistence/Persistence.ts"
import type { RunRecord } from "../persistence/Records.ts"
import * as SqlitePersistence from "../persistence/SqlitePersistence.ts"
import { inline, writeError } from "./Output.ts"
import { UsageError } from "./CliError.ts"

let lastLogged = ""

/** Warnings go to the error stream, once each; those of steps are events and shown as such. */
const logger = Logger.replace(
  Logger.defaultLogger,
  Logger.make(({ annotations, logLevel, message }) => {
    if (LogLevel.lessThan(logLevel, LogLevel.Warning) || HashMap.has(annotations, "step")) return
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    if (text === lastLogged) return
    lastLogged = text
    writeError(`${LogLevel.greaterThanEqual(logLevel, LogLevel.Error) ? "error" : "warning"}: ${inline(text)}`)
  })
)

/** The store alone: for questions, and for messages to runs. */
export const storeLayer = (filename: string) => Layer.merge(SqlitePersistence.layer({ filename }), logger)

/** An engine beside a store that is provided; it looks after the runs that it is given, and no others. */
export const engineLayer = (project: Project) =>
  WorkflowFiles.layerWith({ scriptRoots: project.roots }).pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provide(project.layer),
    Layer.provide(EngineConfig.layerWith({ watchdog: false }))
  )

/** What actions print by `console` must not get between the lines of `--json`, nor into the tree. */
export const divertConsole = (): void => {
  globalThis.console = new NodeConsole(process.stderr, process.stderr)
}

/** A run by its id or the beginning of one. */
export const findRun = (wanted: string): Effect.Effect<RunRecord, UsageError | RunFault, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const id = wanted.toUpperCase()
    return yield* Effect.catchTag(persistence.find(id), "RunNotFound", () =>
      Effect.fail(
        new UsageError({
          message: `there is no run '${wanted}', or several begin like that`,
          hint: "`millrace runs` lists them"
        })
      )
    )
  })

type RunFault = Exclude<Effect.Effect.Error<ReturnType<(typeof Persistence.Service)["find"]>>, RunNotFound>
