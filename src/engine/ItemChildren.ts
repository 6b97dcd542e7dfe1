/**
 * An item's child run, as a fan-out sees it (spec/engine.md, "foreach", "Child runs").
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import type { ItemRecord, RunRecord, StepPath } from "../persistence/Records.ts"
import type { Branch } from "./Branch.ts"
import { awaitChild, type ChildRequest, childRecord, endChild, successInCode } from "./Child.ts"
import type { ItemEnd, ItemWork } from "./ItemRecords.ts"
import type { Attempt } from "./Step.ts"

/** A child run for each item; left: why there can be none for it, which fails the item. */
export const itemChildren = (
  attempt: Attempt,
  request: (item: ItemRecord) => Either.Either<Omit<ChildRequest, "path" | "key">, string>
): ItemWork => {
  const { path } = attempt.spec
  const { children } = attempt.run.host
  const recordOf = (item: ItemRecord): Either.Either<RunRecord, string> =>
    Either.map(request(item), (asked) => {
      const key = `${item.key}#${attempt.step.epoch}`
      const record = childRecord(attempt.run, { ...asked, path, key })
      return item.childRun === null ? record : { ...record, id: item.childRun }
    })
  return {
    dispatch: (item) => {
      if (item.childRun !== null) return { item, changes: [], started: Effect.void }
      return Either.match(recordOf(item), {
        onLeft: () => ({ item, changes: [], started: Effect.void }),
        onRight: (record) => ({
          item: { ...item, childRun: record.id },
          changes: children.create(record),
          started: children.start(record)
        })
      })
    },
    run: (item, branch) => {
      const { childRun: child, childEpoch: epoch } = item
      if (child === null) return Effect.succeed(refused(item, recordOf(item)))
      const dispatched = () => Either.getOrThrowWith(recordOf(item), (problem) => new Error(problem))
      const ended = awaitChild({ branch, path, child, epoch, dispatched })
      return Effect.map(ended, (record): ItemEnd => {
        const status = record.status === "completed" ? "completed" : "failed"
        return { ...endOf(record), status }
      })
    },
    stop: (item, branch) => stopItemChild(branch, path, item)
  }
}

const refused = ({ key }: ItemRecord, record: Either.Either<RunRecord, string>): ItemEnd => {
  if (Either.isRight(record)) throw new Error(`invariant: item ${key} was dispatched without a child`)
  return { status: "failed", error: record.left, output: null }
}

/** Ends the child of an item that is no longer wanted; one that had ended by itself meanwhile keeps its end. */
export const stopItemChild = (branch: Branch, path: StepPath, item: ItemRecord): Effect.Effect<ItemEnd | undefined> => {
  const { childRun: child, childEpoch: epoch } = item
  if (child === null) return Effect.succeed(undefined)
  return Effect.map(endChild({ branch, path, child, epoch }), (record) => {
    if (record === undefined) return undefined
    const status = record.status === "completed" || record.status === "failed" ? record.status : "cancelled"
    return { ...endOf(record), status }
  })
}

const endOf = (child: RunRecord): Omit<ItemEnd, "status"> => ({
  error: child.status === "completed" ? null : (child.error ?? `child run ${child.status}`),
  output: structuredOf(child),
  childRun: child.id,
  totals: child.totals
})

/** The last structured output of a child's body; the success of one in code. */
const structuredOf = ({ result }: RunRecord): unknown => {
  const success = successInCode(result)
  if (success !== undefined) return success.value
  return Predicate.hasProperty(result, "structured") ? result.structured : null
}
