/**
 * Which project and which database a command means.
 *
 * The project is the home folder around the user, around a workflow's file, or the one of `--home`; the database is
 * `millrace.db` in it, or the one of `--db`. A run remembers its project among its run-context values, so that it is
 * found again from wherever it is resumed.
 */
import { existsSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as Project from "../action/Project.ts"
import { isFolder } from "../action/FileKind.ts"
import { shownPath } from "../action/ProjectFiles.ts"
import type { RunRecord } from "../persistence/Records.ts"
import type { Texts } from "../workflow/Definition.ts"
import { CommandFailed, UsageError } from "./CliError.ts"
import { text } from "./CommandLine.ts"
import { quoted } from "./Output.ts"

export const onWaitingOption = text(
  "on-waiting",
  "CMD",
  "a shell command that is run when a run starts to wait for a person (default: the configuration's onWaiting)"
)

/** The options that name a project and a database. */
export const homeOption = text("home", "DIR", "the project's home folder (default: the nearest .millrace, or here)")
export const dbOption = text("db", "FILE", "the database (default: millrace.db in the home folder)")

export interface Places {
  readonly home: string | undefined
  readonly db: string | undefined
}

/** What a run remembers of where it was started; also variables of its steps. */
export const contextNames = {
  home: "millrace_home",
  workflow: "millrace_workflow",
  unattended: "millrace_unattended"
} as const

/** How actions and configurations are loaded: with this program's own `effect` and `millrace`. */
export const moduleOptions = {
  virtualModules: async () => (await import("./SharedModules.ts")).sharedModules
}

const optional = (home: string | undefined) => (home === undefined ? {} : { home })

/** The workflow that a user names by file or name. */
export const locate = (target: string, home: string | undefined) =>
  Project.locate(target, { ...optional(home), modules: moduleOptions })

/** The project around the user. */
export const openProject = (home: string | undefined) =>
  Project.open({ ...optional(home), from: process.cwd(), modules: moduleOptions })

/** The project that a run was started from, unless `--home` says otherwise. */
export const projectOf = (run: RunRecord, home: string | undefined) => {
  const recorded = homeOf(run)
  if (home !== undefined || recorded === undefined) return openProject(home)
  const siblings = siblingsOf(run)
  return Project.open({
    home: recorded,
    from: siblings ?? recorded,
    siblings: siblings !== undefined,
    modules: moduleOptions
  })
}

/** The home folder of the project that a run was started from, if it is (still) there. */
export const homeOf = (run: RunRecord): string | undefined => existing(run.settings.values[contextNames.home])

/** The folder of the workflow file that a run was started from: its siblings are workflows of the project too. */
export const siblingsOf = (run: RunRecord): string | undefined => {
  const file = existing(run.settings.values[contextNames.workflow])
  return file === undefined ? undefined : dirname(file)
}

const existing = (path: string | undefined): string | undefined =>
  path !== undefined && existsSync(path) ? path : undefined

/** What a run remembers of its project. */
export const contextOf = (target: Project.Target, unattended: boolean): Texts => ({
  [contextNames.home]: target.project.home,
  [contextNames.workflow]: target.file,
  [contextNames.unattended]: String(unattended)
})

const usualDatabase = (home: string): string => join(home, "millrace.db")

/** The database that is named, or the one in the home folder, whether it is there or not. */
export const databaseOf = (home: string, db: string | undefined): Effect.Effect<string, UsageError> => {
  if (db === "") return new UsageError({ message: "--db needs a file, not ''", hint: howToName })
  const file = db === undefined ? usualDatabase(home) : resolve(db)
  if (!isFolder(file)) return Effect.succeed(file)
  const inIt = `\`--db ${quoted(join(db ?? "millrace.db", "millrace.db"))}\` names a file in it`
  return new UsageError({ message: `the database ${shownPath(file)} is a folder, not a file`, hint: inIt })
}

const howToName = "`--db FILE` names one, `--home DIR` the folder that holds it"

/** Where the user's home folder is; its configuration, which questions do not need, is not loaded. */
export const homeHere = (home: string | undefined) => Project.findHome({ ...optional(home), from: process.cwd() })

/** A database that must be there already. */
export const existingDatabase = (places: Places) =>
  Effect.gen(function* () {
    const home = places.db === undefined ? yield* homeHere(places.home) : ""
    const file = yield* databaseOf(home, places.db)
    if (existsSync(file)) return file
    return yield* new CommandFailed({
      message: `there is no database ${shownPath(file)}`,
      hint: howToName
    })
  })

/** `--db …` for a command that shall find the database from where the user stands; nothing if it does anyway. */
export const dbArgument = (file: string): Effect.Effect<string> =>
  homeHere(undefined).pipe(
    Effect.map((home) => (usualDatabase(home) === file ? "" : ` --db ${quoted(shownPath(file))}`)),
    Effect.catchAll(() => Effect.succeed(` --db ${quoted(shownPath(file))}`))
  )
