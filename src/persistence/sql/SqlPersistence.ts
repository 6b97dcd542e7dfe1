/**
 * The contract over SQL: writes go through the group commit, queries through two readers.
 */
import * as Effect from "effect/Effect"
import type * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Change, RunJournal } from "../Journal.ts"
import { apply, emptyJournal } from "../Journal.ts"
import type { ClaimReadyOptions, NewInbox, PersistenceService } from "../Persistence.ts"
import { Persistence, PersistenceError, type RunAlreadyExists, RunNotFound } from "../Persistence.ts"
import type { InboxMessage, ItemRecord, RunId, RunRecord, StepRecord } from "../Records.ts"
import { wakes } from "../Rules.ts"
import type { Dialect } from "./Dialect.ts"
import type { Fences } from "./Fences.ts"
import type { GroupCommit, Request } from "./GroupCommit.ts"
import { selectList } from "./ListStatement.ts"
import type { Operation, Row, SqlValue, Statement } from "./Operation.ts"
import {
  decodeDefinition,
  decodeEngine,
  decodeId,
  decodeInbox,
  decodeItem,
  decodeOutput,
  decodeReadyAt,
  decodeRun,
  decodeStep
} from "./Rows.ts"
import * as Sql from "./Statements.ts"
import * as Writes from "./Writes.ts"

/** Rows of one statement; busy databases are waited for. */
export interface Reader {
  readonly query: (statement: Statement) => Effect.Effect<ReadonlyArray<Row>, PersistenceError>
  /** The rows of each statement, all of one moment of the database. */
  readonly consistent: (
    statements: ReadonlyArray<Statement>
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<Row>>, PersistenceError>
}

export interface SqlBackend {
  readonly dialect: Dialect
  readonly writer: GroupCommit
  readonly reader: Reader
  /** For the records of a run, which its engine mostly has written just now. */
  readonly own: Reader
  readonly hints: PubSub.PubSub<void>
}

export const make = (backend: SqlBackend): PersistenceService =>
  Persistence.of({
    ...writes(backend),
    ...queries(backend),
    claimable: (options) => claimable(backend, options),
    changes: Stream.fromPubSub(backend.hints)
  })

type Names =
  | "create"
  | "createWith"
  | "createTree"
  | "commit"
  | "renewEngine"
  | "expireEngine"
  | "claim"
  | "claimReady"
  | "release"
  | "reopen"
type WriteNames = Names | "send" | "setDismissed" | "storeDefinition" | "prune" | "pruneDefinitions"

const writes = (backend: SqlBackend): Pick<PersistenceService, WriteNames> => {
  const { writer, hints } = backend
  const submit = <A, E>(request: Request<A, E>) => writer.submit(request)
  const hint = Effect.sync(() => hints.unsafeOffer(undefined))
  const waking = <A, E>(request: Request<A, E>) => Effect.zipLeft(submit(request), hint)
  /** Whether a message is a row turns out when it is written. */
  const committing = <E>(changes: ReadonlyArray<Change>, request: (told?: () => void) => Request<void, E>) => {
    if (!changes.some(wakes)) return submit(request())
    let isTold = false
    const hinted = Effect.suspend(() => (isTold ? hint : Effect.void))
    return Effect.zipLeft(submit(request(() => (isTold = true))), hinted)
  }
  return {
    commit: (commit) => {
      const { changes, run } = commit
      const creates = changes.flatMap((change) =>
        change._tag === "Create" || change._tag === "Continue" ? [change.run.id] : []
      )
      return committing(changes, (told) => ({ run, creates, write: (fences) => Writes.commit(fences, commit, told) }))
    },
    create: (run) => (run.owner === null ? waking : submit)(creating(run)),
    createTree: (runs) => {
      const write = (fences: Fences) => Writes.createTree(fences, runs)
      return waking({ run: runs[0]?.run.id, creates: runs.map(({ run }) => run.id), write })
    },
    createWith: (run, changes) => committing(changes, (told) => creating(run, changes, told)),
    renewEngine: (engine) => submit({ run: undefined, urgent: true, write: () => Writes.renewEngine(engine) }),
    expireEngine: (engine, lease) => submit({ run: undefined, write: () => Writes.expireEngine(engine, lease) }),
    claim: (run, options) => submit({ run, write: (fences) => Writes.claim(fences, run, options) }),
    claimReady: (options) => claimReady(backend, options),
    release: (options) => {
      const write = (fences: Fences) => Writes.release(fences, options)
      return (options.readyAt === null ? submit : waking)({ run: options.run, write })
    },
    reopen: (options) => submit({ run: options.run, write: (fences) => Writes.reopen(fences, options) }),
    send: (run, message, now) => {
      const write = (fences: Fences) => Writes.send(fences, run, message, now)
      return waking({ run, urgent: isUrgent(message), write })
    },
    setDismissed: (run, dismissed) => submit({ run, write: (fences) => Writes.setDismissed(fences, run, dismissed) }),
    storeDefinition: (definition, now) =>
      submit({ run: undefined, write: () => Writes.storeDefinition(definition, now) }),
    prune: (options) =>
      options.dryRun
        ? runWith(backend.reader, Writes.prunable(backend.dialect, options))
        : submit({ run: undefined, write: (fences) => Writes.prune(backend.dialect, fences, options) }),
    pruneDefinitions: (options) =>
      options.dryRun
        ? runWith(backend.reader, Writes.unnamedDefinitions(options))
        : submit({ run: undefined, write: () => Writes.pruneDefinitions(options) })
  }
}

/** Pauses and their ends alike, so that they stay in order. */
const isUrgent = ({ _tag }: InboxMessage): boolean => _tag === "Cancel" || _tag === "Pause" || _tag === "Unpause"

const creating = (
  run: RunRecord,
  changes?: ReadonlyArray<Change>,
  told?: () => void
): Request<void, RunAlreadyExists> => ({
  run: run.id,
  creates: [run.id],
  write: (fences) => Writes.create(fences, run, changes, told)
})

/** Asks the reader first: a watchdog that finds nothing must not hold up those who write. */
const claimReady = (
  { dialect, writer, reader }: SqlBackend,
  options: ClaimReadyOptions
): ReturnType<PersistenceService["claimReady"]> =>
  Effect.flatMap(runWith(reader, Writes.claimables(dialect, options)), (runs) =>
    runs.length === 0
      ? Effect.succeed([])
      : writer.submit({ run: undefined, write: (fences) => Writes.claimReady(dialect, fences, options) })
  )

const runWith = <A>(reader: Reader, operation: Operation<A>): Effect.Effect<A, PersistenceError> => {
  const step = (rows?: ReadonlyArray<Row>): Effect.Effect<A, PersistenceError> =>
    Effect.flatMap(
      decoded(() => operation.next(rows ?? [])),
      (next) => (next.done === true ? Effect.succeed(next.value) : Effect.flatMap(reader.query(next.value), step))
    )
  return Effect.suspend(() => step())
}

const claimable = (
  { dialect, reader }: SqlBackend,
  options: ClaimReadyOptions
): ReturnType<PersistenceService["claimable"]> =>
  Effect.gen(function* () {
    const ids = yield* runWith(reader, Writes.claimables(dialect, options))
    if (ids.length === 0) return []
    const rows = yield* reader.query({ sql: Sql.selectRuns(dialect), params: [JSON.stringify(ids)] })
    const runs = new Map((yield* decoded(() => rows.map(decodeRun))).map((run) => [run.id, run]))
    return ids.flatMap((id) => runs.get(id) ?? [])
  })

const queries = ({
  dialect,
  own,
  reader
}: SqlBackend): Omit<PersistenceService, WriteNames | "claimable" | "changes"> => {
  const by =
    (source: Reader) =>
    <A>(decode: (row: Row) => A, sql: string, ...params: ReadonlyArray<SqlValue>) =>
      Effect.flatMap(source.query({ sql, params }), (all) => decoded(() => all.map(decode)))
  const rows = by(reader)
  const ownRows = by(own)
  const run = (id: RunId) => Effect.flatMap(ownRows(decodeRun, Sql.selectRun, id), ([found]) => orNotFound(found, id))
  const steps = (id: RunId) => ownRows(decodeStep, Sql.selectSteps, id)
  const items = (id: RunId) => ownRows(decodeItem, Sql.selectItems, id)
  return {
    get: run,
    find: (prefix) =>
      Effect.flatMap(rows(decodeRun, Sql.selectRunsByPrefix, prefix, Sql.prefixEnd(prefix)), ([found, other]) =>
        orNotFound(prefix === "" || (other !== undefined && found?.id !== prefix) ? undefined : found, prefix)
      ),
    findByKey: (workflow, key) => Effect.map(rows(decodeRun, Sql.selectRunByKey, workflow, key), ([found]) => found),
    load: (id) =>
      Effect.flatMap(
        own.consistent(ofRun.map((sql) => ({ sql, params: [id] }))),
        ([runs = [], steps = [], items = [], inbox = []]) =>
          Effect.flatMap(orNotFound(runs[0], id), (run) =>
            decoded(() => ({
              journal: journalOf(decodeRun(run), steps.map(decodeStep), items.map(decodeItem)),
              inbox: inbox.map(decodeInbox)
            }))
          )
      ),
    steps,
    items,
    list: (filter) => {
      if (filter.status?.length === 0) return Effect.succeed([])
      const { sql, params } = selectList(dialect, filter)
      return rows(decodeRun, sql, ...params)
    },
    inbox: (engine, after) =>
      Effect.flatMap(reader.query({ sql: Sql.selectOwnedInbox, params: [after, engine] }), (all) =>
        decoded(() => newInbox(all, after))
      ),
    engines: rows(decodeEngine, Sql.selectEngines),
    definition: (key) => Effect.map(rows(decodeDefinition, Sql.selectDefinition, key), ([found]) => found),
    known: (runs) => rows(decodeId, Sql.selectKnown(dialect), JSON.stringify(runs)),
    namedOutputs: (names) => rows(decodeOutput, Sql.selectNamedOutputs(dialect), JSON.stringify(names)),
    nextReadyAt: (after) => Effect.map(rows(decodeReadyAt, Sql.selectNextReady, after), ([readyAt]) => readyAt)
  }
}

/** A decoder that finds a tampered row throws its error. */
const decoded = <A>(body: () => A): Effect.Effect<A, PersistenceError> => {
  try {
    return Effect.succeed(body())
  } catch (cause) {
    return cause instanceof PersistenceError ? Effect.fail(cause) : Effect.die(cause)
  }
}

/** No row of the inbox, but its newest id. */
const isMark = (row: Row): boolean => row["run"] === null

const newInbox = (all: ReadonlyArray<Row>, after: number): NewInbox => ({
  rows: all
    .filter((row) => !isMark(row))
    .map(decodeInbox)
    .sort((a, b) => a.id - b.id),
  last: Number(all.find(isMark)?.["id"] ?? after)
})

/** All of a run. */
const ofRun = [Sql.selectRun, Sql.selectSteps, Sql.selectItems, Sql.selectInbox]

const orNotFound = <A>(run: A | undefined, id: string): Effect.Effect<A, RunNotFound> =>
  run === undefined ? Effect.fail(new RunNotFound({ run: id })) : Effect.succeed(run)

const journalOf = (run: RunRecord, steps: ReadonlyArray<StepRecord>, items: ReadonlyArray<ItemRecord>): RunJournal => {
  const journal = emptyJournal(run)
  for (const step of steps) apply(journal, { _tag: "Step", step })
  for (const item of items) apply(journal, { _tag: "Item", item })
  return journal
}
