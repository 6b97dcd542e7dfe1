import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as TestClock from "effect/TestClock"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Executor } from "../../src/action/Action.ts"
import { moduleAction } from "../../src/action/ModuleAction.ts"
import { makeLoader } from "../../src/action/ModuleLoader.ts"
import { eventually, processesWith } from "../action/support.ts"
import { action, awaitEnd, calm, layerOf, runIn, start, watch, type World } from "./TestEngine.ts"

const ok = action(() => ({}))

/** An executor that says when it has begun, and otherwise does what it is given. */
const begun = (work: Effect.Effect<never>) => {
  const started = Deferred.unsafeMake<void>(FiberId.none)
  const execute: Executor = () => Effect.zipRight(Deferred.succeed(started, undefined), work)
  return { started: Deferred.await(started), execute }
}

describe("the timeout of an attempt", () => {
  it.scoped("interrupts it at the deadline, closes its scope once, and ends the step timed out", () =>
    Effect.gen(function* () {
      let released = 0
      const { execute, started } = begun(Effect.never)
      const scoped: Executor = (call) =>
        Effect.zipRight(
          Effect.addFinalizer(() => Effect.sync(() => (released += 1))),
          execute(call)
        )
      const end = yield* timed({ actions: { a: scoped } }, "workflow w { call a { timeout = 1s } }", started, [1_000])
      const row = end.step("/a")
      expect([row.status, row.error]).toEqual(["timed_out", "timed out after 1000 ms"])
      const [attempt] = row.attempts
      expect([attempt?.outcome, attempt?.abandoned]).toEqual(["timed_out", false])
      expect((attempt?.endedAt ?? 0) - (attempt?.startedAt ?? 0)).toBe(1_000)
      expect(released).toBe(1)
      expect(end.run.error).toBe("a: timed out after 1000 ms")
    })
  )

  it.scoped("abandons one that ignores its interruption after the grace period, and says so", () =>
    Effect.gen(function* () {
      const { execute, started } = begun(Effect.uninterruptible(Effect.never))
      const world: World = { actions: { a: execute }, settings: { interruptGrace: 500 } }
      const end = yield* timed(world, "workflow w { call a { timeout = 1s } }", started, [1_000, 500])
      const [attempt] = end.step("/a").attempts
      expect([attempt?.outcome, attempt?.abandoned]).toEqual(["timed_out", true])
      expect((attempt?.endedAt ?? 0) - (attempt?.startedAt ?? 0)).toBe(1_500)
    })
  )

  it.scoped("counts as a failure: retries and on_fail apply", () =>
    Effect.gen(function* () {
      const { execute, started } = begun(Effect.never)
      let attempts = 0
      const once: Executor = (call) => (attempts++ === 0 ? execute(call) : Effect.succeed({}))
      const world: World = { actions: { a: once, fix: ok } }
      const end = yield* timed(
        world,
        "workflow w { call a { timeout = 1s retries = 1 on_fail = fix } }",
        started,
        [1_000]
      )
      expect(end.outline).toEqual(["/a completed"])
      expect(end.step("/a").attempts.map(({ outcome }) => outcome)).toEqual(["timed_out", "completed"])
    })
  )

  it.scoped("is the run's step timeout where a call has none of its own", () =>
    Effect.gen(function* () {
      const { execute, started } = begun(Effect.never)
      const end = yield* timed({ actions: { a: execute } }, "workflow w { call a }", started, [60_000], {
        settings: { stepTimeout: 60_000 }
      })
      expect(end.step("/a").error).toBe("timed out after 60000 ms")
    })
  )

  it.scoped("is 12 hours by default", () =>
    Effect.gen(function* () {
      const { execute, started } = begun(Effect.never)
      const hours = 3_600_000
      const end = yield* timed({ actions: { a: execute } }, "workflow w { call a }", started, [12 * hours])
      expect(end.step("/a").error).toBe(`timed out after ${12 * hours} ms`)
    })
  )

  it.scoped("applies to a branch of a parallel block", () =>
    Effect.gen(function* () {
      const { execute, started } = begun(Effect.never)
      const end = yield* timed(
        { actions: { a: execute, b: ok } },
        "workflow w { parallel { fail_fast = false call a { timeout = 2s } call b } }",
        started,
        [2_000]
      )
      expect(end.outline).toEqual(["/parallel/a timed_out", "/parallel/b completed"])
    })
  )

  it.scoped("of the whole run ends it failed, its steps in flight cancelled, always run", () =>
    Effect.gen(function* () {
      const { execute, started } = begun(Effect.never)
      const end = yield* timed(
        { actions: { a: execute, b: ok } },
        "workflow w { call a always { call b } }",
        started,
        [5_000],
        { settings: { runTimeout: 5_000 } }
      )
      expect(end.outline).toEqual(["/a cancelled", "/@always/b completed"])
      expect([end.run.status, end.run.error]).toEqual(["failed", "the run timed out after 5000 ms"])
    })
  )

  it.live("ends a module that heeds its signal at once, and names one that does not as abandoned", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "millrace-timeout-"))
      const loader = makeLoader({})
      const module = (name: string, source: string) => {
        const file = join(folder, `${name}.mjs`)
        writeFileSync(file, source)
        // Loaded before: the time of an attempt is to be the action's alone.
        return Effect.as(loader.load(file), moduleAction(file, loader))
      }
      const onAbort = `new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)))`
      const heeds = yield* module("heeds", `export default (_, { signal }) => ${onAbort}`)
      const ignores = yield* module("ignores", "export default () => new Promise(() => {})")
      const end = yield* runIn(
        { actions: { heeds, ignores }, settings: { interruptGrace: 600 } },
        "workflow w { call heeds { timeout = 200ms on_fail = continue } call ignores { timeout = 200ms } }"
      )
      const took = (path: string) => {
        const [attempt] = end.step(path).attempts
        return { ms: (attempt?.endedAt ?? 0) - (attempt?.startedAt ?? 0), abandoned: attempt?.abandoned }
      }
      expect(took("/heeds").abandoned).toBe(false)
      expect(took("/heeds").ms).toBeGreaterThanOrEqual(199)
      expect(took("/heeds").ms).toBeLessThan(700)
      expect(took("/ignores").abandoned).toBe(true)
      expect(took("/ignores").ms).toBeGreaterThanOrEqual(799)
      expect(took("/ignores").ms).toBeLessThan(1_300)
      rmSync(folder, { recursive: true })
    })
  )

  it.live("ends the whole process group of a script", () =>
    Effect.gen(function* () {
      const end = yield* runIn({}, `workflow w { script s { run = "sleep 3141 & sleep 3141" timeout = 300ms } }`)
      const [attempt] = end.step("/s").attempts
      expect([end.step("/s").status, attempt?.abandoned]).toEqual(["timed_out", false])
      expect(yield* eventually(() => processesWith("sleep 3141").length === 0)).toBe(true)
    })
  )
})

/** Runs a workflow on the test clock, which moves by each of the steps once its action has begun. */
const timed = (
  world: World,
  text: string,
  started: Effect.Effect<void>,
  moves: ReadonlyArray<number>,
  options: Parameters<typeof start>[1] = {}
) =>
  Effect.gen(function* () {
    const watched = yield* watch
    const id = yield* start(text, options)
    yield* started
    for (const move of moves) yield* TestClock.adjust(move)
    return yield* awaitEnd(id, watched)
  }).pipe(Effect.provide(layerOf({ ...world, settings: { ...calm, ...world.settings } })))
