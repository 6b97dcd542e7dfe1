/**
 * One transaction for many writers, with a savepoint for each, so that one that fails takes nobody with
 * it, unless what failed is the database itself.
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

export interface BatchResult {
  /** Of each writer, in order. */
  readonly exits: ReadonlyArray<Exit.Exit<unknown, unknown>>
  /** false: the only writer failed, and what it wrote is to be undone. */
  readonly keep: boolean
}

export function* runBatch(writers: ReadonlyArray<Writer<unknown, unknown>>): Operation<BatchResult> {
  const fences: Fences = new Map()
  const [only] = writers
  if (only !== undefined && writers.length === 1) {
    const exit = yield* attempt(only, fences)
    return { exits: [exit], keep: Exit.isSuccess(exit) }
  }
  const exits: Array<Exit.Exit<unknown, unknown>> = []
  for (const writer of writers) exits.push(yield* isolated(writer, fences))
  return { exits, keep: true }
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
