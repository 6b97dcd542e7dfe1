/**
 * What may come between the commits that create a child, or end it, and what follows them here: the answer of a store
 * takes time.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { answer, cancel } from "../../../src/engine/Client.ts"
import { Engine } from "../../../src/engine/Engine.ts"
import type { Change } from "../../../src/persistence/Journal.ts"
import * as MemoryPersistence from "../../../src/persistence/MemoryPersistence.ts"
import { Persistence, PersistenceError, type PersistenceService } from "../../../src/persistence/Persistence.ts"
import type { RunId } from "../../../src/persistence/Records.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { action, isEvent, start, watch, type World } from "../TestEngine.ts"
import { untilStatus, virtualLayer } from "./support.ts"

/** What becomes of a commit of these changes. */
type Answered = <A, E>(
  changes: ReadonlyArray<Change>,
  written: Effect.Effect<A, E>
) => Effect.Effect<A, E | PersistenceError>

const answering = (store: PersistenceService, answered: Answered): PersistenceService =>
  Persistence.of({
    ...store,
    commit: (commit) => answered(commit.changes, store.commit(commit)),
    createWith: (run, changes) => answered(changes, store.createWith(run, changes))
  })

/** A store that answers the commits that create children after a while, ms. */
const lateAnswers = (store: PersistenceService, late: number): PersistenceService =>
  answering(store, (changes, written) =>
    changes.some(({ _tag }) => _tag === "Create") ? Effect.zipLeft(written, Effect.sleep(late)) : written
  )

const ends = (change: Change): boolean => change._tag === "Run" && change.patch.status === "completed"

/** One whose first look for runs fails: the engine cannot know then what it has claimed, and looks for that (O4). */
const withFailedLook = (store: PersistenceService): PersistenceService => {
  let isFirst = true
  const failed = new PersistenceError({ reason: "Io", message: "no answer" })
  return Persistence.of({
    ...store,
    claimReady: (options) =>
      Effect.suspend(() => {
        if (!isFirst) return store.claimReady(options)
        isFirst = false
        return Effect.fail(failed)
      })
  })
}

const untilChild = (parent: RunId) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    for (;;) {
      const [child] = yield* persistence.list({ parent, limit: 1 })
      if (child !== undefined) return child.id
      yield* Effect.sleep(5)
    }
  })

const scenario = (
  world: World,
  from: (store: PersistenceService) => PersistenceService,
  body: Effect.Effect<void, unknown, Engine | Persistence | Layered>
) =>
  Effect.gen(function* () {
    const store = from((yield* MemoryPersistence.make()).service)
    const before = new Set(Fiber.unsafeRoots())
    yield* withVirtualClock(Effect.provide(body, virtualLayer(world, store)))
    // A run that is here twice is stopped once.
    expect(
      Fiber.unsafeRoots()
        .filter((fiber) => !before.has(fiber))
        .map((fiber) => fiber.id())
    ).toEqual([])
  }).pipe(Logger.withMinimumLogLevel(LogLevel.None))

type Layered = Effect.Effect.Context<ReturnType<typeof start>>

/** An action, and how often it began. */
const counted = () => {
  let began = 0
  const a = action(() => {
    began += 1
    return {}
  })
  return { a, begun: () => began }
}

describe("a child whose creation the store has not answered yet", () => {
  it.live("is not taken up twice when a look finds it first, and hears what is said to it", () => {
    const { a, begun } = counted()
    const world: World = {
      actions: { a, before: action(() => ({})) },
      workflows: ["workflow sub { call a gate human_review {} }"],
      settings: { linger: 1e9, watchdogInterval: 1_000 }
    }
    return scenario(
      world,
      (store) => withFailedLook(lateAnswers(store, 5_000)),
      Effect.scoped(
        Effect.gen(function* () {
          const watched = yield* watch
          const run = yield* start("workflow w { call before call workflow sub }")
          const child = yield* untilChild(run)
          yield* untilStatus(child, "waiting")
          // The answer has come, and the parent has seen to its child.
          yield* Effect.sleep(10_000)
          yield* answer(child, { approved: true })
          const engine = yield* Engine
          expect((yield* engine.await(run)).status).toBe("completed")
          expect(begun()).toBe(1)
          expect(watched.seen.filter(isEvent("RunStarted")).filter((event) => event.run === child)).toHaveLength(1)
        })
      )
    )
  })

  it.live("is not taken up anew when a look has found it first and it has ended since", () => {
    const { a, begun } = counted()
    const world: World = {
      actions: { a, before: action(() => ({})) },
      workflows: ["workflow sub { call a }"],
      settings: { watchdogInterval: 1_000 }
    }
    return scenario(
      world,
      (store) => withFailedLook(lateAnswers(store, 5_000)),
      Effect.gen(function* () {
        const run = yield* start("workflow w { call before call workflow sub }")
        const engine = yield* Engine
        expect((yield* engine.await(run)).status).toBe("completed")
        expect(begun()).toBe(1)
      })
    )
  })

  it.live("is cancelled by a message that comes before that", () => {
    const { a, begun } = counted()
    const world: World = { actions: { a, before: action(() => ({})) }, workflows: ["workflow sub { call a }"] }
    return scenario(
      world,
      (store) => lateAnswers(store, 5_000),
      Effect.gen(function* () {
        const run = yield* start("workflow w { call before call workflow sub }")
        const child = yield* untilChild(run)
        yield* cancel(child)
        const engine = yield* Engine
        expect((yield* engine.await(run)).status).toBe("failed")
        const persistence = yield* Persistence
        expect((yield* persistence.get(child)).status).toBe("cancelled")
        expect(begun()).toBe(0)
      })
    )
  })
})

describe("a child that ends", () => {
  const world: World = {
    actions: { a: action(() => ({})) },
    workflows: ["workflow sub { gate human_review {} }"],
    settings: { linger: 1e9 }
  }
  const parent = "workflow w { call workflow sub call a }"

  /** The messages to other runs that commits have put into their inboxes. */
  const noting =
    (told: Array<string>): ((store: PersistenceService) => PersistenceService) =>
    (store) =>
      answering(store, (changes, written) =>
        Effect.tap(written, () =>
          Effect.forEach(changes, (change) => {
            if (change._tag !== "Notify") return Effect.void
            const loaded = Effect.orDie(store.load(change.run))
            return Effect.map(loaded, ({ inbox }) => {
              if (inbox.some(({ message }) => message === change.message)) told.push(change.message._tag)
            })
          })
        )
      )

  const completes = (run: RunId) =>
    Effect.gen(function* () {
      const engine = yield* Engine
      expect((yield* engine.await(run)).status).toBe("completed")
      // Who looked for it elsewhere has left.
      yield* Effect.sleep(1_000)
    })

  it.live("tells a parent that lives beside it without a row", () => {
    const told: Array<string> = []
    return scenario(
      world,
      noting(told),
      Effect.gen(function* () {
        const run = yield* start(parent)
        const child = yield* untilChild(run)
        yield* untilStatus(child, "waiting")
        yield* answer(child, { approved: true })
        yield* completes(run)
        expect(told).toEqual(["ChildWaiting", "ChildRunning"])
      })
    )
  })

  it.live("tells one that was let go by a row", () => {
    const told: Array<string> = []
    return scenario(
      world,
      noting(told),
      Effect.gen(function* () {
        const engine = yield* Engine
        const run = yield* start(parent)
        const child = yield* untilChild(run)
        yield* untilStatus(run, "waiting")
        yield* engine.letGo(run)
        yield* engine.awaitRelease(run)
        yield* answer(child, { approved: true })
        yield* completes(run)
        expect(told).toEqual(["ChildWaiting", "ChildRunning", "ChildEnded"])
      })
    )
  })

  it.live("holds its parent until that is told, which would be let go for good", () =>
    scenario(
      world,
      (store) =>
        answering(store, (changes, written) =>
          changes.some(ends) ? Effect.zipRight(Effect.sleep(5_000), written) : written
        ),
      Effect.gen(function* () {
        const engine = yield* Engine
        const persistence = yield* Persistence
        const run = yield* start(parent)
        const child = yield* untilChild(run)
        yield* untilStatus(run, "waiting")
        yield* answer(child, { approved: true })
        yield* Effect.sleep(1_000)
        yield* engine.letGo(run)
        yield* Effect.sleep(1_000)
        const { owner, status } = yield* persistence.get(run)
        expect({ owner, status }).toEqual({ owner: engine.id, status: "waiting" })
        yield* completes(run)
      })
    )
  )

  it.live("is looked at by its parent where nobody knows whether its end was written", () => {
    let isLost = false
    const gone = new PersistenceError({ reason: "Other", message: "no answer" })
    return scenario(
      world,
      (store) =>
        answering(store, (changes, written) => {
          if (isLost || !changes.some(ends)) return written
          isLost = true
          return Effect.zipRight(written, Effect.fail(gone))
        }),
      Effect.gen(function* () {
        const run = yield* start(parent)
        const child = yield* untilChild(run)
        yield* untilStatus(child, "waiting")
        yield* answer(child, { approved: true })
        yield* completes(run)
        expect(isLost).toBe(true)
      })
    )
  })
})
