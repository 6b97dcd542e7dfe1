/**
 * Runs that are done again, in place or in a fork, cancelled or paused: the same body is never parked for it.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Client from "../../src/engine/Client.ts"
import { fork, resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { PersistenceService } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, outline, until } from "./support.ts"

const Note = Action.make("note", { payload: Schema.String, success: Schema.String, error: Schema.String })
const Other = Action.make("other", { payload: Schema.String })

const Kept = Workflow.make("kept", { payload: Schema.Void, error: Schema.String })

const note = (text: string) => Action.call(Note, text)
const other = (text: string) => Action.call(Other, text)

type Needs = Workflow.WorkflowRun | Action.HandlerOf<typeof Note> | Action.HandlerOf<typeof Other>
type Body = Effect.Effect<unknown, string, Needs>

interface World {
  /** Texts that fail. */
  readonly broken: Set<string>
  readonly notes: Array<string>
}

const code = (body: Body, { broken, notes }: World) =>
  Layer.provide(
    Kept.toLayer(() => Effect.asVoid(body)),
    Layer.merge(
      Note.toLayer((text) =>
        Effect.suspend(() => {
          notes.push(text)
          return broken.has(text) ? Effect.fail(`${text} is broken`) : Effect.succeed(text)
        })
      ),
      Other.toLayer((text) => Effect.sync(() => void notes.push(text)))
    )
  )

/** Runs a body in an engine on a virtual clock. */
const running = <A, E>(
  body: Body,
  story: (given: {
    readonly store: PersistenceService
    readonly run: RunId
    readonly world: World
  }) => Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof engine>>>,
  broken: ReadonlyArray<string> = []
) =>
  withVirtualClock(
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const world: World = { broken: new Set(broken), notes: [] }
      const told = Effect.gen(function* () {
        const run = yield* Kept.start(undefined)
        return yield* story({ store, run, world })
      })
      return yield* Effect.provide(told, engine(store, code(body, world)))
    })
  )

const atRest = (store: PersistenceService, run: RunId) =>
  until(store, run, ({ status }) => !["pending", "running", "waiting", "cancelling"].includes(status))

describe("a fork", () => {
  it.live("has the time that the other run had, also a fork of a fork", () =>
    running(
      Effect.gen(function* () {
        const began = yield* Clock.currentTimeMillis
        yield* note("first")
        yield* Workflow.sleep("1 minute")
        const isLate = (yield* Clock.currentTimeMillis) - began >= 60_000
        yield* isLate ? other("late") : note("early")
        yield* note("last")
      }),
      ({ run, store, world }) =>
        Effect.gen(function* () {
          yield* Kept.await(run)
          const forked = yield* fork(run, { fromStep: "/note~2" })
          yield* Kept.await(forked)
          yield* Kept.await(yield* fork(forked, { fromStep: "/note~2" }))
          yield* resume(forked, { _tag: "From", step: "/note~2" })
          expect((yield* atRest(store, forked)).status).toBe("completed")
          expect(world.notes).toEqual(["first", "late", "last", "last", "last", "last"])
        })
    )
  )

  it.live("draws what the other run drew", () =>
    running(
      Effect.gen(function* () {
        for (let n = 0; n < 12; n++) yield* (yield* Random.nextBoolean) ? note(`${n}`) : other(`${n}`)
        yield* Workflow.all({ end: other("end") })
      }),
      ({ run, world }) =>
        Effect.gen(function* () {
          yield* Kept.await(run)
          yield* Kept.await(yield* fork(run, { fromStep: "/all/end/other" }))
          expect(world.notes.slice(13)).toEqual(["end"])
        })
    )
  )

  it.live("of a run that took another way when it was resumed need not come to what is left of the first", () =>
    running(
      Effect.gen(function* () {
        const took = yield* Effect.either(note("try"))
        if (took._tag === "Left") yield* other("instead")
        yield* took._tag === "Left" ? note("never") : note("well")
        yield* note("last")
      }),
      ({ run, world }) =>
        Effect.gen(function* () {
          yield* Effect.flip(Kept.await(run))
          world.broken.clear()
          yield* resume(run)
          yield* Kept.await(run)
          yield* Kept.await(yield* fork(run, { fromStep: "/note~3" }))
          expect(world.notes).toEqual(["try", "instead", "never", "try", "well", "last", "last"])
        }),
      ["try", "never"]
    )
  )

  it.live("does a block again in which something is done again", () =>
    running(
      Effect.gen(function* () {
        const failing = Workflow.all({
          fails: Effect.zipRight(Workflow.sleep("2 seconds"), note("fails")),
          slow: Workflow.sleep("1 hour")
        })
        const inner = Effect.either(failing)
        const both = yield* Workflow.all({ inner, beside: Effect.zipRight(Workflow.sleep("1 second"), note("beside")) })
        yield* other(both.inner._tag === "Left" ? "failed" : `gave ${Object.values(both.inner.right).length}`)
      }),
      ({ run, store, world }) =>
        Effect.gen(function* () {
          yield* Kept.await(run)
          world.broken.clear()
          const forked = yield* fork(run, { fromStep: "/all/beside/note" })
          const started = yield* Effect.map(store.get(forked), ({ createdAt }) => createdAt)
          yield* Kept.await(forked)
          expect(world.notes.at(-1)).toBe("gave 2")
          // The branch that had been stopped was waited for.
          expect((yield* store.get(forked)).endedAt ?? 0).toBeGreaterThanOrEqual(started + 3_600_000)
        }),
      ["fails"]
    )
  )
})

describe("a patch", () => {
  const patched = (id: string): Body =>
    Effect.flatMap(Workflow.patched(id), (is): Body => (is ? note(`new ${id}`) : other(`old ${id}`)))

  it.live("keeps its place in a run that is done again, so that a fork of that run keeps the answer", () =>
    running(
      Effect.gen(function* () {
        yield* note("first")
        yield* patched("p")
        yield* note("last")
      }),
      ({ run, world }) =>
        Effect.gen(function* () {
          yield* Kept.await(run)
          yield* resume(run, { _tag: "Restart" })
          yield* Kept.await(run)
          const forked = yield* fork(run, { fromStep: "/note~3" })
          yield* Kept.await(forked)
          expect(world.notes.slice(6)).toEqual(["last"])
        })
    )
  )

  it.live("that is deprecated parks no run that was cancelled before it came there", () =>
    running(
      Effect.gen(function* () {
        yield* note("done").pipe(Workflow.withCompensation(() => other("undone")))
        yield* Workflow.sleep("1 hour")
        yield* Workflow.deprecatePatch("p")
      }),
      ({ run, store, world }) =>
        Effect.gen(function* () {
          yield* letGo(store, run)
          yield* Client.cancel(run)
          expect((yield* atRest(store, run)).status).toBe("cancelled")
          expect(world.notes).toEqual(["done", "undone"])
        })
    )
  )

  it.live("that is deprecated parks no run whose lost branch had not come there", () =>
    running(
      Effect.gen(function* () {
        const lost = Effect.zipRight(Workflow.sleep("1 minute"), Workflow.deprecatePatch("p"))
        const slow = Effect.zipRight(Workflow.sleep("1 hour"), Workflow.deprecatePatch("p"))
        yield* Workflow.race({ lost: Effect.zipRight(slow, lost), won: note("won") })
        yield* Workflow.sleep("1 hour")
      }),
      ({ run, store }) =>
        Effect.gen(function* () {
          yield* letGo(store, run)
          expect((yield* atRest(store, run)).status).toBe("completed")
        })
    )
  )
})

describe("a run that is paused", () => {
  it.live("where its body cannot be interrupted is let go, and goes on when it is unpaused", () =>
    running(
      Effect.scoped(
        Effect.acquireRelease(
          Effect.zipRight(note("first"), Effect.zipRight(Workflow.sleep("30 seconds"), note("second"))),
          () => other("released")
        )
      ),
      ({ run, store, world }) =>
        Effect.gen(function* () {
          yield* letGo(store, run)
          yield* Client.pause(run)
          yield* Effect.sleep("2 minutes")
          expect(yield* letGo(store, run)).toMatchObject({ owner: null, blockedOn: [{ _tag: "paused" }, {}] })
          yield* Client.unpause(run)
          expect((yield* atRest(store, run)).status).toBe("completed")
          expect(world.notes).toEqual(["first", "second", "released"])
        })
    )
  )

  it.live("before an acquisition begins its next step is let go there", () =>
    running(
      Effect.scoped(Effect.acquireRelease(Effect.zipRight(note("slow"), note("second")), () => other("released"))),
      ({ run, store, world }) =>
        Effect.gen(function* () {
          yield* Client.pause(run)
          yield* letGo(store, run)
          yield* Client.unpause(run)
          expect((yield* atRest(store, run)).status).toBe("completed")
          expect(yield* outline(store, run)).toContain("/other completed")
          expect(world.notes).toEqual(["slow", "second", "released"])
        })
    )
  )
})
