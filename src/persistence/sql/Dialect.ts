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
  /** One of the values of a JSON object holds a text that is passed as a parameter, whatever the case of ASCII letters. */
  readonly anyValueHas: (column: string) => string
  /** The name of the kept output in the JSON of a step, or null (`OutputStore.outputName`). */
  readonly keptOutput: (column: string) => string
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
  anyValueHas: (column) => `EXISTS (SELECT 1 FROM json_each(${column}) WHERE instr(lower(value), lower(?)) > 0)`,
  keptOutput: (column) => {
    const file = `json_extract(${column}, '$.result.outputFile')`
    const isKept = `json_valid(${column}) AND ${file} GLOB '*/outputs/${"[0-9a-f]".repeat(64)}'`
    return `CASE WHEN ${isKept} THEN substr(${file}, -64) END`
  },
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
