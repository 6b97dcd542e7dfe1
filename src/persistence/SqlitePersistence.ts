/**
 * The contract on a SQLite file: durable when a write succeeds, shared by any number of processes.
 *
 * Two connections: better-sqlite3's own for the writes and the records of a run (`sql/SqliteWriter`), one of
 * `@effect/sql` for the other queries.
 * Neither ever waits inside SQLite: a busy database is waited for by Effects, so that the event loop goes on.
 */
import type { Database } from "better-sqlite3"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as NodePath from "node:path"
import { makeFiles } from "./OutputFiles.ts"
import { OutputStore } from "./OutputStore.ts"
import { Persistence, type PersistenceError } from "./Persistence.ts"
import { sqlite } from "./sql/Dialect.ts"
import * as GroupCommit from "./sql/GroupCommit.ts"
import { LogRoom } from "./sql/LogRoom.ts"
import { readableFile } from "./sql/ReadOnlyFile.ts"
import {
  checkpoint,
  defaultMaxBytes,
  type FileSize,
  fullError,
  giveBackSome,
  limitSize,
  sizeOf
} from "./sql/SpaceOnDisk.ts"
import { errorOf, failure, open, realTime, retryBusy } from "./sql/SqliteFile.ts"
import { makeReader } from "./sql/SqliteReader.ts"
import type { WriteCounts, WriteHooks } from "./sql/SqliteWriter.ts"
import { SqliteWriter } from "./sql/SqliteWriter.ts"
import * as SqlPersistence from "./sql/SqlPersistence.ts"

export type { FileSize } from "./sql/SpaceOnDisk.ts"

export interface SqliteOptions {
  /** Path of the database; its folder is created. Large outputs and logs go to `<filename>-files` beside it. */
  readonly filename: string
  /** What a commit survives. FULL, the default: loss of power; NORMAL: death of the process; OFF: nothing. */
  readonly synchronous?: "FULL" | "NORMAL" | "OFF"
  /** How often to look whether other processes wrote; 100 ms. */
  readonly pollInterval?: Duration.DurationInput
  /**
   * Bytes beyond which this process does not let the database grow: what needs more fails with `Full`, and goes on once
   * runs were pruned. The log and the files beside it do not count. 64 GB.
   */
  readonly maxDatabaseBytes?: number
  /** How long to wait for a database that other processes hold before failing with `Busy`; 30 s. */
  readonly busyTimeout?: Duration.DurationInput
  /** Writes in one transaction; 512. */
  readonly maxBatch?: number
  /**
   * Pages of WAL after which a commit copies them into the database; 4000 (16 MB): an index's page that each run changes
   * is then copied once for some hundred runs. For tests: 0, never.
   */
  readonly walAutocheckpoint?: number
  /** For crash tests. */
  readonly hooks?: WriteHooks
}

/** What was written since the layer was built. */
export class SqliteStats extends Context.Tag("millrace/SqliteStats")<
  SqliteStats,
  { readonly counts: Effect.Effect<WriteCounts> }
>() {}

/** The room that the database takes on its disk. */
export class SqliteSpace extends Context.Tag("millrace/SqliteSpace")<
  SqliteSpace,
  {
    readonly size: Effect.Effect<FileSize, PersistenceError>
    /**
     * Gives back what deleted rows left free, 4 MB in a transaction with room for other writers between two of them;
     * the bytes given back. None where `FileSize.givesBack` is not so.
     */
    readonly giveBack: Effect.Effect<number, PersistenceError>
    /**
     * Writes the whole file anew, without what is free; afterwards it gives back bit by bit. Other writers wait
     * meanwhile, and the disk needs room for a second one.
     */
    readonly rewrite: Effect.Effect<void, PersistenceError>
    /** Another `maxDatabaseBytes` from now on. */
    readonly limit: (bytes: number) => Effect.Effect<void, PersistenceError>
  }
>() {}

export type SqliteServices = Persistence | OutputStore | SqliteStats | SqliteSpace

/**
 * Opens or creates the database. Fails with `NotADatabase` for a file that is none, or one of another program's,
 * `NewerVersion` for one of a later release, `ReadOnly` where this process may not write, and `Busy` when others hold
 * it throughout `busyTimeout`.
 */
export const layer = (options: SqliteOptions): Layer.Layer<SqliteServices, PersistenceError> =>
  Layer.scopedContext(make(options))

const make = (options: SqliteOptions): Effect.Effect<Context.Context<SqliteServices>, PersistenceError, Scope.Scope> =>
  Effect.gen(function* () {
    const filename = yield* pathOf(options.filename)
    const busyTimeout = Duration.toMillis(options.busyTimeout ?? "30 seconds")
    const { synchronous = "FULL", walAutocheckpoint = defaultCheckpoint, maxBatch = 512, hooks = {} } = options
    const { maxDatabaseBytes: maxBytes = defaultMaxBytes } = options
    const database = yield* Effect.acquireRelease(
      open({ filename, synchronous, walAutocheckpoint, maxBytes, busyTimeout }),
      (it) => Effect.sync(() => it.close())
    )
    const log = synchronous === "FULL" ? yield* LogRoom.make(filename) : undefined
    const connection = new SqliteWriter(database, filename, hooks, log, busyTimeout)
    const reader = yield* makeReader(filename, busyTimeout)
    const hints = yield* PubSub.sliding<void>(1)
    yield* poll(connection, hints, Duration.toMillis(options.pollInterval ?? "100 millis"))
    const writer = yield* GroupCommit.make({ transact: connection.transact, busyTimeout, maxBatch })
    const files = makeFiles(filesOf(filename))
    return Context.make(
      Persistence,
      SqlPersistence.make({ dialect: sqlite, writer, reader, own: connection.reader, hints })
    ).pipe(
      Context.add(OutputStore, files),
      Context.add(SqliteStats, SqliteStats.of({ counts: Effect.sync(() => connection.stats) })),
      Context.add(SqliteSpace, makeSpace(database, filename, busyTimeout))
    )
  })

/** Pages of WAL between two checkpoints. */
export const defaultCheckpoint = 4_000

const filesOf = (filename: string): string => `${filename}-files`

const makeSpace = (database: Database, filename: string, busyTimeout: number): typeof SqliteSpace.Service => {
  const attempt = <A>(body: (database: Database) => A): Effect.Effect<A, PersistenceError> =>
    retryBusy(
      busyTimeout,
      Effect.try({
        try: () => body(database),
        catch: (cause) => (isFull(cause) ? fullError(database, filename) : errorOf(filename, cause))
      })
    )
  const giveBack = Effect.gen(function* () {
    let bytes = 0
    for (;;) {
      const some = yield* attempt(giveBackSome)
      if (some === 0) break
      bytes += some
      yield* realTime(Effect.sleep(giveBackPause))
    }
    if (bytes > 0) yield* attempt(checkpoint)
    return bytes
  })
  return SqliteSpace.of({
    size: attempt(sizeOf),
    giveBack,
    rewrite: Effect.zipRight(
      attempt((it) => it.exec("VACUUM")),
      attempt(checkpoint)
    ),
    limit: (bytes) => attempt((it) => limitSize(it, bytes))
  })
}

const isFull = (cause: unknown): boolean => sqlite.reason(cause) === "Full"

/** ms; longer than a transaction takes, so that those who wait for the database get it. */
const giveBackPause = 20

/**
 * A database that this process may not write, or wants to leave as it is: read-only files and folders, and databases of
 * older versions in them. Where SQLite cannot read it on the spot, a copy in a temporary folder is read. Every write
 * fails with `ReadOnly`; there are no hints of changes. Fails as `layer` does, and where the file cannot be read.
 */
export const layerReadOnly = (
  options: Pick<SqliteOptions, "filename" | "busyTimeout">
): Layer.Layer<Persistence | OutputStore, PersistenceError> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const filename = yield* pathOf(options.filename)
      const busyTimeout = Duration.toMillis(options.busyTimeout ?? "30 seconds")
      const reader = yield* makeReader(yield* readableFile(filename, busyTimeout), busyTimeout)
      const hints = yield* PubSub.sliding<void>(1)
      const refused = Effect.fail(failure("ReadOnly", `${filename} was opened only to be read`))
      const refuse = () => refused
      const writer = { submit: refuse }
      const { kept, logged, logs } = makeFiles(filesOf(filename))
      const refusing = { keep: refuse, logFile: refuse, plainFile: refuse, remove: refuse, discard: refuse }
      return Context.make(
        Persistence,
        SqlPersistence.make({ dialect: sqlite, writer, reader, own: reader, hints })
      ).pipe(Context.add(OutputStore, OutputStore.of({ kept, logged, logs, ...refusing })))
    })
  )

/** SQLite has names that are no paths; two connections cannot share what they name. */
const pathOf = (filename: string): Effect.Effect<string, PersistenceError> => {
  if (filename !== "" && filename !== ":memory:" && !filename.startsWith("file:")) {
    return Effect.sync(() => NodePath.resolve(filename))
  }
  const advice = filename.startsWith("file:")
    ? "give the path itself"
    : "give a path; a program that keeps its runs in memory provides MemoryPersistence.layer"
  return Effect.fail(failure("Other", `${JSON.stringify(filename)} is no path of a file: ${advice}`))
}

/** Two microseconds a time, between batches: on the writer's connection, where own writes do not count. */
const poll = (
  writer: SqliteWriter,
  hints: PubSub.PubSub<void>,
  interval: number
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => setInterval(() => writer.changedByOthers() && hints.unsafeOffer(undefined), interval)),
      (timer) => Effect.sync(() => clearInterval(timer))
    )
  )
