/**
 * One transaction for many writers, of whom one that fails takes nobody with it, unless what failed is the database
 * itself. Hardly ever does one fail: so all write as one, and only where one has failed is that undone and done again
 * with a savepoint for each, which keeps a copy of every page that the next writer changes.
 */
import * as Exit from "effect/Exit"
import { PersistenceError } from "../Persistence.ts"
import type { RunId } from "../Records.ts"
import type { Fences } from "./Fences.ts"
import type { Operation, Statement } from "./Operation.ts"
import { StatementFailed } from "./Operation.ts"

export interface Writer<A, E> {
  /** The run it is about, if it is about one. */
  readonly run: RunId | undefined
  readonly write: (fences: Fences) => Operation<Exit.Exit<A, E | PersistenceError>>
}

/** What each writer of a batch comes to, in order. */
export type Exits = ReadonlyArray<Exit.Exit<unknown, unknown>>

export type BatchResult =
  /** `keep`: false where the only one failed, and what it wrote is to be undone. */
  | { readonly _tag: "Written"; readonly exits: Exits; readonly keep: boolean }
  /** One of several failed: all that was written is to be undone, and the batch done again with each apart. */
  | { readonly _tag: "Again" }

export function* runBatch(writers: ReadonlyArray<Writer<unknown, unknown>>, apart: boolean): Operation<BatchResult> {
  const fences: Fences = new Map()
  const exits: Array<Exit.Exit<unknown, unknown>> = []
  for (const writer of writers) {
    const exit = yield* apart ? isolated(writer, fences) : attempt(writer, fences)
    if (!apart && Exit.isFailure(exit)) {
      return writers.length === 1 ? { _tag: "Written", exits: [exit], keep: false } : { _tag: "Again" }
    }
    exits.push(exit)
  }
  return { _tag: "Written", exits, keep: true }
}

const savepoint: Statement = { sql: "SAVEPOINT writer", params: [] }
const rollback: Statement = { sql: "ROLLBACK TO writer", params: [] }
const release: Statement = { sql: "RELEASE writer", params: [] }

function* isolated(writer: Writer<unknown, unknown>, fences: Fences): Operation<Exit.Exit<unknown, unknown>> {
  yield savepoint
  const exit = yield* attempt(writer, fences)
  if (Exit.isFailure(exit)) {
    yield rollback
    fences.clear()
  }
  yield release
  return exit
}

/** A statement that fails is its writer's failure, a bug is its writer's defect; a lost transaction is everybody's. */
function* attempt(writer: Writer<unknown, unknown>, fences: Fences): Operation<Exit.Exit<unknown, unknown>> {
  try {
    return yield* writer.write(fences)
  } catch (cause) {
    if (cause instanceof StatementFailed) {
      if (cause.fatal) throw cause
      return Exit.fail(cause.error)
    }
    return cause instanceof PersistenceError ? Exit.fail(cause) : Exit.die(cause)
  }
}
