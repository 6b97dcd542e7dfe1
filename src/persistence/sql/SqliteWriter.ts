/**
 * The reserved connection that writes: a whole batch is one synchronous block of statements that were prepared once.
 *
 * Between two batches it answers what is asked of one run: it holds the pages that it has written, where those of
 * another connection are void after each commit (a run's record by its id: 5 µs instead of 13).
 */
import type Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { PersistenceError } from "../Persistence.ts"
import type { Exits, Writer } from "./Batch.ts"
import { runBatch } from "./Batch.ts"
import { sqlite } from "./Dialect.ts"
import { closed } from "./GroupCommit.ts"
import type { LogRoom } from "./LogRoom.ts"
import type { Operation, Row, Statement } from "./Operation.ts"
import { StatementFailed } from "./Operation.ts"
import { fullError } from "./SpaceOnDisk.ts"
import { errorOf, retryBusy } from "./SqliteFile.ts"
import type { Reader } from "./SqlPersistence.ts"

/** Counted since the database was opened. */
export interface WriteCounts {
  /** Committed, or rolled back. */
  readonly transactions: number
  /** BEGIN and COMMIT included. */
  readonly statements: number
  readonly writers: number
}

/** For crash tests: what throws here stops the write at that point. */
export interface WriteHooks {
  /** Before each statement; `index` counts from 0 in each transaction, BEGIN included. */
  readonly statement?: (sql: string, index: number) => void
  /** After each COMMIT, before anybody is told. */
  readonly committed?: () => void
}

const noRows: ReadonlyArray<Row> = []

export class SqliteWriter {
  private readonly statements = new Map<string, Database.Statement>()
  private readonly counts = { transactions: 0, statements: 0, writers: 0 }
  private index = 0
  private version: number

  constructor(
    private readonly database: Database.Database,
    private readonly filename: string,
    private readonly hooks: WriteHooks,
    /** Absent where commits are not synced one by one. */
    private readonly log: LogRoom | undefined,
    /** How long a query waits for a database that others hold, ms. */
    private readonly busyTimeout: number
  ) {
    this.version = this.readVersion()
  }

  get stats(): WriteCounts {
    return { ...this.counts }
  }

  readonly transact = (writers: ReadonlyArray<Writer<unknown, unknown>>): Effect.Effect<Exits, PersistenceError> =>
    this.attempt(() => this.transactNow(writers))

  /** The rows of several statements are of one moment. */
  readonly reader: Reader = {
    query: (statement) => this.read(() => this.select(statement)),
    consistent: (statements) => this.read(() => this.selectAll(statements))
  }

  private read<A>(body: () => A): Effect.Effect<A, PersistenceError> {
    return retryBusy(this.busyTimeout, this.attempt(body))
  }

  private attempt<A>(body: () => A): Effect.Effect<A, PersistenceError> {
    return Effect.suspend(() => {
      try {
        return Effect.succeed(body())
      } catch (cause) {
        return this.reported(cause)
      }
    })
  }

  private select({ params, sql }: Statement): ReadonlyArray<Row> {
    return rowsOf(this.prepare(sql), params)
  }

  private selectAll(statements: ReadonlyArray<Statement>): ReadonlyArray<ReadonlyArray<Row>> {
    this.prepare("BEGIN").run()
    try {
      return statements.map((statement) => this.select(statement))
    } finally {
      this.rollBack()
    }
  }

  /** What neither SQLite nor a row reported is a bug. */
  private reported(cause: unknown): Effect.Effect<never, PersistenceError> {
    if (cause instanceof StatementFailed) return Effect.fail(cause.error)
    if (!this.database.open) return Effect.fail(closed)
    const known = cause instanceof PersistenceError || sqlite.reason(cause) !== undefined
    return known ? Effect.fail(this.errorOf(cause)) : Effect.die(cause)
  }

  private errorOf(cause: unknown): PersistenceError {
    return sqlite.reason(cause) === "Full" && this.database.open
      ? fullError(this.database, this.filename)
      : errorOf(this.filename, cause)
  }

  /** Whether another connection has written since the last time; own writes do not count. */
  readonly changedByOthers = (): boolean => {
    const version = this.readVersion()
    const changed = version !== this.version
    this.version = version
    return changed
  }

  private readVersion(): number {
    return Number(this.database.pragma("data_version", { simple: true }))
  }

  private transactNow(writers: ReadonlyArray<Writer<unknown, unknown>>): Exits {
    this.counts.writers += writers.length
    return this.transaction(writers, false) ?? this.transaction(writers, true) ?? []
  }

  /** Undefined: nothing was written, each writer has to be apart. */
  private transaction(writers: ReadonlyArray<Writer<unknown, unknown>>, apart: boolean): Exits | undefined {
    this.index = 0
    this.hook(sqlite.begin)
    this.execute({ sql: sqlite.begin, params: [] })
    this.counts.transactions += 1
    try {
      const result = this.run(runBatch(writers, apart))
      const keep = result._tag === "Written" && result.keep
      const end = keep ? "COMMIT" : "ROLLBACK"
      if (keep) this.log?.extend()
      this.hook(end)
      this.execute({ sql: end, params: [] })
      if (keep) this.hooks.committed?.()
      return result._tag === "Written" ? result.exits : undefined
    } catch (cause) {
      this.rollBack()
      throw cause
    }
  }

  /** After a COMMIT that failed the connection is still in its transaction; after a full disk it may not be. */
  private rollBack(): void {
    if (this.database.open && this.database.inTransaction) this.database.exec("ROLLBACK")
  }

  private run<A>(operation: Operation<A>): A {
    let next = operation.next()
    while (next.done !== true) next = this.advance(operation, next.value)
    return next.value
  }

  private advance<A>(operation: Operation<A>, statement: Statement): IteratorResult<Statement, A> {
    let rows: ReadonlyArray<Row>
    this.hook(statement.sql)
    try {
      rows = this.execute(statement)
    } catch (cause) {
      return operation.throw(this.failed(cause))
    }
    return operation.next(rows)
  }

  private hook(sql: string): void {
    this.hooks.statement?.(sql, this.index++)
  }

  private execute({ sql, params, counts }: Statement): ReadonlyArray<Row> {
    this.counts.statements += 1
    const statement = this.prepare(sql)
    if (statement.reader) return rowsOf(statement, params)
    const { changes } = statement.run(params)
    return counts === true ? [{ changes }] : noRows
  }

  private prepare(sql: string): Database.Statement {
    const known = this.statements.get(sql)
    if (known !== undefined) return known
    const statement = this.database.prepare(sql)
    this.statements.set(sql, statement)
    return statement
  }

  /**
   * A constraint is the statement's own failure; what concerns the file, or ended the transaction, is everybody's.
   * What SQLite did not report (a value that it cannot take) is its writer's defect.
   */
  private failed(cause: unknown): unknown {
    const reason = sqlite.reason(cause)
    if (reason === undefined) return cause
    const own = reason === "Other" && this.database.inTransaction
    return new StatementFailed(this.errorOf(cause), !own, cause)
  }
}

// SAFETY: without raw or pluck mode every row is an object of its columns.
const rowsOf = (statement: Database.Statement, params: Statement["params"]) =>
  statement.all(params) as ReadonlyArray<Row>
