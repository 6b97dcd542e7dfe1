/**
 * What steps tell those after them does not grow without limit: `maxContextBytes`.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { answer } from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { Contexts } from "../../src/engine/interpreter/Contexts.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { action, layerOf, start, type World } from "./TestEngine.ts"
import { untilStatus } from "./durability/support.ts"

const contextOf = (text: string) => ({
  step: "s",
  iteration: 0,
  context: text,
  markers: [],
  structured_output: null,
  output_file: null
})

const read = (text: string): ReadonlyArray<{ readonly step: string; readonly context: string }> => JSON.parse(text)

describe("the contexts that are handed on", () => {
  it("are all there as long as they fit", () => {
    const contexts = new Contexts(10_000)
    expect(contexts.text).toBe("[]")
    for (const text of ["one", "two", "three"]) contexts.add(contextOf(text))
    expect(read(contexts.text).map(({ context }) => context)).toEqual(["one", "two", "three"])
  })

  it("lose the oldest beyond the limit, which is counted in bytes, and say so", () => {
    const contexts = new Contexts(2_000)
    for (let n = 1; n <= 200; n++) contexts.add(contextOf(`${"ä".repeat(50)} ${n}`))
    expect(Buffer.byteLength(contexts.text)).toBeLessThan(2_300)
    const [note, ...kept] = read(contexts.text)
    expect(note?.context).toBe(
      `${200 - kept.length} earlier contexts are left out: together they exceed maxContextBytes (2000)`
    )
    expect(kept.length).toBeGreaterThan(5)
    expect(kept.map(({ context }) => Number(context.split(" ")[1]))).toEqual(
      Array.from({ length: kept.length }, (_, index) => 201 - kept.length + index)
    )
  })

  it("lose no more than it takes to come down to three quarters of the limit", () => {
    const one = JSON.stringify(contextOf("x")).length
    const contexts = new Contexts(8 * one)
    for (let n = 0; n < 9; n++) contexts.add(contextOf("x"))
    const [, ...kept] = read(contexts.text)
    expect(kept).toHaveLength(6)
  })

  it("keep the newest one, however long it is", () => {
    const contexts = new Contexts(100)
    contexts.add(contextOf("short"))
    contexts.add(contextOf("x".repeat(500)))
    expect(read(contexts.text).map(({ context }) => context.length > 400)).toEqual([false, true])
  })

  it("are the same in a copy, which goes on by itself", () => {
    const contexts = new Contexts(1_000)
    for (let n = 0; n < 30; n++) contexts.add(contextOf(`text ${n}`))
    const copy = contexts.copy()
    expect(copy.text).toBe(contexts.text)
    for (let n = 0; n < 30; n++) copy.add(contextOf(`other ${n}`))
    expect(copy.text).toContain("other 29")
    expect(contexts.text).toContain("text 29")
    expect(contexts.text).not.toContain("other")
  })
})

describe("a run whose contexts exceed the limit", () => {
  it.live("hands on the newest, the same before and after it was taken up by another engine", () =>
    Effect.gen(function* () {
      const store = (yield* MemoryPersistence.make()).service
      const seen: Array<string> = []
      const world: World = {
        actions: {
          tell: action(({ path }) => ({ context: `${path} ${"x".repeat(200)}` })),
          look: action(({ variables }) => {
            seen.push(variables["prior_contexts"] ?? "")
            return {}
          })
        },
        settings: { maxContextBytes: 3_000, linger: 0 }
      }
      const text = `workflow w { ${"call tell ".repeat(40)} call look gate human_review {} call look }`
      const run = yield* Effect.provide(
        Effect.gen(function* () {
          const run = yield* start(text)
          yield* untilStatus(run, "waiting")
          yield* Effect.flatMap(Engine, (engine) => engine.awaitRelease(run))
          return run
        }),
        layerOf(world, store)
      )
      yield* Effect.provide(
        Effect.gen(function* () {
          yield* answer(run, { approved: true })
          const engine = yield* Engine
          expect((yield* engine.await(run)).status).toBe("completed")
        }),
        layerOf(world, store)
      )
      expect(seen).toHaveLength(2)
      // The first look gave a context of its own, an empty one.
      expect(read(seen[1] ?? "[]").slice(0, -1)).toEqual(read(seen[0] ?? "[]"))
      const [note, ...kept] = read(seen[0] ?? "[]")
      expect(note?.context).toContain(`${40 - kept.length} earlier contexts are left out`)
      expect(kept.at(-1)?.context).toMatch(/^\/tell~40 /)
    })
  )
})
