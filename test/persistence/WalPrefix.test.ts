import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import {
  commitTo,
  iterated,
  engineId,
  itemRecord,
  runId,
  runRecord,
  stepRecord
} from "../../src/testing/SampleRecords.ts"
import { copyCut, integrityCheck, walCuts } from "../../src/testing/WalPrefix.ts"
import { temporaryDatabase } from "./support.ts"

const open = (filename: string) =>
  Effect.map(Layer.build(SqlitePersistence.layer({ filename, walAutocheckpoint: 0 })), (services) =>
    Context.get(services, Persistence)
  )

describe("a loss of power", () => {
  it.scoped(
    "at any byte of the log leaves whole commits, in order, in a sound database",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryDatabase
        const store = yield* open(filename)
        const commits = 12
        const run = runRecord("A", { status: "running", owner: engineId("ann"), generation: 1 })
        const before = (yield* walCuts(filename)).length
        yield* store.create(run)
        for (let seq = 0; seq < commits; seq++) {
          const step = stepRecord(`/s${seq}`, { error: "x".repeat(3_000) })
          const item = itemRecord("/each", `i${seq}`)
          yield* store.commit(commitTo({ ...run, seq }, { _tag: "Step", step }, { _tag: "Item", item }, iterated(seq)))
        }
        const cuts = yield* walCuts(filename)
        const seen = new Set<number>()
        for (const [index, cut] of cuts.slice(before).entries()) {
          const copy = `${filename}-${index}.db`
          yield* copyCut(filename, cut, copy)
          expect(yield* integrityCheck(copy)).toEqual([])
          const found = yield* Effect.scoped(Effect.flatMap(open(copy), (it) => Effect.option(it.load(runId("A")))))
          if (found._tag === "None") {
            seen.add(-1)
            continue
          }
          const { journal } = found.value
          seen.add(journal.run.seq)
          expect(journal.steps.size).toBe(journal.run.seq)
          expect([...journal.items.values()].flatMap((items) => [...items]).length).toBe(journal.run.seq)
          expect(journal.run.seq).toBe(cut.commits - (cuts.at(-1)?.commits ?? 0) + commits)
        }
        expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: commits + 2 }, (_, n) => n - 1))
        expect(cuts.some((cut) => cut.torn)).toBe(true)
      }),
    // Each cut is a database that is opened and checked, with real syncs.
    120_000
  )
})
