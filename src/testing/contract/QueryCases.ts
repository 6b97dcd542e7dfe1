/** Queries, and what they find of definitions. */
import { commitTo, itemRecord, runId, runRecord, stepRecord } from "../SampleRecords.ts"
import type { Case } from "./Case.ts"
import { below, createAll, listed, ownedRun, refusal, requirement, same } from "./Case.ts"

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
  }),

  requirement(
    "lists are filtered by several statuses at once, each run once, newest first, page by page",
    function* (store) {
      const statuses = ["completed", "failed", "waiting", "completed", "failed", "cancelled"] as const
      yield* createAll(
        store,
        statuses.map((status, index) => runRecord(`R${index}`, { status, workflow: index % 2 === 0 ? "even" : "odd" }))
      )
      const status = ["failed", "completed", "failed", "waiting"] as const
      yield* same(yield* listed(store, { status }), ["R4", "R3", "R2", "R1", "R0"])
      yield* same(yield* listed(store, { status, limit: 2 }), ["R4", "R3"])
      yield* same(yield* listed(store, { status, limit: 2, before: runId("R3") }), ["R2", "R1"])
      yield* same(yield* listed(store, { status, workflow: "even", parent: null }), ["R4", "R2", "R0"])
      yield* same(yield* listed(store, { status, since: 1_001 }), [])
    }
  ),

  requirement("lists are filtered by what the inputs say, as it was given", function* (store) {
    const inputs = [
      { path: "50%_off\\" },
      { path: "500 off", note: 'say "hi"' },
      { path: "one\ntwo", name: "Ärger" },
      {},
      { tab: "a\tb", nothing: "" }
    ]
    yield* createAll(
      store,
      inputs.map((it, index) => runRecord(`R${index}`, { inputs: it }))
    )
    const found = (text: string) => listed(store, { text })
    yield* same(yield* found("50"), ["R1", "R0"])
    yield* same(yield* found("50%"), ["R0"])
    yield* same(yield* found("0%_OFF\\"), ["R0"])
    yield* same(yield* found("5_0"), [])
    yield* same(yield* found('"HI"'), ["R1"])
    yield* same(yield* found("one\ntwo"), ["R2"])
    yield* same(yield* found("a\tb"), ["R4"])
    yield* same(yield* found("Ärger"), ["R2"])
    yield* same(yield* found("ärger"), [])
    // Neither the names nor the JSON around the values, nor across two of them.
    for (const text of ["path", "note", '":"', "\\n", "\\t", '"}', "null", "off,", "[", 'hi"",'])
      yield* same(yield* found(text), [])
    yield* same(yield* listed(store, { text: "50", limit: 1 }), ["R1"])
    yield* same(yield* listed(store, { text: "50", before: runId("R1") }), ["R0"])
    yield* same(yield* listed(store, { text: "%".repeat(60_000) }), [])
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
    yield* store.storeDefinition({ key: "sha256:1", json: "{}" }, 1)
    yield* store.storeDefinition({ key: "sha256:1", json: "[]" }, 2)
    yield* same(yield* store.definition("sha256:1"), { key: "sha256:1", json: "{}" })
    yield* same(yield* store.definition("sha256:2"), undefined)
  })
]
