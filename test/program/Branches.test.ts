/** B1: branches by key, whatever the order in which they end. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine, letGo, outline } from "./support.ts"

const Body = Workflow.make("body", { payload: Schema.Void, success: Schema.Unknown })

/** Ends after so long, with a text. */
const after = (millis: number, text: string) => Effect.as(Workflow.sleep(millis), text)

/** Runs a body to its end, once let go in between. */
const run = (body: Effect.Effect<unknown, unknown, Workflow.WorkflowRun>) =>
  withVirtualClock(
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const layer = () =>
        engine(
          store,
          Body.toLayer(() => Effect.orDie(body))
        )
      const id = yield* Effect.provide(
        Effect.tap(Body.start(undefined), (id) => letGo(store, id)),
        layer()
      )
      const value = yield* Effect.provide(Effect.zipRight(resume(id), Body.await(id)), layer())
      return { value, rows: yield* outline(store, id) }
    })
  )

describe("the results of branches", () => {
  // The map of ends was read in the order of completion, so that the quick branch's result stood first.
  it.live("of all stand under their own keys, and in their own places", () =>
    Effect.gen(function* () {
      const { value } = yield* run(
        Effect.gen(function* () {
          const list = yield* Workflow.all([after(3_000, "slow"), after(1_000, "quick"), after(2_000, "middle")])
          const record = yield* Workflow.all({ slow: after(3_000, "slow"), quick: after(1_000, "quick") })
          return { list, record }
        })
      )
      expect(value).toEqual({ list: ["slow", "quick", "middle"], record: { slow: "slow", quick: "quick" } })
    })
  )
})

describe("a pipeline", () => {
  it.live("has no barrier: an item is in the last stage while another is in the first", () =>
    Effect.gen(function* () {
      const { rows, value } = yield* run(
        Effect.gen(function* () {
          const start = yield* Workflow.now
          const stage = (millis: number) => Workflow.sleep(millis)
          yield* Workflow.pipeline(
            [1, 5],
            { key: String },
            (item) => Effect.as(stage(item * 1_000), item),
            (item) => stage((6 - item) * 1_000)
          )
          return (yield* Workflow.now) - start
        })
      )
      expect(value).toBe(6_000)
      expect(rows).toContain("/pipeline/5/sleep~2 completed")
    })
  )

  it.live("hands each stage what the one before gave, with the item, and gives ends in item order", () =>
    Effect.gen(function* () {
      const { value } = yield* run(
        Effect.map(
          Workflow.pipeline(
            ["a", "bbb", "cc"],
            { key: (item) => item, concurrency: 2 },
            (item) => Effect.as(Workflow.sleep(item.length * 1_000), item.length),
            (length, item) => Effect.succeed(`${item}: ${length}`)
          ),
          (ends) => ends.map((end) => (Exit.isSuccess(end) ? end.value : "failed"))
        )
      )
      expect(value).toEqual(["a: 1", "bbb: 3", "cc: 2"])
    })
  )

  it.live("stops the chain that fails or dies where it is, and disturbs no other", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const { rows, value } = yield* run(
        Effect.map(
          Workflow.pipeline(
            ["ok", "fails", "dies"],
            { key: (item) => item },
            (item) => Effect.as(Workflow.sleep("20 seconds"), item),
            (item) => (item === "fails" ? Effect.fail("no") : item === "dies" ? Effect.die("oh") : Workflow.uuid),
            (_, item) => Effect.sync(() => void ran.push(item))
          ),
          (ends) => ends.map(Exit.isSuccess)
        )
      )
      expect(value).toEqual([true, false, false])
      expect(ran).toEqual(["ok"])
      expect(rows).toContain("/pipeline completed")
    })
  )

  it.live("with two items of one key is a defect", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const twice = Body.toLayer(() => Workflow.pipeline(["a", "a"], { key: String }, Effect.succeed))
      const error = yield* Effect.flip(Effect.provide(Body.execute(undefined), engine(store, twice)))
      expect(error.message).toContain("pipeline has two branches of one key, 'a'")
    })
  )

  it.live("with a concurrency that is none is a defect that names it", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      for (const concurrency of [0, -1, 1.5, Number.NaN]) {
        const few = Body.toLayer(() => Workflow.pipeline(["a"], { key: String, concurrency }, Effect.succeed))
        const error = yield* Effect.flip(Effect.provide(Body.execute(undefined), engine(store, few)))
        expect(error.message).toContain(`\`concurrency: ${concurrency}\`, which has to be an integer of at least 1`)
      }
    })
  )
})
