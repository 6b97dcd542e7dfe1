/**
 * Opening a database file, with every way in which that fails as a typed error.
 *
 * Done with better-sqlite3 itself: the driver of `@effect/sql` opens the file and sets WAL outside its error channel
 * and with a wait of 5 s that freezes the event loop (docs/decisions/0001-sqlite-writer.md).
 */
import Database from "better-sqlite3"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { fileError } from "../FileError.ts"
import { PersistenceError } from "../Persistence.ts"
import { sqlite } from "./Dialect.ts"
import { backOff } from "./GroupCommit.ts"
import { applicationId, migrate, newerVersion, version } from "./Migrations.ts"
import type { Operation } from "./Operation.ts"
import { fullError, incremental, limitSize } from "./SpaceOnDisk.ts"
import { checkLog } from "./StaleLog.ts"

export interface SqliteFileOptions {
  readonly filename: string
  readonly synchronous: "FULL" | "NORMAL" | "OFF"
  /** Pages of WAL after which it is copied into the database; 0: never. */
  readonly walAutocheckpoint: number
  /** The file grows no larger. */
  readonly maxBytes: number
  /** How long to wait for a file that others hold, ms. */
  readonly busyTimeout: number
}

/** A WAL that grew beyond this (bytes) is cut again once it has been copied. */
const walLimit = 64 * 1024 * 1024

/** The writer's connection to a file that is ours, in WAL mode, with tables of our version. */
export const open = (options: SqliteFileOptions): Effect.Effect<Database.Database, PersistenceError> =>
  retryBusy(
    options.busyTimeout,
    Effect.try({ try: () => openNow(options), catch: (cause) => errorOf(options.filename, cause) })
  )

/**
 * Tries again while others hold the database, without holding up the event loop. In real time: what holds it is another
 * process, whatever clock the engine runs on.
 */
export const retryBusy = <A, E>(
  timeout: number,
  effect: Effect.Effect<A, E | PersistenceError>
): Effect.Effect<A, E | PersistenceError> =>
  Effect.catchAll(effect, (error) => {
    const deadline = performance.now() + timeout
    const again = (error: E | PersistenceError, count: number): Effect.Effect<A, E | PersistenceError> =>
      isBusy(error) && performance.now() < deadline
        ? Effect.catchAll(Effect.zipRight(realTime(Effect.sleep(backOff(count))), effect), (next) =>
            again(next, count + 1)
          )
        : Effect.fail(error)
    return again(error, 1)
  })

/** Waits by the clock of this machine, whatever clock the effect is given. */
export const realTime = Effect.withClock(Clock.make())

const isBusy = (error: unknown): boolean => error instanceof PersistenceError && error.reason === "Busy"

const openNow = (options: SqliteFileOptions): Database.Database => {
  createFile(options.filename)
  checkLog(options.filename)
  const database = new Database(options.filename, { timeout: 0 })
  try {
    checkOwner(database, options.filename)
    // Before anything is in the file, or for when it is rewritten.
    database.pragma(`auto_vacuum = ${incremental}`)
    if (database.pragma("journal_mode = WAL", { simple: true }) !== "wal") {
      throw failure("Other", `${options.filename}: its file system cannot hold a database in WAL mode`)
    }
    database.pragma(`synchronous = ${options.synchronous}`)
    database.pragma(`wal_autocheckpoint = ${options.walAutocheckpoint}`)
    database.pragma(`journal_size_limit = ${walLimit}`)
    limitSize(database, options.maxBytes)
    migrateNow(database, options.filename)
    return database
  } catch (cause) {
    const error = sqlite.reason(cause) === "Full" ? fullError(database, options.filename) : cause
    database.close()
    throw error
  }
}

/**
 * Records may hold what nobody else should read, so what is created here is the user's own. Where writing is not
 * allowed SQLite would only say that it cannot open the file; the log beside it needs the folder.
 */
const createFile = (filename: string): void => {
  const { R_OK, W_OK } = NodeFs.constants
  const folder = NodePath.dirname(filename)
  NodeFs.accessSync(existingFolder(folder), W_OK)
  NodeFs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!NodeFs.existsSync(filename)) NodeFs.closeSync(NodeFs.openSync(filename, "a", 0o600))
  NodeFs.accessSync(filename, R_OK | W_OK)
}

const existingFolder = (folder: string): string =>
  NodeFs.existsSync(folder) ? folder : existingFolder(NodePath.dirname(folder))

const pragma = (database: Database.Database, name: string): number => Number(database.pragma(name, { simple: true }))

/** Before anything is written: a database of another program is left as it is. */
export const checkOwner = (database: Database.Database, filename: string): void => {
  const tables = Number(database.prepare("SELECT count(*) FROM sqlite_master").pluck().get())
  const owner = pragma(database, "application_id")
  if (owner !== applicationId && (owner !== 0 || tables > 0)) {
    throw failure("NotADatabase", `${filename} is a SQLite database of another program`)
  }
  const found = pragma(database, "user_version")
  if (owner === applicationId && found > version) throw newerVersion(filename, found)
}

const migrateNow = (database: Database.Database, filename: string): void => {
  database.exec(sqlite.begin)
  try {
    checkOwner(database, filename)
    const found = pragma(database, "user_version")
    if (found < version) {
      execute(database, migrate(sqlite, found))
      database.pragma(`application_id = ${applicationId}`)
      database.pragma(`user_version = ${version}`)
    }
    database.exec("COMMIT")
  } catch (cause) {
    if (database.inTransaction) database.exec("ROLLBACK")
    throw cause
  }
}

const execute = (database: Database.Database, operation: Operation<void>): void => {
  for (let next = operation.next(); next.done !== true; next = operation.next([])) database.exec(next.value.sql)
}

export const failure = (reason: PersistenceError["reason"], message: string): PersistenceError =>
  new PersistenceError({ reason, message })

/** What the driver or the file system reported. */
export const errorOf = (filename: string, cause: unknown): PersistenceError => {
  if (cause instanceof PersistenceError) return cause
  const reason = sqlite.reason(cause)
  if (reason === undefined) return fileError(cause)
  return failure(reason, `${filename}: ${cause instanceof Error ? cause.message : String(cause)}`)
}
