/**
 * All that differs between databases. The statements themselves (`Statements`) are the common subset of SQLite and
 * PostgreSQL, with `?` for a parameter.
 */
import type { PersistenceError } from "../Persistence.ts"

export interface Dialect {
  readonly name: string
  /** A transaction that holds the right to write from its start. */
  readonly begin: string
  /** Type and constraint of a key that rises with each row and is never used again. */
  readonly risingKey: string
  /** `column` is in a list that is passed as one parameter, the text of a JSON array. */
  readonly isIn: (column: string) => string
  /** A column that no index is to be chosen for. */
  readonly unindexed: (column: string) => string
  /** What an error of the driver means. */
  readonly reason: (cause: unknown) => PersistenceError["reason"] | undefined
}

export const sqlite: Dialect = {
  name: "sqlite",
  begin: "BEGIN IMMEDIATE",
  risingKey: "INTEGER PRIMARY KEY AUTOINCREMENT",
  isIn: (column) => `${column} IN (SELECT value FROM json_each(?))`,
  unindexed: (column) => `+${column}`,
  reason: (cause) => {
    const code = codeOf(cause)
    return code === undefined ? undefined : (reasons.find(([prefix]) => code.startsWith(prefix))?.[1] ?? "Other")
  }
}

const reasons: ReadonlyArray<readonly [string, PersistenceError["reason"]]> = [
  ["SQLITE_BUSY", "Busy"],
  ["SQLITE_LOCKED", "Busy"],
  ["SQLITE_FULL", "Full"],
  // The log's index could not grow.
  ["SQLITE_IOERR_SHMSIZE", "Full"],
  ["SQLITE_IOERR", "Io"],
  ["SQLITE_READONLY", "ReadOnly"],
  ["SQLITE_NOTADB", "NotADatabase"],
  ["SQLITE_CORRUPT", "Corrupt"]
]

const codeOf = (cause: unknown): string | undefined => {
  if (!(cause instanceof Error) || !("code" in cause)) return undefined
  return typeof cause.code === "string" && cause.code.startsWith("SQLITE_") ? cause.code : undefined
}
