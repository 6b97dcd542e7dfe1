/** I5: what reaches a run from outside, and which messages it takes. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { PersistenceService } from "../../persistence/Persistence.ts"
import type { InboxMessage } from "../../persistence/Records.ts"
import {
  approved,
  commitTo,
  engineRecord,
  gateRecord,
  runId,
  runRecord,
  stepPath,
  stepRecord
} from "../SampleRecords.ts"
import type { Case } from "./Case.ts"
import { ann, now, ownedRun, refusal, requirement, same } from "./Case.ts"

const answer = (path: string): InboxMessage => ({ _tag: "Answer", path: stepPath(path), answer: approved })

/** Writes until who listens to the store's changes has been told. */
const untilTold = <A, E>(store: PersistenceService, write: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const listener = yield* Effect.fork(Stream.runHead(store.changes))
    yield* Effect.repeat(Effect.zipRight(write, Effect.yieldNow()), {
      until: () => Effect.map(Fiber.poll(listener), (exit) => exit._tag === "Some")
    })
    yield* same((yield* Fiber.join(listener))._tag, "Some")
  })

export const inboxCases: ReadonlyArray<Case> = [
  requirement("a message is a row that wakes its run, in the order of arrival", function* (store) {
    const run = runRecord("A", { status: "waiting", readyAt: null })
    yield* store.create(run)
    const messages: Array<InboxMessage> = [
      { _tag: "Signal", name: "go", value: { n: 1 } },
      { _tag: "Cancel", reason: "user", text: "enough" },
      { _tag: "Cancel", reason: "parent", text: null },
      { _tag: "Pause" },
      { _tag: "Pause" },
      { _tag: "Unpause" }
    ]
    const rows = yield* Effect.forEach(messages, (message, n) => store.send(run.id, message, now + n))
    const { journal, inbox } = yield* store.load(run.id)
    yield* same(inbox, rows)
    yield* same(
      inbox.map((row) => row.message),
      messages
    )
    yield* same(
      inbox.every((row, n) => n === 0 || row.id > (inbox[n - 1]?.id ?? Infinity)),
      true
    )
    yield* same(journal.run, { ...run, readyAt: now + 5 })
  }),

  requirement("a run that ended, or does not exist, takes no message", function* (store) {
    yield* store.create(runRecord("A", { status: "completed" }))
    const refused = yield* refusal(store.send(runId("A"), { _tag: "Pause" }, now), "RunAlreadyEnded")
    yield* same([refused.run, refused.status], [runId("A"), "completed"])
    yield* refusal(store.send(runId("none"), { _tag: "Pause" }, now), "RunNotFound")
  }),

  requirement("a parked run that is to be cancelled is claimed again, if nobody owns it", function* (store) {
    const cancel: InboxMessage = { _tag: "Cancel", reason: "user", text: null }
    const everyone = { engine: ann, now: now + 1, limit: 10 }
    const owned = yield* ownedRun(store, "A", { status: "needs_resume" })
    const parked = runRecord("B", { status: "needs_resume", readyAt: null })
    yield* store.create(parked)
    for (const message of [{ _tag: "Pause" }, { _tag: "Signal", name: "go", value: 1 }] as const) {
      yield* store.send(parked.id, message, now)
    }
    yield* same(yield* store.claimReady(everyone), [])
    for (const { id } of [owned, parked]) yield* store.send(id, cancel, now)
    yield* same((yield* store.get(owned.id)).status, "needs_resume")
    yield* same(yield* store.get(parked.id), { ...parked, status: "cancelling", readyAt: now })
    yield* same(yield* store.claimReady(everyone), [{ run: parked.id, generation: 1 }])
  }),

  requirement("an answer needs a live step that waits", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.commit(
      commitTo(
        run,
        { _tag: "Step", step: gateRecord("/waits") },
        { _tag: "Step", step: stepRecord("/runs") },
        { _tag: "Step", step: { ...gateRecord("/old"), superseded: true } },
        { _tag: "Step", step: { ...gateRecord("/answered", approved), status: "completed" } }
      )
    )
    for (const [path, answered] of [
      ["/none", false],
      ["/runs", false],
      ["/old", false],
      ["/answered", true]
    ] as const) {
      const refused = yield* refusal(store.send(run.id, answer(path), now), "NotWaiting")
      yield* same([refused.path, refused.answered], [path, answered])
    }
    yield* store.send(run.id, answer("/waits"), now)
  }),

  requirement("an answer to a gate that waits again in a later epoch is taken", function* (store) {
    const run = yield* ownedRun(store, "A")
    const old = { ...gateRecord("/gate", approved), status: "completed", superseded: true } as const
    const step = { ...gateRecord("/gate"), epoch: 2 }
    yield* store.commit(commitTo(run, { _tag: "Step", step: old }, { _tag: "Step", step }))
    yield* store.send(run.id, answer("/gate"), now)
  }),

  requirement("the first answer wins, whether or not the run has seen it", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.commit(commitTo(run, { _tag: "Step", step: gateRecord("/gate") }))
    const results = yield* Effect.forEach([1, 2, 3], () => Effect.either(store.send(run.id, answer("/gate"), now)), {
      concurrency: "unbounded"
    })
    yield* same(results.filter((it) => it._tag === "Right").length, 1)
    const [row] = (yield* store.load(run.id)).inbox
    yield* same((yield* refusal(store.send(run.id, answer("/gate"), now), "NotWaiting")).answered, true)
    const step = gateRecord("/gate", approved)
    yield* store.commit(commitTo(run, { _tag: "Step", step }, { _tag: "Consume", ids: [row?.id ?? 0] }))
    yield* same((yield* refusal(store.send(run.id, answer("/gate"), now), "NotWaiting")).answered, true)
  }),

  requirement("an engine reads what is new for the runs it owns", function* (store) {
    const [a, b] = [yield* ownedRun(store, "A"), yield* ownedRun(store, "B")]
    yield* store.create(runRecord("C"))
    const first = yield* store.send(a.id, { _tag: "Pause" }, now)
    yield* store.send(runId("C"), { _tag: "Pause" }, now)
    const second = yield* store.send(b.id, { _tag: "Pause" }, now)
    const third = yield* store.send(a.id, { _tag: "Unpause" }, now)
    const last = third.id
    yield* same(yield* store.inbox(ann, 0), { rows: [first, second, third], last })
    yield* same(yield* store.inbox(ann, first.id), { rows: [second, third], last })
    yield* same(yield* store.inbox(ann, last), { rows: [], last })
    yield* same(yield* store.inbox(engineRecord("other", 0).id, 0), { rows: [], last })
  }),

  requirement("an id of a message is not used again", function* (store) {
    const run = yield* ownedRun(store, "A")
    const { id } = yield* store.send(run.id, { _tag: "Pause" }, now)
    yield* store.commit(commitTo(run, { _tag: "Consume", ids: [id] }))
    const next = yield* store.send(run.id, { _tag: "Pause" }, now)
    yield* same(next.id > id, true)
  }),

  requirement("who listens is told that something changed", function* (store) {
    yield* store.create(runRecord("A"))
    yield* untilTold(store, store.send(runId("A"), { _tag: "Pause" }, now))
  }),

  requirement("who listens is told of a commit's message that became a row", function* (store) {
    const run = yield* ownedRun(store, "A")
    yield* store.create(runRecord("B", { readyAt: null }))
    const unless = { engine: ann, generation: 1 }
    const message = { _tag: "ChildEnded", child: run.id, path: stepPath("/call") } as const
    const tell = (seq: number) =>
      commitTo({ ...run, seq }, { _tag: "Notify", run: runId("B"), message, at: now, unless })
    let seq = 0
    yield* untilTold(
      store,
      Effect.suspend(() => store.commit(tell(seq++)))
    )
  })
]
