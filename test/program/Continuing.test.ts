/** Z1–Z3: a run that continues as new, seen by whoever holds its id or key, sends to it, or waits as its parent. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { resume } from "../../src/engine/Resume.ts"
import { answer, fork } from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import type { EngineSettings } from "../../src/engine/EngineConfig.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import { shownRun } from "../../src/persistence/Redaction.ts"
import type { RunId, RunRecord } from "../../src/persistence/Records.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, outline, parked, until, type Workflows } from "./support.ts"

const Stop = Workflow.signal("stop", Schema.Number)

const Count = Workflow.make("count", {
  payload: Schema.Struct({ name: Schema.String, left: Schema.Int }),
  success: Schema.String,
  idempotencyKey: ({ name }) => name
})

/** Counts down, a run each; waits for `stop` in the run that has nothing left. */
const counting = Count.toLayer(({ left, name }) =>
  Effect.gen(function* () {
    yield* Workflow.sleep("1 second")
    if (left > 0) return yield* Workflow.continueAsNew(Count, { name, left: left - 1 })
    return `${name} ${yield* Workflow.awaitSignal(Stop)}`
  }).pipe(Effect.orDie)
)

const chain = (store: PersistenceService): Effect.Effect<ReadonlyArray<RunRecord>> =>
  Effect.orDie(Effect.map(store.list({ workflow: "count", limit: 100 }), (runs) => runs.toReversed()))

const waitsForStop = (store: PersistenceService) =>
  Effect.repeat(Effect.zipRight(Effect.sleep("1 second"), chain(store)), {
    until: (runs) => runs.some(({ blockedOn }) => blockedOn.some(({ name }) => name === "stop"))
  })

type Use<A, E> = (store: PersistenceService) => Effect.Effect<A, E, Engine | Persistence>

const inStore = <A, E>(workflows: Workflows, use: Use<A, E>) => inEngineWith({}, workflows, use)

const inEngineWith = <A, E>(settings: Partial<EngineSettings>, workflows: Workflows, use: Use<A, E>) =>
  withVirtualClock(
    Effect.flatMap(MemoryPersistence.make(), ({ service }) =>
      Effect.provide(use(service), engine(service, workflows, settings))
    )
  )

/** What an effect gives, with the warnings of runs meanwhile. */
const warningsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const events = yield* Effect.flatMap(Engine, (engine) => engine.events(({ _tag }) => _tag === "RunWarning"))
      const messages: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(events, (event) =>
          Effect.sync(() => event._tag === "RunWarning" && messages.push(event.message))
        )
      )
      const value = yield* effect
      yield* Effect.sleep("1 second")
      return { value, messages }
    })
  )

describe("a run that continues as new", () => {
  it.live("ends completed, and the next one begins with the payload, linked both ways", () =>
    inStore(counting, (store) =>
      Effect.gen(function* () {
        const run = yield* Count.start({ name: "a", left: 2 })
        const runs = yield* waitsForStop(store)
        expect(runs.map(({ status }) => status)).toEqual(["completed", "completed", "waiting"])
        expect(runs.map(({ payload }) => payload)).toEqual([2, 1, 0].map((left) => ({ name: "a", left })))
        expect(runs.map(({ continuedAs }) => continuedAs)).toEqual([runs[1]?.id, runs[2]?.id, null])
        expect(runs.map(({ continues }) => continues?.previous)).toEqual([undefined, runs[0]?.id, runs[1]?.id])
        expect(runs.map(({ continues }) => continues?.first)).toEqual([undefined, run, run])
        expect(yield* outline(store, run)).toEqual(["/sleep completed", "/@continue completed", "/@body completed"])
      })
    )
  )

  it.live("has one idempotency key, that of the first payload, on the newest run", () =>
    inStore(counting, (store) =>
      Effect.gen(function* () {
        const first = yield* Count.start({ name: "a", left: 2 })
        const newest = (yield* waitsForStop(store)).at(-1)
        expect(newest?.id).not.toBe(first)
        expect(yield* Count.start({ name: "a", left: 2 })).toBe(newest?.id)
        expect(yield* Effect.flip(Count.start({ name: "a", left: 0 }))).toMatchObject({
          _tag: "IdempotencyConflict",
          run: newest?.id
        })
      })
    )
  )

  it.live("is awaited, polled, signalled and cancelled through any of its ids, or its key", () =>
    inStore(counting, (store) =>
      Effect.gen(function* () {
        const first = yield* Count.start({ name: "a", left: 2 })
        const runs = yield* waitsForStop(store)
        const newest = runs.at(-1)?.id
        expect(yield* Count.poll(first)).toMatchObject(Option.some({ _tag: "Waiting", run: newest }))
        yield* Count.signal(first, Stop, 7)
        expect(yield* Count.await(first)).toBe("a 7")
        expect(yield* Count.await({ idempotencyKey: "a" })).toBe("a 7")
        const other = yield* Count.start({ name: "b", left: 1 })
        yield* until(store, other, ({ continuedAs }) => continuedAs !== null)
        yield* Count.cancel(other, "enough")
        expect(yield* Effect.flip(Count.await(other))).toMatchObject({ _tag: "WorkflowFailed", status: "cancelled" })
      })
    )
  )

  it.live("takes along signals that it has not taken", () =>
    inStore(counting, () =>
      Effect.gen(function* () {
        const first = yield* Count.start({ name: "a", left: 3 })
        yield* Count.signal(first, Stop, 1)
        yield* Count.signal(first, Stop, 2)
        expect(yield* Count.await(first)).toBe("a 1")
      })
    )
  )

  it.live("keeps its chain when older runs of it were pruned", () =>
    inStore(counting, (store) =>
      Effect.gen(function* () {
        yield* Count.start({ name: "a", left: 2 })
        const newest = (yield* waitsForStop(store)).at(-1)
        yield* store.prune({ keep: 0, limit: 10, dryRun: false })
        expect(yield* chain(store)).toHaveLength(1)
        expect(yield* Count.start({ name: "a", left: 2 })).toBe(newest?.id)
        yield* Count.signal({ idempotencyKey: "a" }, Stop, 3)
        expect(yield* Count.await({ idempotencyKey: "a" })).toBe("a 3")
      })
    )
  )

  it.live("stops what its other branches do, and compensates nothing", () =>
    Effect.gen(function* () {
      const undone: Array<string> = []
      const Both = Workflow.make("both", { payload: Schema.Int, success: Schema.Int })
      const both = Both.toLayer((n) =>
        Effect.gen(function* () {
          if (n === 2) return n
          yield* Workflow.now.pipe(Workflow.withCompensation(() => Effect.sync(() => undone.push("undone"))))
          return yield* Workflow.race({
            long: Effect.as(Workflow.sleep("1 day"), 0),
            short: Effect.zipRight(Workflow.sleep("1 second"), Workflow.continueAsNew(Both, n + 1))
          })
        })
      )
      const { rows, value } = yield* inStore(both, (store) =>
        Effect.gen(function* () {
          const run = yield* Both.start(1)
          return { value: yield* Both.await(run), rows: yield* outline(store, run) }
        })
      )
      expect(value).toBe(2)
      expect(undone).toEqual([])
      expect(rows).toContain("/race/long/sleep cancelled")
      expect(rows.some((row) => row.startsWith("/@compensation"))).toBe(false)
    })
  )

  it.live("hands a cancellation that came too late for it on to the next run, which then never begins", () =>
    Effect.gen(function* () {
      // The cancellation arrives in the moment in which the commit that continues is on its way.
      const { service: store } = yield* MemoryPersistence.make()
      let asked: RunId | undefined
      const late: PersistenceService = {
        ...store,
        commit: (commit) => {
          const isEnd = asked === undefined && commit.changes.some(({ _tag }) => _tag === "Continue")
          if (!isEnd) return store.commit(commit)
          asked = commit.run
          const cancel = store.send(commit.run, { _tag: "Cancel", reason: "user", text: null }, 0)
          return Effect.zipRight(Effect.orDie(cancel), store.commit(commit))
        }
      }
      const error = yield* withVirtualClock(
        Effect.provide(Effect.flip(Count.execute({ name: "a", left: 1 })), engine(late, counting))
      )
      expect(error).toMatchObject({ _tag: "WorkflowFailed", status: "cancelled" })
      const [, second] = yield* chain(store)
      expect(second).toMatchObject({ status: "cancelled", startedAt: null })
    })
  )

  it.live("hides the secrets of its chain, those of the new payload too", () =>
    Effect.gen(function* () {
      const secret = Schema.Redacted(Schema.String)
      const Rotate = Workflow.make("rotate", { payload: Schema.Struct({ token: secret }), error: Schema.String })
      const rotate = Rotate.toLayer(({ token }) =>
        Redacted.value(token) === "first-token"
          ? Workflow.continueAsNew(Rotate, { token: Redacted.make("second-token") })
          : Effect.fail(`neither first-token nor ${Redacted.value(token)}`)
      )
      const shown = yield* inStore(rotate, (store) =>
        Effect.gen(function* () {
          const run = yield* Rotate.start({ token: Redacted.make("first-token") })
          yield* Effect.flip(Rotate.await(run))
          const runs = yield* store.list({ workflow: "rotate", limit: 10 })
          return JSON.stringify(runs.map(shownRun))
        })
      )
      expect(shown).toContain("neither *** nor ***")
      expect(shown).not.toContain("-token")
    })
  )

  // The next run may ask the same question, but it is another one: an answer must not be taken for it unseen.
  it.live("leaves an answer to the gate of its next run alone, when it comes as the run continues", () =>
    Effect.gen(function* () {
      const Ask = Workflow.make("ask", { payload: Schema.Int, success: Schema.String })
      const ask = Ask.toLayer((n) =>
        Effect.gen(function* () {
          yield* Workflow.race({ gate: Workflow.gate("go"), time: Workflow.sleep("5 seconds") })
          return n === 2 ? "done" : yield* Workflow.continueAsNew(Ask, n + 1)
        }).pipe(Effect.orDie)
      )
      const { service: store } = yield* MemoryPersistence.make()
      // What the answer looks at is the moment before; it is sent in the moment after.
      const slow: PersistenceService = {
        ...store,
        send: (run, message, now) =>
          message._tag === "Answer"
            ? Effect.zipRight(Effect.sleep("6 seconds"), store.send(run, message, now))
            : store.send(run, message, now)
      }
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Ask.start(1)
          yield* letGo(store, run)
          const error = yield* Effect.flip(Effect.provideService(answer(run, { approved: true }), Persistence, slow))
          expect(error).toMatchObject({ _tag: "NotWaiting", run, answered: false })
          expect(yield* Ask.await(run)).toBe("done")
        }).pipe(Effect.provide(engine(store, ask)))
      )
    })
  )

  it.live("is not opened again: its next run is", () =>
    inStore(counting, (store) =>
      Effect.gen(function* () {
        const first = yield* Count.start({ name: "a", left: 1 })
        const { continuedAs } = yield* until(store, first, ({ endedAt }) => endedAt !== null)
        expect(yield* Effect.flip(resume(first, { _tag: "Restart" }))).toMatchObject({
          _tag: "RunContinued",
          as: continuedAs
        })
      })
    )
  )

  it.live("cannot become another workflow's", () =>
    Effect.gen(function* () {
      const Wrong = Workflow.make("wrong", { payload: Schema.Void })
      const wrong = Wrong.toLayer(() => Workflow.continueAsNew(Count, { name: "x", left: 0 }))
      const error = yield* inStore(wrong, () => Effect.flip(Wrong.execute(undefined)))
      expect(error.message).toContain("a run of 'wrong' cannot continue as one of 'count'")
    })
  )
})

describe("a child that continues as new", () => {
  const Parent = Workflow.make("parent", { payload: Schema.Void, success: Schema.String })
  const After = Workflow.make("after", { payload: Schema.Void })
  const parent = Parent.toLayer(() =>
    Effect.gen(function* () {
      const said = yield* Workflow.child(Count, { name: "kid", left: 2 })
      yield* Workflow.child(After, undefined)
      return said
    }).pipe(Effect.orDie)
  )
  const left = ({ payload }: RunRecord): number => Schema.decodeUnknownSync(Count.payload)(payload).left
  const byLeft = (a: RunRecord, b: RunRecord): number => left(b) - left(a)
  const both = Layer.mergeAll(
    parent,
    counting,
    After.toLayer(() => Effect.void)
  )

  it.live("is waited for to the end of its chain, also by a parent that was let go meanwhile", () =>
    inStore(both, (store) =>
      Effect.gen(function* () {
        const run = yield* Parent.start(undefined)
        const last = (yield* waitsForStop(store)).at(-1)
        yield* letGo(store, run)
        expect(last?.parent?.run).toBe(run)
        if (last !== undefined) yield* Count.signal(last.id, Stop, 5)
        expect(yield* Parent.await(run)).toBe("kid 5")
      })
    )
  )

  it.live("is copied as a chain into a fork of its parent", () =>
    inStore(both, (store) =>
      Effect.gen(function* () {
        const run = yield* Parent.start(undefined)
        const last = (yield* waitsForStop(store)).at(-1)
        if (last !== undefined) yield* Count.signal(last.id, Stop, 5)
        yield* Parent.await(run)
        const forked = yield* fork(run, { fromStep: "after" })
        expect(yield* Parent.await(forked)).toBe("kid 5")
        const copies = (yield* chain(store)).filter(({ root }) => root === forked).toSorted(byLeft)
        const [first, second, third] = copies.map(({ id }) => id)
        expect(copies.map(({ continuedAs }) => continuedAs)).toEqual([second, third, null])
        expect(copies.map(({ continues }) => continues?.previous)).toEqual([undefined, first, second])
        expect(copies.map(({ continues }) => continues?.first)).toEqual([undefined, first, first])
      })
    )
  )

  it.live("is cancelled with its parent, whichever run it has come to", () =>
    inStore(both, (store) =>
      Effect.gen(function* () {
        const run = yield* Parent.start(undefined)
        const last = (yield* waitsForStop(store)).at(-1)
        yield* Parent.cancel(run)
        yield* Effect.flip(Parent.await(run))
        const ended = last === undefined ? undefined : yield* store.get(last.id)
        expect(ended).toMatchObject({ status: "cancelled", cancelReason: "parent cancelled" })
      })
    )
  )
})

describe("the limit of a journal", () => {
  const Long = Workflow.make("long", { payload: Schema.Int, success: Schema.Boolean })
  const long = Long.toLayer((rows) =>
    Effect.gen(function* () {
      for (let row = 0; row < rows; row++) yield* Workflow.now
      return yield* Workflow.continueAsNewSuggested
    })
  )

  it.live("parks a run that comes to it, says what to do, and lets it go on with a higher one", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Effect.provide(
            Effect.tap(Long.start(12), (run) => parked(store, run)),
            engine(store, long, { maxJournalRows: 10 })
          )
          const { error } = yield* store.get(run)
          expect(error).toContain("10 rows")
          expect(error).toContain("maxJournalRows")
          expect(error).toContain("continueAsNew")
          const polled = yield* Effect.provide(Long.poll(run), engine(store, Layer.empty))
          expect(polled).toMatchObject(Option.some({ _tag: "Parked", reason: error }))
          const value = yield* Effect.provide(Long.await(run), engine(store, long, { maxJournalRows: 100 }))
          expect(value).toBe(false)
        })
      )
    })
  )

  it.live("is told of at four fifths, once: by an event, and to the body that asks", () =>
    inEngineWith({ maxJournalRows: 20 }, long, () =>
      Effect.gen(function* () {
        const warnings = yield* warningsOf(Effect.flatMap(Long.start(17), Long.await))
        expect(warnings.value).toBe(true)
        expect(warnings.messages).toEqual(["its journal has 16 rows, of 20 that it may have"])
        expect(yield* Long.execute(3)).toBe(false)
      })
    )
  )

  it.live("does not keep a run from being compensated", () =>
    Effect.gen(function* () {
      const undone: Array<number> = []
      const Sad = Workflow.make("sad", { payload: Schema.Void, error: Schema.String })
      const sad = Sad.toLayer(() =>
        Effect.gen(function* () {
          for (const n of [1, 2, 3]) {
            yield* Workflow.now.pipe(Workflow.withCompensation(() => Effect.sync(() => undone.push(n))))
          }
          return yield* Effect.fail("sad")
        })
      )
      yield* inEngineWith({ maxJournalRows: 6 }, sad, () => Effect.flip(Sad.execute(undefined)))
      expect(undone).toEqual([3, 2, 1])
    })
  )
})
