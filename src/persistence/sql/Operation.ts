/**
 * What a write does, apart from who executes it: a generator that yields statements and receives their rows.
 *
 * The SQLite writer runs a whole batch of these in one synchronous block; a driver that is asynchronous would run the
 * same generators one effect a statement.
 */
import { PersistenceError } from "../Persistence.ts"

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, unknown>>

export interface Statement {
  readonly sql: string
  readonly params: ReadonlyArray<SqlValue>
  /** Of a statement without rows: answer with one row, whose `changes` is how many rows it changed. */
  readonly counts?: true
}

export type Operation<A> = Generator<Statement, A, ReadonlyArray<Row>>

/** Thrown into an operation where its statement failed. `fatal`: the transaction is lost, not this statement alone. */
export class StatementFailed extends Error {
  readonly error: PersistenceError
  readonly fatal: boolean
  constructor(error: PersistenceError, fatal: boolean, cause: unknown) {
    super(error.message, { cause })
    this.error = error
    this.fatal = fatal
  }
}

export function* query(sql: string, ...params: ReadonlyArray<SqlValue>): Operation<ReadonlyArray<Row>> {
  return yield { sql, params }
}

export function* first(sql: string, ...params: ReadonlyArray<SqlValue>): Operation<Row | undefined> {
  const rows = yield { sql, params }
  return rows[0]
}

export const corrupt = (table: string, key: string, problem: string): PersistenceError =>
  new PersistenceError({ reason: "Corrupt", message: `table ${table}, row ${key}: ${problem}` })
