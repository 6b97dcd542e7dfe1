/** Compensation, chains and typed answers on a real file, over engines that come and go. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../src/persistence/SqlitePersistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { temporaryDatabase } from "../persistence/support.ts"

const Take = Action.make("take", { payload: Schema.Int, success: Schema.Int })
const Return = Action.make("return", { payload: Schema.Int })
const Go = Workflow.makeGate("go", { answer: Schema.Struct({ on: Schema.Boolean }) })

/** Takes from a stock in each round, and asks whether to go on: no means that it fails. */
const Rounds = Workflow.make("rounds", {
  payload: Schema.Int,
  success: Schema.Int,
  error: Schema.String,
  idempotencyKey: () => "the rounds"
})

const code = (stock: { left: number }) =>
  Rounds.toLayer((round) =>
    Effect.gen(function* () {
      yield* Action.call(Take, round).pipe(Workflow.withCompensation((taken) => Action.call(Return, taken)))
      const { value } = yield* Workflow.gate(Go).pipe(Effect.orDie)
      if (!value.on) return yield* Effect.fail("enough")
      return yield* Workflow.continueAsNew(Rounds, round + 1)
    })
  ).pipe(
    Layer.provide(
      Layer.merge(
        Take.toLayer((n) =>
          Effect.sync(() => {
            stock.left -= n
            return n
          })
        ),
        Return.toLayer((n) => Effect.sync(() => void (stock.left += n)))
      )
    )
  )

describe("a typed workflow on SQLite", () => {
  it.scopedLive("goes along its chain and takes back the round that failed, an engine for each answer", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryDatabase
      const stock = { left: 100 }
      const layers = code(stock).pipe(
        Layer.provideMerge(Engine.layer),
        Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10 })),
        Layer.provideMerge(SqlitePersistence.layer({ filename }))
      )
      const key = { idempotencyKey: "the rounds" }
      const answeredRuns = new Set<string>()
      /** Until a run waits that was not answered yet. */
      const waits = Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), Effect.flatten(Rounds.poll(key))), {
        until: ({ _tag, run }) => _tag === "Waiting" && !answeredRuns.has(run)
      })
      const answered = (on: boolean) =>
        Effect.flatMap(waits, ({ run }) => {
          answeredRuns.add(run)
          return Rounds.answer(key, Go, { approved: true, value: { on } })
        })
      const first = yield* Effect.provide(Effect.tap(Rounds.start(1), waits), layers)
      yield* Effect.provide(answered(true), layers)
      yield* Effect.provide(answered(true), layers)
      const error = yield* Effect.provide(Effect.zipRight(answered(false), Effect.flip(Rounds.await(first))), layers)
      expect(error).toBe("enough")
      expect(stock.left).toBe(100 - 1 - 2)
      const runs = yield* Effect.provide(
        Effect.flatMap(Persistence, (store) => store.list({ workflow: "rounds", limit: 10 })),
        SqlitePersistence.layer({ filename })
      )
      expect(runs.map(({ status, idempotencyKey }) => [status, idempotencyKey])).toEqual([
        ["failed", "the rounds"],
        ["completed", null],
        ["completed", null]
      ])
    })
  )
})
