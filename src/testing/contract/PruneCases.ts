/** What a store gives up: pruned runs, and definitions that no run names; and what it says of kept outputs. */
import * as Effect from "effect/Effect"
import type { PersistenceService, PruneOptions } from "../../persistence/Persistence.ts"
import { noResult } from "../../persistence/Records.ts"
import { commitTo, itemRecord, runId, runRecord, stepRecord } from "../SampleRecords.ts"
import type { Case } from "./Case.ts"
import { below, createAll, listed, now, ownedRun, refusal, requirement, same } from "./Case.ts"

const ended = (endedAt: number) => ({ status: "completed", endedAt }) as const

/** The roots of one batch. */
const roots = (store: PersistenceService, options: Partial<PruneOptions>) =>
  Effect.map(store.prune({ limit: 10, dryRun: false, ...options }), (pruned) => pruned.map((it) => String(it.root)))

const hash = (digit: string): string => digit.repeat(64)

const naming = (path: string, outputFile: string) => ({
  _tag: "Step" as const,
  step: stepRecord(path, { result: { ...noResult, outputFile } })
})

export const pruneCases: ReadonlyArray<Case> = [
  requirement("old roots are deleted with all below them, and nothing else", function* (store) {
    yield* createAll(store, [
      runRecord("A", { ...ended(100), idempotencyKey: "key" }),
      below("B", "A", ended(300)),
      runRecord("C", ended(200)),
      runRecord("D", ended(100)),
      below("E", "D", { status: "needs_resume" }),
      runRecord("F", { createdAt: 1 })
    ])
    const options = { endedBefore: 200, limit: 10, dryRun: false }
    const expected = [{ root: runId("A"), children: [runId("B")] }]
    yield* same(yield* store.prune({ limit: 10, dryRun: false }), [])
    yield* same(yield* store.prune({ ...options, dryRun: true }), expected)
    yield* same((yield* listed(store, {})).length, 6)
    yield* same(yield* store.prune(options), expected)
    yield* same(yield* listed(store, {}), ["F", "E", "D", "C"])
    yield* same(yield* store.prune(options), [])
    yield* store.create(runRecord("A", { idempotencyKey: "key" }))
  }),

  requirement("the newest ended roots are kept, the oldest deleted first", function* (store) {
    const ids = ["A", "B", "C", "D", "E"]
    yield* createAll(
      store,
      ids.map((id) => runRecord(id, { status: "failed", endedAt: 1 }))
    )
    yield* createAll(store, [runRecord("F"), below("G", "E", { status: "failed", endedAt: 1 })])
    yield* same(yield* roots(store, { keep: 2, limit: 2 }), ["A", "B"])
    yield* same(yield* roots(store, { keep: 2, limit: 2 }), ["C"])
    yield* same(yield* roots(store, { keep: 2, limit: 2 }), [])
    yield* same(yield* listed(store, {}), ["G", "F", "E", "D"])
    yield* same(yield* roots(store, { keep: 0, limit: 9 }), ["D", "E"])
    yield* same(yield* listed(store, {}), ["F"])
  }),

  requirement("a deleted run leaves no rows to one that has its id later", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.send(run.id, { _tag: "Pause" }, now)
    const end = { status: "failed", endedAt: 1 } as const
    const item = itemRecord("/each", "1")
    yield* store.commit(
      commitTo(run, { _tag: "Step", step: stepRecord("/one") }, { _tag: "Item", item }, { _tag: "Run", patch: end })
    )
    yield* store.prune({ keep: 0, limit: 1, dryRun: false })
    yield* refusal(store.get(run.id), "RunNotFound")
    yield* store.create(run)
    const { journal, inbox } = yield* store.load(run.id)
    yield* same([journal.steps.size, journal.items.size, inbox.length], [0, 0, 0])
  }),

  requirement("the oldest goes first, and runs that fit both criteria go once", function* (store) {
    yield* createAll(store, [
      runRecord("A", ended(300)),
      runRecord("B", ended(100)),
      runRecord("C", ended(200)),
      runRecord("D", ended(400))
    ])
    yield* same(yield* roots(store, { endedBefore: 400, dryRun: true }), ["A", "B", "C"])
    yield* same(yield* roots(store, { endedBefore: 250, limit: 1 }), ["B"])
    yield* same(yield* roots(store, { endedBefore: 250, keep: 2, dryRun: true }), ["A", "C"])
    yield* same(yield* roots(store, { endedBefore: 250, keep: 2 }), ["A", "C"])
    yield* same(yield* listed(store, {}), ["D"])
  }),

  requirement("runs that ended after the prune began do not count", function* (store) {
    yield* createAll(store, [
      runRecord("A", ended(100)),
      runRecord("B", ended(300)),
      runRecord("C", ended(200)),
      runRecord("D", ended(301))
    ])
    yield* same(yield* roots(store, { keep: 1, asOf: 300, dryRun: true }), ["A", "B"])
    yield* same(yield* roots(store, { endedBefore: 1_000, asOf: 200 }), ["A", "C"])
    yield* same(yield* roots(store, { keep: 0, asOf: 299 }), [])
    yield* same(yield* listed(store, {}), ["D", "B"])
  }),

  requirement("a batch ends with the root that fills it, the runs below it counted", function* (store) {
    yield* createAll(store, [
      runRecord("A", ended(1)),
      ...["B", "C", "D"].map((id) => below(id, "A", ended(1))),
      runRecord("E", ended(2)),
      runRecord("F", ended(3))
    ])
    yield* same(yield* roots(store, { keep: 0, limit: 2 }), ["A"])
    yield* same(yield* roots(store, { endedBefore: 9, limit: 2 }), ["E", "F"])
    yield* same(yield* listed(store, {}), [])
  }),

  requirement("a definition that no run names is deleted when it has not been stored for long", function* (store) {
    const stored = (key: string, at: number) => store.storeDefinition({ key, json: `"${key}"` }, at)
    yield* Effect.all([stored("old", 10), stored("named", 5), stored("again", 1), stored("new", 100)])
    yield* stored("again", 100)
    yield* stored("again", 2)
    yield* createAll(store, [
      runRecord("A", { ...ended(1), definition: "named" }),
      runRecord("B", { definition: "code:x" })
    ])
    const deleted = (limit: number, dryRun = false) => store.pruneDefinitions({ storedBefore: 100, limit, dryRun })
    yield* same(yield* deleted(9, true), ["old"])
    yield* same(yield* store.definition("old"), { key: "old", json: '"old"' })
    yield* same(yield* deleted(9), ["old"])
    yield* same(yield* deleted(9), [])
    yield* store.prune({ keep: 0, limit: 9, dryRun: false })
    yield* same(yield* deleted(9), ["named"])
    yield* same(yield* store.definition("named"), undefined)
    yield* same(yield* store.definition("again"), { key: "again", json: '"again"' })
    yield* stored("named", 7)
    yield* Effect.all([stored("one", 3), stored("two", 4)])
    yield* same(yield* deleted(2), ["one", "two"])
    yield* same(yield* deleted(2), ["named"])
  }),

  requirement("it is known which runs there are", function* (store) {
    yield* createAll(store, [runRecord("A"), runRecord("B", ended(1))])
    const known = Effect.map(store.known(["C", "B", "A"].map(runId)), (runs) => [...runs].sort())
    yield* same(yield* known, ["A", "B"].map(runId))
    yield* store.prune({ keep: 0, limit: 1, dryRun: false })
    yield* same(yield* known, [runId("A")])
    yield* same(yield* store.known([]), [])
  }),

  requirement(
    "a kept output is named by the rows of runs, superseded ones too, until these are pruned",
    function* (store) {
      const run = yield* ownedRun(store, "A")
      const file = (name: string) => `/somewhere/runs.db-files/outputs/${name}`
      const named = Effect.map(store.namedOutputs(["a", "b", "c", "d"].map(hash)), (names) => [...names].sort())
      const old = naming("/old", file(hash("b")))
      yield* store.commit(
        commitTo(
          run,
          naming("/one", file(hash("a"))),
          naming("/two", file(hash("a"))),
          old,
          naming("/log", `/somewhere/runs.db-files/logs/${hash("c")}`),
          naming("/text", "outputs")
        )
      )
      yield* same(yield* named, [hash("a"), hash("b")])
      yield* store.commit(
        commitTo(run, naming("/one", file(hash("d"))), { ...old, step: { ...old.step, superseded: true } })
      )
      yield* same(yield* named, [hash("a"), hash("b"), hash("d")])
      yield* store.commit(commitTo(run, { _tag: "Step", step: stepRecord("/two") }))
      yield* same(yield* named, [hash("b"), hash("d")])
      yield* store.commit(commitTo(run, { _tag: "Run", patch: ended(1) }))
      yield* store.prune({ keep: 0, limit: 1, dryRun: false })
      yield* same(yield* named, [])
    }
  )
]
