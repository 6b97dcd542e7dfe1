/** I1, I6 and I7: what a commit writes, and when it writes nothing. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { PCGRandom } from "effect/Utils"
import type { Change, RunJournal } from "../../persistence/Journal.ts"
import { apply, counts, emptyJournal } from "../../persistence/Journal.ts"
import {
  commitTo,
  iterated,
  engineRecord,
  gateRecord,
  itemRecord,
  runId,
  runRecord,
  stepPath,
  stepRecord
} from "../SampleRecords.ts"
import type { Case } from "./Case.ts"
import { ann, ben, now, ownedRun, refusal, requirement, same } from "./Case.ts"

const step = (path: string, values: Parameters<typeof stepRecord>[1] = {}): Change => ({
  _tag: "Step",
  step: stepRecord(path, values)
})

export const commitCases: ReadonlyArray<Case> = [
  requirement("a commit applies all its changes and counts", function* (store) {
    const run = yield* ownedRun(store, "A")
    const { id: row } = yield* store.send(run.id, { _tag: "Pause" }, now)
    const item = itemRecord("/each", "file:a")
    const settings = { ...run.settings, secrets: { inputs: ["token"], values: ["hunter2"] } }
    const patch = { iteration: 3, error: "late", result: { deep: [1, null] }, settings }
    yield* store.commit(
      commitTo(run, { _tag: "Run", patch }, step("/one"), { _tag: "Item", item }, { _tag: "Consume", ids: [row] })
    )
    const { journal, inbox } = yield* store.load(run.id)
    yield* same(journal.run, { ...run, ...patch, seq: 1 })
    yield* same(journal.steps, new Map([["/one#1", stepRecord("/one")]]))
    yield* same(journal.items, new Map([[item.path, new Map([[item.key, item]])]]))
    yield* same(inbox, [])
  }),

  requirement("I1: a run is created together with its first commit", function* (store) {
    const owned = { owner: ann, generation: 1, readyAt: null }
    const run = runRecord("A", { ...owned, idempotencyKey: "k" })
    const changes: ReadonlyArray<Change> = [
      { _tag: "Run", patch: { status: "running", startedAt: now } },
      step("/one"),
      { _tag: "Create", run: runRecord("C") }
    ]
    yield* store.createWith(run, changes)
    const { journal } = yield* store.load(run.id)
    yield* same(journal.run, { ...run, status: "running", startedAt: now, seq: 1 })
    yield* same(journal.steps, new Map([["/one#1", stepRecord("/one")]]))
    yield* same((yield* store.get(runId("C"))).status, "pending")
    yield* store.commit({ run: run.id, generation: 1, expectedSeq: 1, changes: [step("/two")] })
    const other = runRecord("B", { ...owned, idempotencyKey: "k" })
    const refused = yield* refusal(
      store.createWith(other, [step("/one"), { _tag: "Create", run: runRecord("D") }]),
      "RunAlreadyExists"
    )
    yield* same(refused.run, run.id)
    yield* same(yield* store.steps(other.id), [])
    yield* refusal(store.get(runId("D")), "RunNotFound")
  }),

  requirement("a run whose first commit ends it has no owner", function* (store) {
    const run = runRecord("A", { owner: ann, generation: 1 })
    yield* store.createWith(run, [{ _tag: "Run", patch: { status: "completed", endedAt: now } }])
    const { status, owner, readyAt, seq } = yield* store.get(run.id)
    yield* same([status, owner, readyAt, seq], ["completed", null, null, 1])
  }),

  requirement("I6: after any commits, load gives their fold", function* (store) {
    for (let seed = 1; seed <= 10; seed++) {
      const random = new PCGRandom(seed)
      const run = yield* ownedRun(store, `R${seed}`)
      const expected = emptyJournal(run)
      for (let n = 0; n < 12; n++) {
        const changes = Array.from({ length: random.integer(5) }, () => randomChange(random))
        const { seq } = expected.run
        yield* store.commit({ run: run.id, generation: 1, expectedSeq: seq, changes })
        for (const change of changes) apply(expected, change)
        if (counts(changes)) expected.run = { ...expected.run, seq: seq + 1 }
        const { journal } = yield* store.load(run.id)
        yield* same(journal, expected, `seed ${seed}, commit ${n}`)
      }
    }
  }),

  requirement("what was loaded is the caller's own", function* (store) {
    const run = yield* ownedRun(store, "A")
    const before: RunJournal = (yield* store.load(run.id)).journal
    yield* store.commit(commitTo(run, step("/one")))
    yield* same(before.steps.size, 0)
    const loaded = (yield* store.load(run.id)).journal
    loaded.steps.clear()
    loaded.items.set(stepPath("/each"), new Map())
    yield* same((yield* store.load(run.id)).journal.steps.size, 1)
    yield* same((yield* store.load(run.id)).journal.items.size, 0)
  }),

  requirement("a step of the same path and epoch is replaced, of another epoch added", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.commit(commitTo(run, step("/one"), step("/one", { status: "failed", superseded: true })))
    yield* store.commit(commitTo(run, step("/one", { epoch: 2, position: 2 })))
    const steps = yield* store.steps(run.id)
    yield* same(
      steps.map((it) => [it.epoch, it.status, it.superseded]),
      [
        [1, "failed", true],
        [2, "running", false]
      ]
    )
  }),

  requirement("I1, I7: a commit under an old generation changes nothing", function* (store) {
    const run = yield* ownedRun(store, "A", { owner: ben, generation: 4 })
    const claim = yield* store.claim(run.id, { engine: ann, now })
    yield* same(claim.generation, 5)
    const before = yield* store.load(run.id)
    const lost = yield* refusal(store.commit(commitTo(run, step("/one"))), "LeaseLost")
    yield* same(lost.generation, 4)
    yield* same(yield* store.load(run.id), before)
  }),

  requirement("I7: a run that does not exist, or has no owner, takes no commit", function* (store) {
    yield* refusal(store.commit(commitTo(runRecord("none"))), "LeaseLost")
    const run = yield* ownedRun(store, "A")
    yield* store.release({ run: run.id, generation: 1, readyAt: null, lastInbox: null })
    yield* refusal(store.commit(commitTo(run, step("/one"))), "LeaseLost")
    yield* same((yield* store.steps(run.id)).length, 0)
  }),

  requirement("a commit at another seq changes nothing and tells the actual one", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.commit(commitTo(run, iterated(1)))
    for (const expectedSeq of [0, 2]) {
      for (const changes of [[step("/one")], [step("/one"), iterated(2)]]) {
        const conflict = yield* refusal(store.commit({ ...commitTo(run, ...changes), expectedSeq }), "SeqConflict")
        yield* same([conflict.expected, conflict.actual], [expectedSeq, 1])
      }
    }
    yield* same((yield* store.steps(run.id)).length, 0)
  }),

  requirement("a commit whose answer was lost is recognised, also when it ended the run", function* (store) {
    const run = yield* ownedRun(store, "A")
    const last = commitTo(run, { _tag: "Run", patch: { status: "completed", endedAt: now } })
    yield* store.commit(last)
    const conflict = yield* refusal(store.commit(last), "SeqConflict")
    yield* same(conflict.actual, 1)
    yield* refusal(store.commit({ ...last, expectedSeq: 1 }), "LeaseLost")
  }),

  requirement("a commit that only puts rows does not count, and is the same when it is repeated", function* (store) {
    const run = yield* ownedRun(store, "A")
    const rows = [step("/one"), { _tag: "Item", item: itemRecord("/each", "file:a") }] as const
    yield* store.commit(commitTo(run, ...rows))
    const { journal } = yield* store.load(run.id)
    yield* same([journal.run.seq, journal.steps.size, journal.items.size], [0, 1, 1])
    yield* store.commit(commitTo(run, ...rows))
    yield* same((yield* store.load(run.id)).journal, journal)
  }),

  requirement("commits of one run that are sent at once apply in order", function* (store) {
    const run = yield* ownedRun(store, "A")
    const seqs = Array.from({ length: 20 }, (_, seq) => seq)
    yield* Effect.forEach(seqs, (seq) => store.commit(commitTo({ ...run, seq }, step(`/s${seq}`), iterated(seq))), {
      concurrency: "unbounded",
      discard: true
    })
    yield* same((yield* store.get(run.id)).seq, 20)
    yield* same((yield* store.steps(run.id)).length, 20)
  }),

  requirement("of commits at the same seq exactly one applies", function* (store) {
    const run = yield* ownedRun(store, "A")
    const results = yield* Effect.forEach(
      [1, 2, 3, 4],
      (n) => Effect.either(store.commit(commitTo(run, step(`/s${n}`), iterated(n)))),
      { concurrency: "unbounded" }
    )
    yield* same(results.filter(Either.isRight).length, 1)
    yield* same((yield* store.steps(run.id)).length, 1)
  }),

  requirement("a failing commit among many takes none with it", function* (store) {
    const runs = yield* Effect.forEach(["A", "B", "C", "D"], (id) => ownedRun(store, id))
    const results = yield* Effect.forEach(
      runs,
      (run) => {
        const seq = run.id === "B" ? 7 : 0
        const generation = run.id === "C" ? 9 : 1
        return Effect.either(store.commit(commitTo({ ...run, seq, generation }, step("/one"))))
      },
      { concurrency: "unbounded" }
    )
    yield* same(
      results.map((it) => (Either.isRight(it) ? "written" : it.left._tag)),
      ["written", "SeqConflict", "LeaseLost", "written"]
    )
    for (const run of runs) {
      const count = run.id === "A" || run.id === "D" ? 1 : 0
      yield* same((yield* store.steps(run.id)).length, count)
    }
  }),

  requirement("a run that ends or is parked has no owner", function* (store) {
    for (const status of ["completed", "failed", "cancelled", "needs_resume"] as const) {
      const run = yield* ownedRun(store, `A-${status}`)
      yield* store.send(run.id, { _tag: "Pause" }, now)
      const patch = { _tag: "Run", patch: { status } } as const
      yield* store.commit(commitTo(run, patch, { _tag: "Run", patch: { iteration: 1 } }))
      const { owner, readyAt, generation, iteration } = yield* store.get(run.id)
      yield* same(
        { owner, readyAt, generation, iteration },
        { owner: null, readyAt: null, generation: 1, iteration: 1 }
      )
    }
  }),

  requirement("a commit creates children, again without effect", function* (store) {
    const run = yield* ownedRun(store, "A")
    const parent = { run: run.id, path: stepPath("/call") }
    const child = runRecord("B", { parent, root: run.id, depth: 1, idempotencyKey: "A/call" })
    yield* store.commit(commitTo(run, { _tag: "Create", run: child }))
    yield* same(yield* store.get(child.id), child)
    yield* store.commit(commitTo({ ...run, seq: 1 }, { _tag: "Create", run: { ...child, title: "again" } }))
    yield* same(yield* store.get(child.id), child)
  }),

  requirement("I1: a child under another run's key fails the whole commit", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.create(runRecord("B", { idempotencyKey: "key" }))
    const child = runRecord("C", { idempotencyKey: "key" })
    const notify: Change = { _tag: "Notify", run: runId("B"), message: { _tag: "Pause" }, at: now }
    const commit = commitTo(run, step("/one"), notify, { _tag: "Create", run: child })
    const error = yield* refusal(store.commit(commit), "PersistenceError")
    yield* same(error.reason, "Corrupt")
    yield* refusal(store.get(child.id), "RunNotFound")
    yield* same((yield* store.load(run.id)).journal.steps.size, 0)
    yield* same((yield* store.get(run.id)).seq, 0)
    yield* same((yield* store.load(runId("B"))).inbox, [])
  }),

  requirement("a create and a commit of the same turn land in that order", function* (store) {
    const run = runRecord("A", { owner: ann, generation: 1 })
    yield* Effect.all([store.create(run), store.commit(commitTo(run, step("/one")))], { concurrency: "unbounded" })
    yield* same((yield* store.steps(run.id)).length, 1)
  }),

  requirement("I5: a commit's message to another run is a row that wakes it", function* (store) {
    const run = yield* ownedRun(store, "A")
    const message = { _tag: "ChildEnded", child: run.id, path: stepPath("/call") } as const
    const free = runRecord("F", { status: "waiting", readyAt: null })
    yield* store.create(free)
    const owned = yield* ownedRun(store, "O")
    const tell = (run: typeof free.id): Change => ({ _tag: "Notify", run, message, at: now })
    yield* store.commit(commitTo(run, tell(free.id), tell(owned.id)))
    // An owner is told by the row alone, and cannot let its run go without having seen it.
    for (const [id, readyAt] of [
      [free.id, now],
      [owned.id, null]
    ] as const) {
      const { journal, inbox } = yield* store.load(id)
      yield* same(
        inbox.map((row) => [row.run, row.message, row.createdAt]),
        [[id, message, now]]
      )
      yield* same([journal.run.readyAt, journal.run.seq], [readyAt, 0])
    }
  }),

  requirement(
    "a commit's message is no row where its run is owned as it says, which is asked when it is written",
    function* (store) {
      const run = yield* ownedRun(store, "A")
      const other = yield* ownedRun(store, "B")
      const message = { _tag: "ChildEnded", child: run.id, path: stepPath("/call") } as const
      const by = { engine: ann, generation: other.generation }
      const tell = (unless: typeof by): Change => ({ _tag: "Notify", run: other.id, message, at: now, unless })
      const told = () => Effect.map(store.load(other.id), ({ inbox }) => inbox.length)
      yield* store.commit(commitTo(run, tell(by)))
      yield* same(yield* told(), 0)
      yield* store.commit(commitTo({ ...run, seq: 1 }, tell({ ...by, generation: by.generation - 1 })))
      yield* same(yield* told(), 1)
      yield* store.commit(commitTo({ ...run, seq: 2 }, tell({ ...by, engine: ben })))
      yield* same(yield* told(), 2)
      yield* store.createWith(runRecord("C", { owner: ann, generation: 1 }), [tell(by)])
      yield* same(yield* told(), 2)
      const release = { run: other.id, generation: other.generation, readyAt: null, lastInbox: Number.MAX_SAFE_INTEGER }
      const commit = commitTo({ ...run, seq: 3 }, tell(by))
      // Of the same turn: what the release changes counts.
      yield* Effect.all([store.release(release), store.commit(commit)], { concurrency: "unbounded" })
      yield* same(yield* told(), 3)
      yield* same((yield* store.get(other.id)).readyAt, now)
    }
  ),

  requirement("a commit's message to a run that ended or is gone is dropped", function* (store) {
    const run = yield* ownedRun(store, "A")
    const ended = runRecord("E", { status: "failed", readyAt: null })
    yield* store.create(ended)
    const notify = (id: string): Change => ({ _tag: "Notify", run: runId(id), message: { _tag: "Pause" }, at: now })
    yield* store.commit(commitTo(run, notify("E"), notify("none")))
    const { journal, inbox } = yield* store.load(ended.id)
    yield* same(journal.run, ended)
    yield* same(inbox, [])
  }),

  requirement("a run consumes rows of its own inbox only", function* (store) {
    const run = yield* ownedRun(store, "A")
    const other = yield* ownedRun(store, "B")
    const { id } = yield* store.send(other.id, { _tag: "Pause" }, now)
    yield* store.commit(commitTo(run, { _tag: "Consume", ids: [id, 999_999] }))
    yield* same((yield* store.load(other.id)).inbox.length, 1)
  }),

  requirement("a run is created once by id and once by idempotency key", function* (store) {
    const run = runRecord("A", { idempotencyKey: "key" })
    yield* store.create(run)
    const byKey = yield* refusal(store.create({ ...run, id: runId("B") }), "RunAlreadyExists")
    yield* same([byKey.workflow, byKey.idempotencyKey, byKey.run], [run.workflow, "key", run.id])
    const byId = yield* refusal(store.create({ ...run, idempotencyKey: null }), "RunAlreadyExists")
    yield* same(byId.run, run.id)
    yield* store.create({ ...run, id: runId("C"), workflow: "other" })
    yield* same(yield* store.get(run.id), run)
  }),

  requirement("I1: runs are created with their rows, all or none", function* (store) {
    const root = runRecord("A", { idempotencyKey: "root" })
    const child = runRecord("B", { parent: { run: root.id, path: stepPath("/c") }, root: root.id, depth: 1 })
    // A place between two others is a fraction.
    const steps = [stepRecord("/c", { position: 1, status: "completed" }), stepRecord("/d", { position: 1.5 })]
    const items = [itemRecord("/c", "file:a")]
    const tree = [
      { run: root, steps, items },
      { run: child, steps: steps.slice(0, 1), items: [] }
    ]
    yield* store.createTree(tree)
    const { journal, inbox } = yield* store.load(root.id)
    yield* same(journal.run, root)
    yield* same([...journal.steps.values()], steps)
    yield* same(yield* store.items(root.id), items)
    yield* same(inbox, [])
    yield* same(yield* store.get(child.id), child)
    yield* same(yield* store.steps(child.id), steps.slice(0, 1))
    const again = [{ run: runRecord("C"), steps, items }, ...tree]
    yield* same((yield* refusal(store.createTree(again), "RunAlreadyExists")).run, root.id)
    const byKey = [
      { run: runRecord("C"), steps, items },
      { run: runRecord("D", { idempotencyKey: "root" }), steps, items: [] }
    ]
    yield* same((yield* refusal(store.createTree(byKey), "RunAlreadyExists")).run, root.id)
    yield* refusal(store.get(runId("C")), "RunNotFound")
    yield* same(yield* store.steps(runId("C")), [])
  }),

  requirement("every field of a record comes back as it was written", function* (store) {
    yield* store.renewEngine(engineRecord("ann", 20_000))
    const run = runRecord("A", {
      owner: ann,
      generation: 1,
      inputs: { ключ: 'a "quoted" text\n\u0000\u{1f600}' },
      payload: { nested: [true, null, 1.5, "text"] },
      blockedOn: [
        {
          _tag: "gate",
          run: runId("B"),
          path: stepPath("/gate~2"),
          name: "gate",
          kind: "human_review",
          prompt: "?",
          options: [{ key: "a", text: "A" }],
          minApprovals: 2,
          until: 5
        }
      ],
      totals: { ...runRecord("A").totals, cost_usd: 0.1 },
      dismissed: true,
      dryRun: true
    })
    const gate = gateRecord("/a'b\"c;--%25", { approved: false, feedback: "no", selections: ["x"], by: null, at: 7 })
    const values = { value: { json: ["any"] }, result: { ...gate.result, structured: [{ a: null }], markers: ["m"] } }
    yield* store.create(run)
    yield* store.commit(commitTo(run, { _tag: "Step", step: { ...gate, ...values } }))
    const { journal } = yield* store.load(run.id)
    yield* same(journal.run, run)
    yield* same([...journal.steps.values()], [{ ...gate, ...values }])
  })
]

const randomChange = (random: PCGRandom): Change => {
  const position = random.integer(9)
  switch (random.integer(4)) {
    case 0:
      return { _tag: "Run", patch: { iteration: position, error: position > 4 ? null : `error ${position}` } }
    case 1:
      return { _tag: "Item", item: itemRecord("/each", `file:${random.integer(3)}`, { position, status: "running" }) }
    default:
      return step(`/s${random.integer(4)}`, { position, epoch: 1 + random.integer(1), status: "completed" })
  }
}
