/** A name is one workflow to an engine: what collides is found when the layers are built. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Engine } from "../../src/engine/Engine.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import type { Persistence } from "../../src/persistence/Persistence.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { noOutputs } from "../../src/testing/ProgramRunner.ts"
import { temporaryFolder } from "../action/support.ts"
import { engine, type Workflows } from "./support.ts"

const Id = Schema.Struct({ id: Schema.String })
const Order = Workflow.make("order", { payload: Id, success: Schema.Int, idempotencyKey: ({ id }) => id })
const order = Order.toLayer(() => Effect.succeed(1))
const Other = Workflow.make("order", { payload: Schema.Struct({ n: Schema.Int }), success: Schema.String })
const other = Other.toLayer(() => Effect.succeed("other"))

const built = <E>(workflows: Layer.Layer<never, E, Engine | Persistence>) =>
  Effect.gen(function* () {
    const { service: store } = yield* MemoryPersistence.make()
    return yield* Effect.exit(Effect.scoped(Layer.build(engine(store, Layer.orDie(workflows)))))
  })

/** What an engine with these workflows dies of. */
const defectOf = <E>(workflows: Layer.Layer<never, E, Engine | Persistence>) =>
  Effect.map(built(workflows), (exit) =>
    Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
  )

const messageOf = (defect: unknown): string =>
  defect instanceof Workflow.WorkflowCollision ? defect.message : `no collision: ${String(defect)}`

describe("two workflows of one name in an engine", () => {
  it.live("are not built, and both are named: the runs of one would be taken for the other's", () =>
    Effect.gen(function* () {
      const message = messageOf(yield* defectOf(Layer.merge(order, other)))
      expect(message).toContain("two workflows of one engine are called 'order'")
      expect(message).toContain("version 1, ({ readonly id: string }) => Int, failing with never")
      expect(message).toContain("version 1, ({ readonly n: Int }) => string, failing with never")
      expect(message).toContain("give one of them another name")
    })
  )

  it.live("are not built either where one stands under the other", () =>
    Effect.gen(function* () {
      expect(messageOf(yield* defectOf(order.pipe(Layer.provideMerge(other))))).toContain("are called 'order'")
    })
  )

  it.live("are one where their schemas are the same: a layer that is given twice, a module that is loaded twice", () =>
    Effect.gen(function* () {
      const Again = Workflow.make("order", { payload: Id, success: Schema.Int, idempotencyKey: ({ id }) => id })
      const again = Again.toLayer(() => Effect.succeed(1))
      const all = Layer.mergeAll(order, Layer.fresh(order), again)
      const { service: store } = yield* MemoryPersistence.make()
      expect(yield* Effect.provide(Order.execute({ id: "a" }), engine(store, all))).toBe(1)
    })
  )

  it.live("go together where they are two versions, each of which has its runs", () =>
    Effect.gen(function* () {
      const Next = Workflow.make("order", { payload: Schema.Struct({ n: Schema.Int }), version: "2" })
      const next = Next.toLayer(() => Effect.void)
      const { service: store } = yield* MemoryPersistence.make()
      const ends = Effect.all([Order.execute({ id: "a" }), Next.execute({ n: 1 })])
      expect(yield* Effect.provide(ends, engine(store, Layer.merge(order, next)))).toEqual([1, undefined])
    })
  )

  it.live("go together where they are in two engines", () =>
    Effect.gen(function* () {
      const stores = yield* Effect.all([MemoryPersistence.make(), MemoryPersistence.make()])
      const engines = [engine(stores[0].service, order), engine(stores[1].service, other)] as const
      const both = Effect.all(engines.map((one) => Layer.build(one)))
      expect(Exit.isSuccess(yield* Effect.exit(Effect.scoped(both)))).toBe(true)
    })
  )

  it.live("may follow each other: what was registered is forgotten with its layer", () =>
    Effect.gen(function* () {
      const { service: store } = yield* MemoryPersistence.make()
      const runtime = Effect.gen(function* () {
        const during = (workflows: Workflows) => Effect.exit(Effect.scoped(Layer.build(workflows)))
        const ends = [yield* during(order), yield* during(other)]
        const together = Effect.zipRight(Layer.build(order), Layer.build(other))
        return [...ends, yield* Effect.exit(Effect.scoped(together))].map(Exit.isSuccess)
      })
      expect(yield* Effect.provide(runtime, engine(store, Layer.empty))).toEqual([true, true, false])
    })
  )
})

describe("a workflow of a file", () => {
  const text = "workflow order {\n  inputs { id }\n  script done { run = true }\n}\n"

  const files = Effect.map(temporaryFolder, (folder) =>
    ["one", "two"].map((name) => {
      mkdirSync(join(folder, name))
      const path = join(folder, name, "order.wf")
      writeFileSync(path, text)
      return Workflow.fromFile(path, { actions: [], payload: Id }).layer.pipe(Layer.provide(noOutputs))
    })
  )

  it.scopedLive("collides with another file of its name, and with code of its name, but not with itself", () =>
    Effect.gen(function* () {
      const [one = Layer.empty, two = Layer.empty] = yield* files
      expect(messageOf(yield* defectOf(Layer.merge(one, two)))).toMatch(/one is .*one\/order\.wf, .*two\/order\.wf, /)
      expect(messageOf(yield* defectOf(Layer.merge(one, order)))).toContain("version 1, ")
      expect(yield* defectOf(Layer.merge(one, Layer.fresh(one)))).toBeUndefined()
    })
  )
})
