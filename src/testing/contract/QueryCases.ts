/** Queries, definitions and the deletion of old runs. */
import * as Effect from "effect/Effect"
import type { PersistenceService, RunFilter } from "../../persistence/Persistence.ts"
import type { RunRecord } from "../../persistence/Records.ts"
import { commitTo, itemRecord, runId, runRecord, stepPath, stepRecord } from "../SampleRecords.ts"
import type { Case } from "./Case.ts"
import { now, ownedRun, refusal, requirement, same } from "./Case.ts"

const createAll = (store: PersistenceService, runs: ReadonlyArray<RunRecord>) =>
  Effect.forEach(runs, (run) => store.create(run), { discard: true })

const listed = (store: PersistenceService, filter: Partial<RunFilter>) =>
  Effect.map(store.list({ limit: 100, ...filter }), (runs) => runs.map((run) => String(run.id)))

const below = (id: string, root: string, values: Partial<RunRecord> = {}) =>
  runRecord(id, { root: runId(root), parent: { run: runId(root), path: stepPath("/call") }, ...values })

export const queryCases: ReadonlyArray<Case> = [
  requirement("a run is found by its id or by a prefix that only it has", function* (store) {
    yield* createAll(store, [runRecord("01AB"), runRecord("01ABC"), runRecord("01B")])
    yield* same((yield* store.get(runId("01B"))).id, runId("01B"))
    yield* refusal(store.get(runId("01")), "RunNotFound")
    yield* same((yield* store.find("01AB")).id, runId("01AB"))
    yield* same((yield* store.find("01ABC")).id, runId("01ABC"))
    yield* same((yield* store.find("01B")).id, runId("01B"))
    yield* same((yield* refusal(store.find("01A"), "RunNotFound")).run, "01A")
    for (const prefix of ["", "0_", "01%", "2", "01ABCD"]) yield* refusal(store.find(prefix), "RunNotFound")
    yield* refusal(store.load(runId("none")), "RunNotFound")
  }),

  requirement("a run is found by workflow and idempotency key", function* (store) {
    const run = runRecord("A", { idempotencyKey: "key" })
    yield* store.create(run)
    yield* same(yield* store.findByKey(run.workflow, "key"), run)
    yield* same(yield* store.findByKey(run.workflow, "other"), undefined)
    yield* same(yield* store.findByKey("other", "key"), undefined)
  }),

  requirement("steps and items come in the order of their positions", function* (store) {
    const run = yield* ownedRun(store, "A")
    const steps = [stepRecord("/c", { position: 3 }), stepRecord("/a", { position: 10 }), stepRecord("/b")]
    const items = [
      itemRecord("/y", "1", { position: 2 }),
      itemRecord("/y", "2", { position: 1 }),
      itemRecord("/x", "3", { position: 9 })
    ]
    const changes = [
      ...steps.map((step) => ({ _tag: "Step", step }) as const),
      ...items.map((item) => ({ _tag: "Item", item }) as const)
    ]
    yield* store.commit(commitTo(run, ...changes))
    yield* same(
      (yield* store.steps(run.id)).map((step) => step.name),
      ["b", "c", "a"]
    )
    yield* same(
      (yield* store.items(run.id)).map((item) => item.key),
      ["3", "2", "1"]
    )
    yield* same([...(yield* store.load(run.id)).journal.steps.keys()], ["/b#1", "/c#1", "/a#1"])
    yield* same(yield* store.steps(runId("none")), [])
    yield* same(yield* store.items(runId("none")), [])
  }),

  requirement("runs are listed newest first, page by page", function* (store) {
    yield* createAll(
      store,
      ["A", "C", "E", "B", "D"].map((id) => runRecord(id))
    )
    yield* same(yield* listed(store, { limit: 2 }), ["E", "D"])
    yield* same(yield* listed(store, { limit: 2, before: runId("D") }), ["C", "B"])
    yield* same(yield* listed(store, { limit: 2, before: runId("B") }), ["A"])
    yield* same(yield* listed(store, { before: runId("A") }), [])
  }),

  requirement("lists are filtered", function* (store) {
    yield* createAll(store, [
      runRecord("A", { status: "failed", createdAt: 5, inputs: { path: "50%_off\\" } }),
      runRecord("B", { status: "completed", createdAt: 6, workflow: "other" }),
      below("C", "A", { status: "failed", createdAt: 7, dismissed: true }),
      below("D", "B", { createdAt: 8, inputs: { path: "500 off" } })
    ])
    yield* same(yield* listed(store, { status: ["failed", "pending"] }), ["D", "C", "A"])
    yield* same(yield* listed(store, { status: [] }), [])
    yield* same(yield* listed(store, { workflow: "other" }), ["B"])
    yield* same(yield* listed(store, { since: 6 }), ["D", "C", "B"])
    yield* same(yield* listed(store, { parent: null }), ["B", "A"])
    yield* same(yield* listed(store, { parent: runId("A") }), ["C"])
    yield* same(yield* listed(store, { dismissed: true }), ["C"])
    yield* same(yield* listed(store, { dismissed: false, status: ["failed"] }), ["A"])
    yield* same(yield* listed(store, { text: "50%" }), ["A"])
    yield* same(yield* listed(store, { text: "0%_OFF" }), ["A"])
    yield* same(yield* listed(store, { text: "path" }), ["D", "A"])
    yield* same(yield* listed(store, { text: "5_0" }), [])
  }),

  requirement("a run is dismissed and shown again, also when it has ended", function* (store) {
    const run = runRecord("A", { status: "completed" })
    yield* store.create(run)
    yield* store.setDismissed(run.id, true)
    yield* same(yield* store.get(run.id), { ...run, dismissed: true })
    yield* store.setDismissed(run.id, false)
    yield* same(yield* store.get(run.id), run)
    yield* refusal(store.setDismissed(runId("none"), true), "RunNotFound")
  }),

  requirement("a definition is stored once", function* (store) {
    yield* store.storeDefinition({ key: "sha256:1", json: "{}" })
    yield* store.storeDefinition({ key: "sha256:1", json: "[]" })
    yield* same(yield* store.definition("sha256:1"), { key: "sha256:1", json: "{}" })
    yield* same(yield* store.definition("sha256:2"), undefined)
  }),

  requirement("old roots are deleted with all below them, and nothing else", function* (store) {
    const ended = (endedAt: number) => ({ status: "completed", endedAt }) as const
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
    const roots = (limit: number, keep: number) =>
      Effect.map(store.prune({ keep, limit, dryRun: false }), (pruned) => pruned.map((it) => String(it.root)))
    yield* same(yield* roots(2, 2), ["A", "B"])
    yield* same(yield* roots(2, 2), ["C"])
    yield* same(yield* roots(2, 2), [])
    yield* same(yield* listed(store, {}), ["G", "F", "E", "D"])
    yield* same(yield* roots(9, 0), ["D", "E"])
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
  })
]
