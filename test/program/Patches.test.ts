/** J1, J2: a run keeps to one side of a change, whenever the change is deployed and wherever the run is stopped. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { recordingStates } from "../../src/testing/CrashStates.ts"
import { loseEngines } from "../../src/testing/ProgramRunner.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, outline, parked } from "./support.ts"

const Say = Action.make("say", { payload: Schema.String })
const Note = Action.make("note", { payload: Schema.String })
const handlers = Layer.merge(
  Say.toLayer(() => Effect.void),
  Note.toLayer(() => Effect.void)
)

type Body = Effect.Effect<
  unknown,
  never,
  Workflow.WorkflowRun | Action.HandlerOf<typeof Say> | Action.HandlerOf<typeof Note>
>

const Patched = Workflow.make("patched", { payload: Schema.Void, success: Schema.Unknown })
const code = (body: Body) =>
  Layer.provide(
    Patched.toLayer(() => Effect.orDie(body)),
    handlers
  )

const say = (text: string) => Action.call(Say, text)
const note = (text: string) => Action.call(Note, text)

/** Starts under the old code, until the run sleeps; goes on under each of the new ones. */
const deployed = (old: Body, ...news: readonly [Body, ...ReadonlyArray<Body>]) =>
  withVirtualClock(
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const run = yield* Effect.provide(
        Effect.tap(Patched.start(undefined), (run) => letGo(store, run)),
        engine(store, code(old))
      )
      for (const body of news.slice(0, -1)) yield* Effect.provide(wake(store, run), engine(store, code(body)))
      const value = yield* Effect.provide(
        Effect.zipRight(resume(run), Patched.await(run)),
        engine(store, code(news.at(-1) ?? old))
      )
      return { value, rows: yield* outline(store, run) }
    })
  )

/** Replays a run up to where it waits. */
const wake = (store: PersistenceService, run: RunId) => Effect.zipRight(resume(run), letGo(store, run))

const nap = Workflow.sleep("20 seconds")

describe("a patch", () => {
  it.live("is taken by a new run, and recorded", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const body = Effect.tap(Workflow.patched("new way"), (isNew) => say(isNew ? "new" : "old"))
      const rows = yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Patched.start(undefined)
          expect(yield* Patched.await(run)).toBe(true)
          return yield* outline(store, run)
        }).pipe(Effect.provide(engine(store, code(body))))
      )
      expect(rows).toEqual(["/@patched/new%20way completed", "/say completed", "/@body completed"])
    })
  )

  it.live("is taken by a run that has not come to it, and not by one that has gone past it", () =>
    Effect.gen(function* () {
      const old = Effect.gen(function* () {
        yield* say("before")
        yield* nap
        yield* say("after")
      })
      const ahead = Effect.gen(function* () {
        yield* say("before")
        yield* nap
        if (yield* Workflow.patched("p")) yield* note("patched")
        yield* say("after")
        return "new"
      })
      const behind = Effect.gen(function* () {
        yield* say("before")
        if (yield* Workflow.patched("p")) yield* note("patched")
        yield* nap
        yield* say("after")
        return "old"
      })
      expect((yield* deployed(old, ahead)).rows).toContain("/note completed")
      expect((yield* deployed(old, behind)).rows).not.toContain("/note completed")
    })
  )

  it.live("has one answer for the whole run: places ahead of it keep to the side of the first", () =>
    Effect.gen(function* () {
      const old = Effect.gen(function* () {
        yield* say("lock, the old way")
        yield* nap
        yield* say("unlock, the old way")
      })
      const both = Effect.gen(function* () {
        const isNew = yield* Workflow.patched("locks")
        yield* isNew ? note("lock") : say("lock, the old way")
        yield* nap
        yield* (yield* Workflow.patched("locks")) ? note("unlock") : say("unlock, the old way")
      })
      const { rows } = yield* deployed(old, both)
      expect(rows).toEqual([
        "/say completed",
        "/sleep completed",
        "/@patched/locks completed",
        "/say~2 completed",
        "/@body completed"
      ])
    })
  )

  it.live("keeps its answer over further replays, also where it was decided at the very end of the journal", () =>
    Effect.gen(function* () {
      const old = Effect.zipRight(say("one"), nap)
      const next = Effect.gen(function* () {
        yield* say("one")
        yield* nap
        const isNew = yield* Workflow.patched("p")
        yield* nap
        return isNew === (yield* Workflow.patched("p")) ? isNew : "another answer"
      })
      expect((yield* deployed(old, next, next)).value).toBe(true)
    })
  )

  it.live("at the end of a branch that had ended is not taken, where the block around it has ended", () =>
    Effect.gen(function* () {
      const old = Effect.zipRight(Workflow.all([say("a"), say("b")]), nap)
      const next = Effect.gen(function* () {
        yield* Workflow.all([
          Effect.tap(say("a"), () => Effect.whenEffect(note("late"), Workflow.patched("p"))),
          say("b")
        ])
        yield* nap
      })
      expect((yield* deployed(old, next)).rows).not.toContain("/all/0/note completed")
    })
  )

  it.live("at the end of a branch whose siblings are still at work is taken", () =>
    Effect.gen(function* () {
      const old = Workflow.all([say("a"), Effect.zipRight(say("b"), nap)])
      const next = Workflow.all([
        Effect.tap(say("a"), () => Effect.whenEffect(note("late"), Workflow.patched("p"))),
        Effect.zipRight(say("b"), nap)
      ])
      expect((yield* deployed(old, next)).rows).toContain("/all/0/note completed")
    })
  )

  it.live("keeps an old run to its side when it is cancelled and compensated", () =>
    Effect.gen(function* () {
      const taken = (text: string) => say(text).pipe(Workflow.withCompensation(() => note(`undo ${text}`)))
      const old = Effect.zipRight(taken("a"), nap)
      const next = Effect.gen(function* () {
        if (yield* Workflow.patched("p")) yield* note("first")
        yield* taken("a")
        yield* nap
      })
      const { service: store } = yield* MemoryPersistence.make()
      const rows = yield* withVirtualClock(
        Effect.gen(function* () {
          const run = yield* Effect.provide(
            Effect.tap(Patched.start(undefined), (run) => letGo(store, run)),
            engine(store, code(old))
          )
          const ended = Effect.zipRight(Patched.cancel(run), Effect.flip(Patched.await(run)))
          expect(yield* Effect.provide(ended, engine(store, code(next)))).toMatchObject({ status: "cancelled" })
          return yield* outline(store, run)
        })
      )
      expect(rows).toContain("/@compensation/undo/note completed")
    })
  )
})

describe("a deprecated patch", () => {
  const old = Effect.zipRight(say("old"), nap)
  const patched = Effect.gen(function* () {
    yield* (yield* Workflow.patched("p")) ? note("new") : say("old")
    yield* nap
  })
  const deprecated = Effect.gen(function* () {
    yield* Workflow.deprecatePatch("p")
    yield* note("new")
    yield* nap
  })

  it.live("lets runs go on that took it, and new ones begin", () =>
    Effect.gen(function* () {
      expect((yield* deployed(patched, deprecated)).rows).toContain("/note completed")
      const { service: store } = yield* MemoryPersistence.make()
      yield* withVirtualClock(Effect.provide(Patched.execute(undefined), engine(store, code(deprecated))))
    })
  )

  it.live("parks a run from before it, by name, and the code of that time lets it finish", () =>
    Effect.gen(function* () {
      for (const before of [old, patched]) {
        const { service: store } = yield* MemoryPersistence.make()
        yield* withVirtualClock(
          Effect.gen(function* () {
            const run = yield* Effect.provide(
              Effect.tap(Patched.start(undefined), (run) => letGo(store, run)),
              engine(store, code(old))
            )
            if (before === patched) yield* Effect.provide(wake(store, run), engine(store, code(patched)))
            const { error } = yield* Effect.provide(
              Effect.zipRight(resume(run), parked(store, run)),
              engine(store, code(deprecated))
            )
            expect(error).toContain("patch 'p'")
            yield* Effect.provide(Patched.await(run), engine(store, code(patched)))
          })
        )
      }
    })
  )
})

describe("a patch deployed at any moment of a run", () => {
  const old = Effect.gen(function* () {
    yield* say("one")
    yield* Workflow.all([say("two"), Effect.zipRight(Workflow.sleep("1 second"), say("three"))])
    yield* say("four")
  })
  const next = Effect.gen(function* () {
    yield* say("one")
    const isNew = yield* Workflow.patched("p")
    if (isNew) yield* note("begin")
    yield* Workflow.all([say("two"), Effect.zipRight(Workflow.sleep("1 second"), say("three"))])
    yield* say("four")
    if (yield* Workflow.patched("p")) yield* note("end")
    return isNew
  })

  const finish = (store: PersistenceService, run: RunId, body: Body) =>
    Effect.gen(function* () {
      yield* loseEngines(store)
      return yield* Effect.provide(Patched.await(run), engine(store, code(body), { linger: 100 }))
    })

  it.live(
    "leaves it on one side, over crashes at every write before and after",
    () =>
      Effect.gen(function* () {
        const first = recordingStates(yield* MemoryPersistence.make(), () => undefined)
        yield* withVirtualClock(Effect.provide(Patched.execute(undefined), engine(first.service, code(old))))
        const sides = new Set<unknown>()
        for (const state of first.states()) {
          const memory = yield* MemoryPersistence.make({ from: state.snapshot })
          const [root] = yield* memory.service.list({ limit: 1 })
          if (root === undefined || root.endedAt !== null) continue
          const second = recordingStates(memory, () => undefined)
          const value = yield* withVirtualClock(finish(second.service, root.id, next), root.createdAt + 1_000_000)
          sides.add(value)
          const rows = yield* outline(memory.service, root.id)
          const notes = rows.filter((row) => row.startsWith("/note"))
          expect(notes, state.name).toHaveLength(value === true ? 2 : 0)
          for (const { snapshot } of second.states()) {
            const again = yield* MemoryPersistence.make({ from: snapshot })
            if ((yield* again.service.get(root.id)).endedAt !== null) continue
            yield* withVirtualClock(finish(again.service, root.id, next), root.createdAt + 2_000_000)
            expect((yield* outline(again.service, root.id)).toSorted()).toEqual(rows.toSorted())
          }
        }
        expect(sides).toEqual(new Set([true, false]))
      }),
    60_000
  )
})
