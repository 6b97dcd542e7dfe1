/** I7: who owns a run, who may take it, and how it is let go. */
import * as Effect from "effect/Effect"
import type { PersistenceService } from "../../persistence/Persistence.ts"
import type { RunRecord } from "../../persistence/Records.ts"
import { commitTo, engineRecord, runId, runRecord, stepRecord } from "../SampleRecords.ts"
import type { Case } from "./Case.ts"
import { ann, ben, now, ownedRun, refusal, requirement, same } from "./Case.ts"

const everyone = { engine: ben, now, limit: 100 }

const ownership = (run: RunRecord) => [run.owner, run.generation, run.recoveries, run.readyAt]

const claimed = (store: PersistenceService, options: Partial<Parameters<PersistenceService["claimReady"]>[0]> = {}) =>
  Effect.map(store.claimReady({ ...everyone, ...options }), (claims) => claims.map((claim) => String(claim.run)))

export const claimCases: ReadonlyArray<Case> = [
  requirement("a free run is claimed under a new generation", function* (store) {
    const run = runRecord("A", { generation: 3, recoveries: 2, readyAt: 5 })
    yield* store.create(run)
    yield* same(yield* store.claim(run.id, { engine: ann, now }), { run: run.id, generation: 4 })
    yield* same(ownership(yield* store.get(run.id)), [ann, 4, 2, null])
  }),

  requirement("one's own run is claimed again unchanged", function* (store) {
    const run = yield* ownedRun(store, "A", { generation: 3 })
    yield* store.send(run.id, { _tag: "Pause" }, now)
    yield* same(yield* store.claim(run.id, { engine: ann, now: 99_999 }), { run: run.id, generation: 3 })
    yield* same(ownership(yield* store.get(run.id)), [ann, 3, 0, null])
  }),

  requirement("a run whose owner's lease holds is refused", function* (store) {
    const run = yield* ownedRun(store, "A")
    const refused = yield* refusal(store.claim(run.id, { engine: ben, now: 19_999 }), "RunAlreadyOwned")
    yield* same([refused.run, refused.owner, refused.leaseUntil], [run.id, ann, 20_000])
    yield* same(yield* store.get(run.id), run)
  }),

  requirement("a run whose owner's lease expired is taken, and counted as a recovery", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* same(yield* store.claim(run.id, { engine: ben, now: 20_000 }), { run: run.id, generation: 2 })
    yield* same(ownership(yield* store.get(run.id)), [ben, 2, 1, null])
  }),

  requirement("a run whose owner has no row is taken", function* (store) {
    const run = runRecord("A", { owner: ann, generation: 1 })
    yield* store.create(run)
    yield* same(yield* store.claim(run.id, { engine: ben, now }), { run: run.id, generation: 2 })
  }),

  requirement("an ended run is not claimed, a parked one only by its id", function* (store) {
    yield* store.create(runRecord("A", { status: "cancelled" }))
    const refused = yield* refusal(store.claim(runId("A"), { engine: ann, now }), "RunAlreadyEnded")
    yield* same(refused.status, "cancelled")
    yield* store.create(runRecord("B", { status: "needs_resume" }))
    yield* same(yield* claimed(store), [])
    yield* same((yield* store.claim(runId("B"), { engine: ann, now })).generation, 1)
    yield* refusal(store.claim(runId("none"), { engine: ann, now }), "RunNotFound")
  }),

  requirement("of engines that claim a run at once exactly one has it", function* (store) {
    yield* Effect.forEach(["ann", "ben"], (id) => store.renewEngine(engineRecord(id, 20_000)))
    yield* store.create(runRecord("A"))
    const claims = yield* Effect.forEach(
      [ann, ben],
      (engine) => Effect.either(store.claim(runId("A"), { engine, now })),
      {
        concurrency: "unbounded"
      }
    )
    yield* same(claims.map((it) => it._tag).sort(), ["Left", "Right"])
    yield* same((yield* store.get(runId("A"))).generation, 1)
  }),

  requirement("claimReady takes runs whose time has come, the longest waiting first", function* (store) {
    for (const [id, readyAt] of [
      ["A", 9_000],
      ["B", now],
      ["C", now + 1],
      ["D", 8_000],
      ["E", null]
    ] as const) {
      yield* store.create(runRecord(id, { readyAt, status: "waiting" }))
    }
    yield* same(yield* claimed(store, { limit: 2 }), ["D", "A"])
    yield* same(yield* claimed(store), ["B"])
    yield* same(yield* claimed(store), [])
    yield* same((yield* store.get(runId("A"))).owner, ben)
  }),

  requirement("claimReady takes only runs of the workflows and of the chain it is asked for", function* (store) {
    yield* store.create(runRecord("A", { workflow: "one" }))
    yield* store.create(runRecord("B", { workflow: "two" }))
    yield* store.create(
      runRecord("C", { workflow: "one", root: runId("A"), parent: { run: runId("A"), path: stepRecord("/c").path } })
    )
    yield* same(yield* claimed(store, { workflows: [] }), [])
    yield* same(yield* claimed(store, { workflows: ["three"] }), [])
    yield* same(yield* claimed(store, { workflows: ["three"], definitions: ["wf"] }), [])
    yield* same(yield* claimed(store, { workflows: ["two", "three"] }), ["B"])
    yield* same(yield* claimed(store, { root: runId("A") }), ["A", "C"])
  }),

  requirement("claimReady takes runs by their definition: one key, or all keys with a beginning", function* (store) {
    yield* store.create(runRecord("A", { definition: "wf:1" }))
    yield* store.create(runRecord("B", { definition: "code:order@1" }))
    yield* store.create(runRecord("C", { definition: "code:order@10" }))
    yield* store.create(runRecord("D", { definition: "other", workflow: "named" }))
    yield* same(yield* claimed(store, { definitions: [] }), [])
    yield* same(yield* claimed(store, { definitions: ["wf"] }), [])
    yield* same(yield* claimed(store, { definitions: ["code:order@1"], workflows: ["named"] }), ["B", "D"])
    yield* same(yield* claimed(store, { definitions: ["wf:", "none"] }), ["A"])
  }),

  requirement("claimReady takes the runs of lost owners, never one's own, ended or parked ones", function* (store) {
    yield* store.renewEngine(engineRecord("lost", now))
    yield* store.renewEngine(engineRecord("ben", now))
    yield* store.renewEngine(engineRecord("ann", now + 1))
    const owners = { A: "lost", B: "gone", C: "ben", D: "ann" }
    for (const [id, owner] of Object.entries(owners)) {
      yield* store.create(runRecord(id, { status: "running", owner: engineRecord(owner, 0).id, generation: 1 }))
    }
    yield* store.create(runRecord("E", { status: "failed" }))
    yield* store.create(runRecord("F", { status: "needs_resume", readyAt: null }))
    yield* store.send(runId("F"), { _tag: "Unpause" }, 1)
    yield* store.create(runRecord("G", { status: "cancelling", readyAt: 1 }))
    yield* same(yield* claimed(store), ["A", "B", "G"])
    yield* same((yield* store.get(runId("B"))).recoveries, 1)
    yield* same((yield* store.get(runId("G"))).recoveries, 0)
  }),

  requirement("claimReady takes only the runs that it is given, and not those that are excepted", function* (store) {
    for (const id of ["A", "B", "C", "D"]) yield* store.create(runRecord(id))
    yield* store.create(runRecord("E", { status: "completed" }))
    yield* same(yield* claimed(store, { only: [] }), [])
    yield* same(yield* claimed(store, { only: [runId("C"), runId("E"), runId("none")] }), ["C"])
    yield* same(yield* claimed(store, { only: [runId("A"), runId("B")], except: [runId("A")] }), ["B"])
    yield* same(yield* claimed(store, { except: [runId("A")] }), ["D"])
    yield* same(yield* claimed(store, { except: [] }), ["A"])
  }),

  requirement("claimable gives the runs that claimReady would take, in its order, and claims none", function* (store) {
    yield* store.renewEngine(engineRecord("lost", now))
    yield* store.renewEngine(engineRecord("ann", now + 1))
    const running = { status: "running", generation: 1, readyAt: null } as const
    yield* store.create(runRecord("A", { readyAt: now }))
    yield* store.create(runRecord("B", { readyAt: 9_000, definition: "code:b@1" }))
    yield* store.create(runRecord("C", { ...running, owner: engineRecord("lost", 0).id }))
    yield* store.create(runRecord("D", { ...running, owner: ann }))
    yield* store.create(runRecord("E", { readyAt: now + 1, status: "waiting" }))
    yield* store.create(runRecord("F", { status: "needs_resume" }))
    const records = yield* store.claimable(everyone)
    yield* same(
      records.map((run) => String(run.id)),
      ["C", "B", "A"]
    )
    yield* same(records[0], yield* store.get(runId("C")))
    yield* same((yield* store.claimable({ ...everyone, limit: 2 })).length, 2)
    yield* same((yield* store.claimable({ ...everyone, definitions: ["code:"] }))[0]?.id, runId("B"))
    yield* same(yield* store.claimable({ ...everyone, only: [runId("D")] }), [])
    yield* same(yield* claimed(store, { except: [runId("B")] }), ["C", "A"])
  }),

  requirement("engines that ask at once share what is ready", function* (store) {
    yield* Effect.forEach(["ann", "ben"], (id) => store.renewEngine(engineRecord(id, 20_000)))
    const ids = Array.from({ length: 30 }, (_, n) => `R${100 + n}`)
    yield* Effect.forEach(ids, (id) => store.create(runRecord(id)), { concurrency: "unbounded" })
    const shares = yield* Effect.forEach([ann, ben, ann, ben], (engine) => claimed(store, { engine, limit: 10 }), {
      concurrency: "unbounded"
    })
    yield* same(shares.flat().sort(), ids)
  }),

  requirement("a run is let go until its time, and only by its owner", function* (store) {
    const run = yield* ownedRun(store, "A", { status: "waiting" })
    const options = { run: run.id, generation: 1, readyAt: 12_000, lastInbox: null }
    yield* refusal(store.release({ ...options, generation: 0 }), "LeaseLost")
    yield* refusal(store.release({ ...options, run: runId("none") }), "LeaseLost")
    yield* same(yield* store.release(options), true)
    yield* same(ownership(yield* store.get(run.id)), [null, 1, 0, 12_000])
    yield* refusal(store.release(options), "LeaseLost")
  }),

  requirement("I5: a run with an unseen message is not let go", function* (store) {
    const run = yield* ownedRun(store, "A", { status: "waiting" })
    const options = { run: run.id, generation: 1, readyAt: null }
    const first = yield* store.send(run.id, { _tag: "Pause" }, now)
    yield* same(yield* store.release({ ...options, lastInbox: null }), false)
    yield* same((yield* store.get(run.id)).owner, ann)
    const second = yield* store.send(run.id, { _tag: "Unpause" }, now)
    yield* same(yield* store.release({ ...options, lastInbox: first.id }), false)
    yield* store.commit(commitTo(run, { _tag: "Consume", ids: [first.id] }))
    yield* same(yield* store.release({ ...options, lastInbox: second.id }), true)
    yield* same(ownership(yield* store.get(run.id)), [null, 1, 0, null])
  }),

  requirement("an engine's row is renewed, and its lease ended where it is still the one seen", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.renewEngine({ ...engineRecord("ann", 30_000), pid: 2 })
    yield* same(yield* store.engines, [{ ...engineRecord("ann", 30_000), pid: 2 }])
    yield* store.expireEngine(ann, 20_000)
    yield* refusal(store.claim(run.id, { engine: ben, now }), "RunAlreadyOwned")
    yield* store.expireEngine(ann, 30_000)
    yield* same((yield* store.claim(run.id, { engine: ben, now })).generation, 2)
    yield* store.expireEngine(ben, 0)
  }),

  requirement("an engine's row is forgotten a day after its lease ended, if it owns nothing", function* (store) {
    yield* ownedRun(store, "A")
    yield* store.renewEngine(engineRecord("idle", 20_000))
    yield* store.renewEngine(engineRecord("late", 86_420_001))
    const ids = (yield* store.engines).map((engine) => String(engine.id))
    yield* same(ids.sort(), ["ann", "late"])
  }),

  requirement("an ended run is opened again under a new generation, with its changes", function* (store) {
    const run = yield* ownedRun(store, "A", { generation: 5, recoveries: 3 })
    const signal = { _tag: "Signal", name: "go", value: 1 } as const
    const late = yield* store.send(run.id, { _tag: "Cancel", reason: "user", text: null }, now)
    const kept = yield* store.send(run.id, signal, now)
    yield* store.commit(commitTo(run, { _tag: "Run", patch: { status: "failed", endedAt: now, error: "e" } }))
    const options = { run: run.id, engine: ben, expectedSeq: 1 }
    const patch = { status: "running", endedAt: null, error: null, epoch: 2, recoveries: 0 } as const
    const step = stepRecord("/one", { superseded: true })
    const claim = yield* store.reopen({
      ...options,
      changes: [
        { _tag: "Run", patch },
        { _tag: "Step", step },
        { _tag: "Consume", ids: [late.id] }
      ]
    })
    yield* same(claim, { run: run.id, generation: 6 })
    const { inbox, journal } = yield* store.load(run.id)
    yield* same(inbox, [kept])
    yield* same(journal.run, { ...run, ...patch, owner: ben, generation: 6, seq: 2, readyAt: null })
    yield* same([...journal.steps.values()], [step])
    yield* refusal(store.commit(commitTo({ ...run, seq: 2 })), "LeaseLost")
    yield* store.commit(commitTo(journal.run))
  }),

  requirement("a run is opened again once, by one engine, from what it decided on", function* (store) {
    yield* store.create(runRecord("A", { status: "failed", seq: 4, readyAt: null }))
    const reopen = (expectedSeq: number, engine = ben) =>
      store.reopen({ run: runId("A"), engine, expectedSeq, changes: [{ _tag: "Run", patch: { status: "running" } }] })
    yield* refusal(reopen(3), "SeqConflict")
    yield* reopen(4)
    yield* refusal(reopen(4), "SeqConflict")
    const owned = yield* refusal(reopen(5, ann), "RunAlreadyOwned")
    yield* same(owned.owner, ben)
    yield* refusal(store.reopen({ run: runId("none"), engine: ann, expectedSeq: 0, changes: [] }), "RunNotFound")
  }),

  requirement("the next time at which a free run may be claimed is known", function* (store) {
    yield* same(yield* store.nextReadyAt(0), undefined)
    yield* store.create(runRecord("A", { readyAt: 3_000, status: "waiting" }))
    yield* store.create(runRecord("B", { readyAt: 2_000, status: "waiting" }))
    yield* store.create(runRecord("C", { readyAt: 1_000, status: "needs_resume" }))
    yield* store.create(runRecord("D", { readyAt: 1_000, status: "completed" }))
    yield* store.create(runRecord("E", { readyAt: 1_000, owner: ann }))
    yield* same(yield* store.nextReadyAt(0), 2_000)
    yield* same(yield* store.nextReadyAt(2_000), 3_000)
    yield* same(yield* store.nextReadyAt(3_000), undefined)
  })
]
