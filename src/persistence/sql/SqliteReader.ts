/**
 * The connection that reads, of `@effect/sql`'s driver, and never waits inside SQLite.
 *
 * It is reserved once: the client's own way to a statement takes a lock and makes a span each time, three times what the
 * statement costs.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { PersistenceError } from "../Persistence.ts"
import type { Row, Statement } from "./Operation.ts"
import { errorOf, retryBusy } from "./SqliteFile.ts"
import type { Reader } from "./SqlPersistence.ts"

type Rows = ReadonlyArray<Row>

/** The driver dies where it cannot open a file; that becomes an error like any other. */
export const makeReader = (
  filename: string,
  busyTimeout: number
): Effect.Effect<Reader, PersistenceError, Scope.Scope> =>
  Effect.gen(function* () {
    const driver = yield* Layer.build(SqliteClient.layer({ filename, disableWAL: true, readonly: true }))
    const connection = yield* Context.get(driver, SqliteClient.SqliteClient).reserve
    yield* run(connection, { sql: "PRAGMA busy_timeout = 0", params: [] })
    const alone = yield* Effect.makeSemaphore(1)
    const read = <A>(effect: Effect.Effect<A, SqlError>) =>
      retryBusy(
        busyTimeout,
        Effect.mapError(effect, (error) => errorOf(filename, causeOf(error)))
      )
    const reader: Reader = {
      query: (statement) => read(run(connection, statement)),
      consistent: (statements) => read(alone.withPermits(1)(inOneMoment(connection, statements)))
    }
    return reader
  }).pipe(Effect.catchAllCause((cause) => Effect.fail(errorOf(filename, causeOf(Cause.squash(cause))))))

const run = (connection: Connection, { params, sql }: Statement): Effect.Effect<Rows, SqlError> =>
  connection.execute(sql, params, undefined)

const begin: Statement = { sql: "BEGIN", params: [] }
const end: Statement = { sql: "ROLLBACK", params: [] }

/** Of a read nothing is kept: it ends as a failed one does. After some errors SQLite has ended it by itself. */
const inOneMoment = (
  connection: Connection,
  statements: ReadonlyArray<Statement>
): Effect.Effect<ReadonlyArray<Rows>, SqlError> => {
  const read = Effect.forEach(statements, (statement) => run(connection, statement))
  const failed = (error: SqlError) => Effect.zipRight(Effect.ignore(run(connection, end)), Effect.fail(error))
  const ended = Effect.flatMap(Effect.catchAll(read, failed), (rows) => Effect.as(run(connection, end), rows))
  return Effect.uninterruptible(Effect.zipRight(run(connection, begin), ended))
}

/** The driver wraps what SQLite reported. */
const causeOf = (error: unknown): unknown =>
  error instanceof SqlError && error.cause !== undefined ? error.cause : error
