/**
 * The room that a database file takes (docs/decisions/0006-room-in-the-file.md).
 *
 * Owns: the limit of the file's size, what is said when it is reached, and giving back what deleted rows left free.
 * Everything here is on the writer's connection, so it never runs within a batch of the group commit.
 */
import type Database from "better-sqlite3"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { shownBytes } from "../FileSize.ts"
import { PersistenceError } from "../Persistence.ts"

/** Far beyond what runs need that are pruned now and then; a disk is usually full before. */
export const defaultMaxBytes = 64 * 1024 ** 3

/** Pages moved in one transaction: 4 MB, a few milliseconds. */
export const pagesAtOnce = 1_000

export interface FileSize {
  /** Without the log beside it. */
  readonly bytes: number
  /** Those of them that hold nothing: used again before the file grows. */
  readonly free: number
  /** Whether they can be given back to the disk bit by bit; else only by rewriting the whole file. */
  readonly givesBack: boolean
}

const pragma = (database: Database.Database, name: string): number => Number(database.pragma(name, { simple: true }))

const pageSize = (database: Database.Database): number => pragma(database, "page_size")

/** `PRAGMA auto_vacuum`: pages can be moved when they are asked for. Counts for a file that is empty, or rewritten. */
export const incremental = 2

export const sizeOf = (database: Database.Database): FileSize => ({
  bytes: pragma(database, "page_count") * pageSize(database),
  free: pragma(database, "freelist_count") * pageSize(database),
  givesBack: pragma(database, "auto_vacuum") === incremental
})

/** For this connection alone: SQLite does not keep the limit in the file. A larger file is left, but does not grow. */
export const limitSize = (database: Database.Database, bytes: number): void => {
  database.pragma(`max_page_count = ${Math.max(1, Math.floor(bytes / pageSize(database)))}`)
}

/** Gives some free pages back, in a transaction of its own; bytes. */
export const giveBackSome = (database: Database.Database): number => {
  const before = pragma(database, "page_count")
  database.pragma(`incremental_vacuum(${pagesAtOnce})`)
  return (before - pragma(database, "page_count")) * pageSize(database)
}

/** Copies the log into the file, which then is as short as it can be; as far as those who read let it. */
export const checkpoint = (database: Database.Database): void => {
  database.pragma("wal_checkpoint(TRUNCATE)")
}

/** Which of the two is full, as SQLite does not say: the one with less room. */
export const fullError = (database: Database.Database, filename: string): PersistenceError => {
  const { bytes, free } = sizeOf(database)
  const limit = pragma(database, "max_page_count") * pageSize(database)
  const { bavail, bsize } = NodeFs.statfsSync(NodePath.dirname(filename))
  const room = bavail * bsize
  const problem =
    limit - bytes + free < room
      ? `it has reached its limit of ${shownBytes(limit)} (maxDatabaseBytes)`
      : `its disk is full (${shownBytes(room)} left)`
  return new PersistenceError({ reason: "Full", message: `${filename}: ${problem}; \`millrace prune\` makes room` })
}
