/**
 * A database that this process may not write, found for reading.
 *
 * SQLite reads a file in WAL mode only beside the index of its log: the one that is there, or one that it makes. Where
 * the folder is read-only and there is none, or where the tables are of an older version, a copy is read instead, in a
 * temporary folder. There the log is taken in and the tables are brought up to date.
 */
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import * as NodeOs from "node:os"
import * as NodePath from "node:path"
import type { PersistenceError } from "../Persistence.ts"
import { defaultMaxBytes } from "./SpaceOnDisk.ts"
import { checkOwner, errorOf, failure, open, retryBusy } from "./SqliteFile.ts"
import { checkLog } from "./StaleLog.ts"
import { version } from "./Migrations.ts"

/** The file to read: the database itself, or a copy that is deleted with the scope. */
export const readableFile = (
  filename: string,
  busyTimeout: number
): Effect.Effect<string, PersistenceError, Scope.Scope> =>
  Effect.flatMap(
    retryBusy(
      busyTimeout,
      attempted(filename, () => isReadable(filename))
    ),
    (readable) => (readable ? Effect.succeed(filename) : readableCopy(filename, busyTimeout))
  )

const attempted = <A>(filename: string, body: () => A): Effect.Effect<A, PersistenceError> =>
  Effect.try({ try: body, catch: (cause) => errorOf(filename, cause) })

/** Whether the file can be read where it is. Fails for one that is not ours, or cannot be read at all. */
const isReadable = (filename: string): boolean => {
  checkAccess(filename)
  checkLog(filename)
  let database: Database.Database | undefined
  try {
    database = new Database(filename, { readonly: true, fileMustExist: true, timeout: 0 })
    checkOwner(database, filename)
    return Number(database.pragma("user_version", { simple: true })) === version
  } catch (cause) {
    if (isForWantOfIndex(cause)) return false
    throw cause
  } finally {
    database?.close()
  }
}

const checkAccess = (filename: string): void => {
  if (NodeFs.statSync(filename).isDirectory()) throw failure("Other", `${filename} is a directory`)
  try {
    NodeFs.accessSync(filename, NodeFs.constants.R_OK)
  } catch (cause) {
    const code = codeOf(cause)
    if (code !== "EACCES" && code !== "EPERM") throw cause
    throw failure("ReadOnly", `${filename} cannot be read: it is not yours (${code})`)
  }
}

const isForWantOfIndex = (cause: unknown): boolean => /^SQLITE_(CANTOPEN|READONLY)/.test(codeOf(cause))

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : ""

const readableCopy = (filename: string, busyTimeout: number): Effect.Effect<string, PersistenceError, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder(filename)
    const copy = NodePath.join(folder, NodePath.basename(filename))
    yield* retryBusy(busyTimeout, copyWhole(filename, copy))
    const options = { filename: copy, synchronous: "OFF", walAutocheckpoint: 1_000 } as const
    yield* open({ ...options, maxBytes: defaultMaxBytes, busyTimeout }).pipe(
      Effect.map((database) => database.close()),
      Effect.mapError(({ message, reason }) => failure(reason, message.replaceAll(copy, filename)))
    )
    return copy
  })

const temporaryFolder = (filename: string): Effect.Effect<string, PersistenceError, Scope.Scope> =>
  Effect.acquireRelease(
    attempted(filename, () => NodeFs.mkdtempSync(NodePath.join(NodeOs.tmpdir(), "millrace-copy-"))),
    (folder) => Effect.promise(() => NodeFs.promises.rm(folder, { recursive: true, force: true }))
  )

/** The database, its log, and the journal of a file that is not in WAL mode. */
const parts = ["", "-wal", "-journal"]

/** Busy if somebody else, who may, writes meanwhile: the parts would not belong together. */
const copyWhole = (filename: string, copy: string): Effect.Effect<void, PersistenceError> =>
  Effect.tryPromise({
    try: async () => {
      const before = fingerprint(filename)
      for (const part of parts) {
        await NodeFs.promises.rm(copy + part, { force: true })
        if (!NodeFs.existsSync(filename + part)) continue
        await NodeFs.promises.copyFile(filename + part, copy + part, NodeFs.constants.COPYFILE_FICLONE)
        await NodeFs.promises.chmod(copy + part, 0o600)
      }
      if (fingerprint(filename) !== before) throw failure("Busy", `${filename} is being written`)
    },
    catch: (cause) => errorOf(filename, cause)
  })

const fingerprint = (filename: string): string =>
  parts
    .map((part) => NodeFs.statSync(filename + part, { bigint: true, throwIfNoEntry: false }))
    .map((stat) => (stat === undefined ? "" : `${stat.ino} ${stat.size} ${stat.mtimeNs}`))
    .join()
