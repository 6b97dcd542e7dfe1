/** I1 and I5 of runs that continue as new ones: what moves along the chain, and what stays. */
import type { Change } from "../../persistence/Journal.ts"
import type { InboxMessage, RunRecord } from "../../persistence/Records.ts"
import { approved, commitTo, gateRecord, runId, runRecord, stepPath } from "../SampleRecords.ts"
import type { Case } from "./Case.ts"
import { ann, now, ownedRun, refusal, requirement, same } from "./Case.ts"

const ended: Change = { _tag: "Run", patch: { status: "completed", endedAt: now } }

const next = (run: RunRecord, values: Partial<RunRecord> = {}): RunRecord =>
  runRecord("B", {
    idempotencyKey: run.idempotencyKey,
    owner: ann,
    generation: 1,
    readyAt: null,
    payload: { round: 2 },
    continues: { first: run.id, previous: run.id, payload: "digest" },
    ...values
  })

export const chainCases: ReadonlyArray<Case> = [
  requirement("a run continues in the commit that ends it, and its key goes to the new one", function* (store) {
    const run = yield* ownedRun(store, "A", { idempotencyKey: "key" })
    const following = next(run)
    yield* store.commit(commitTo(run, ended, { _tag: "Continue", run: following }))
    const { owner, idempotencyKey, continuedAs, status } = yield* store.get(run.id)
    yield* same(
      { owner, idempotencyKey, continuedAs, status },
      { owner: null, idempotencyKey: null, continuedAs: following.id, status: "completed" }
    )
    yield* same(yield* store.get(following.id), following)
    yield* same((yield* store.findByKey(run.workflow, "key"))?.id, following.id)
    const refused = yield* refusal(store.create(runRecord("C", { idempotencyKey: "key" })), "RunAlreadyExists")
    yield* same(refused.run, following.id)
  }),

  requirement("a run that continues in its very first commit leaves its key to the new one", function* (store) {
    const run = runRecord("A", { owner: ann, generation: 1, status: "running", idempotencyKey: "key" })
    const following = next(run)
    yield* store.createWith(run, [ended, { _tag: "Continue", run: following }])
    const { idempotencyKey, continuedAs, seq, status } = yield* store.get(run.id)
    yield* same(
      { idempotencyKey, continuedAs, seq, status },
      { idempotencyKey: null, continuedAs: following.id, seq: 1, status: "completed" }
    )
    yield* same((yield* store.findByKey(run.workflow, "key"))?.id, following.id)
  }),

  requirement("a chain of any length has one run with the key", function* (store) {
    let run = yield* ownedRun(store, "A", { idempotencyKey: "key" })
    for (const id of ["B", "C", "D"]) {
      const following = next(run, { id: runId(id), root: runId(id) })
      yield* store.commit(commitTo(run, ended, { _tag: "Continue", run: following }))
      run = following
    }
    yield* same((yield* store.findByKey(run.workflow, "key"))?.id, runId("D"))
  }),

  requirement("I5: signals and requests that were not taken go on to the new run, in order", function* (store) {
    const run = yield* ownedRun(store, "A")
    const signal = (value: number) => ({ _tag: "Signal", name: "go", value }) as const
    const { id: taken } = yield* store.send(run.id, signal(1), now)
    yield* store.send(run.id, signal(2), now)
    yield* store.send(run.id, { _tag: "Cancel", reason: "user", text: null }, now)
    const following = next(run)
    const consumed: Change = { _tag: "Consume", ids: [taken] }
    yield* store.commit(commitTo(run, consumed, ended, { _tag: "Continue", run: following }))
    const { inbox } = yield* store.load(following.id)
    yield* same(
      inbox.map((row) => [row.run, row.message._tag]),
      [
        [following.id, "Signal"],
        [following.id, "Cancel"]
      ]
    )
    yield* same((yield* store.load(run.id)).inbox, [])
    yield* same((yield* store.inbox(ann, 0)).rows.length, 2)
    yield* refusal(store.send(run.id, signal(3), now), "RunAlreadyEnded")
  }),

  requirement(
    "I5: what another run's commit tells the run as a whole reaches the one that it has come to",
    function* (store) {
      const run = yield* ownedRun(store, "A")
      yield* store.commit(commitTo(run, ended, { _tag: "Continue", run: next(run) }))
      const later = next(run, { id: runId("C"), root: runId("C"), readyAt: null })
      yield* store.commit(commitTo(next(run), ended, { _tag: "Continue", run: later }))
      const told = (message: InboxMessage): Change => ({ _tag: "Notify", run: run.id, message, at: now + 5 })
      const ofStep: InboxMessage = { _tag: "ChildRunning", path: stepPath("/call"), child: runId("D") }
      yield* store.commit(commitTo(yield* ownedRun(store, "P"), told({ _tag: "Pause" }), told(ofStep)))
      const { inbox, journal } = yield* store.load(later.id)
      yield* same(
        inbox.map(({ message, run: to }) => [to, message._tag]),
        [[later.id, "Pause"]]
      )
      yield* same(journal.run.readyAt, null)
      yield* same((yield* store.load(run.id)).inbox, [])
      yield* store.commit(commitTo(later, ended))
      yield* store.commit(commitTo({ ...(yield* store.get(runId("P"))) }, told({ _tag: "Unpause" })))
      yield* same((yield* store.load(later.id)).inbox.length, 1)
    }
  ),

  requirement("what was said to a step of the old run stays there", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.commit(commitTo(run, { _tag: "Step", step: gateRecord("/gate") }))
    yield* store.send(run.id, { _tag: "Answer", path: stepPath("/gate"), answer: approved }, now)
    const following = next(run)
    yield* store.commit(commitTo(run, ended, { _tag: "Continue", run: following }))
    yield* same((yield* store.load(following.id)).inbox, [])
    yield* same((yield* store.load(run.id)).inbox.length, 1)
  }),

  requirement("I7: a refused commit continues nothing", function* (store) {
    const run = yield* ownedRun(store, "A", { idempotencyKey: "key" })
    const commit = commitTo({ ...run, seq: 4 }, ended, { _tag: "Continue", run: next(run) })
    yield* refusal(store.commit(commit), "SeqConflict")
    yield* refusal(store.get(runId("B")), "RunNotFound")
    yield* same((yield* store.findByKey(run.workflow, "key"))?.id, run.id)
  }),

  requirement("a run that was created continued is read as it was written", function* (store) {
    const continues = { first: runId("X"), previous: runId("Y"), payload: "sha256" }
    const run = runRecord("A", { continues, continuedAs: runId("Z") })
    yield* store.create(run)
    yield* same(yield* store.get(run.id), run)
  })
]
