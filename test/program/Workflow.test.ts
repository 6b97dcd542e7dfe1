import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { answer } from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { EngineConfig } from "../../src/engine/EngineConfig.ts"
import { resume } from "../../src/engine/Resume.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { reason: Schema.String }) {}

const Charge = Action.make("charge", {
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String, at: Schema.Date }),
  error: Declined
})

const Ship = Action.make("ship", { payload: Schema.String, success: Schema.Number })

const Audit = Workflow.make("audit", { payload: Schema.String, success: Schema.String })

const Order = Workflow.make("order", {
  payload: Schema.Struct({ id: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String, year: Schema.Number, parcels: Schema.Array(Schema.Number) }),
  error: Declined,
  idempotencyKey: ({ id }) => id
})

const auditLayer = Audit.toLayer((text) => Effect.orDie(Effect.map(Action.call(Ship, text), (n) => `audited ${n}`)))

const orderLayer = Order.toLayer(({ id, cents }) =>
  Effect.gen(function* () {
    const { receipt, at } = yield* Action.call(Charge, { order: id, cents })
    yield* Effect.orDie(Workflow.gate("release", { prompt: "Ship it?" }))
    const parcels = yield* Effect.orDie(Workflow.all([Action.call(Ship, "a"), Action.call(Ship, "b")]))
    const audit = yield* Effect.orDie(Workflow.child(Audit, id))
    return { receipt: `${receipt} ${audit}`, year: at.getUTCFullYear(), parcels }
  })
)

const counts = new Map<string, number>()
const count = (name: string) => Effect.sync(() => counts.set(name, (counts.get(name) ?? 0) + 1))

const handlers = Layer.mergeAll(
  Charge.toLayer(({ order, cents }) =>
    Effect.zipRight(
      count(`charge ${order}`),
      cents > 100
        ? Effect.fail(new Declined({ reason: "too much" }))
        : Effect.succeed({ receipt: `r-${order}`, at: new Date(Date.UTC(2026, 1, 1)) })
    )
  ),
  Ship.toLayer((text) => Effect.as(count(`ship ${text}`), text.length))
)

const engine = (store: typeof Persistence.Service) =>
  Layer.mergeAll(orderLayer, auditLayer).pipe(
    Layer.provide(handlers),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Layer.succeed(Persistence, store)),
    Layer.provide(EngineConfig.layerWith({ checkInvariants: true, linger: 10 }))
  )

const waitFor = (run: Parameters<typeof answer>[0], status: string) =>
  Effect.flatMap(Persistence, (persistence) =>
    Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), persistence.get(run)), {
      until: (record) => record.status === status && record.owner === null
    })
  )

describe("a workflow in TypeScript", () => {
  it.live("waits at a gate, is let go, goes on in another engine, and does nothing twice", () =>
    Effect.gen(function* () {
      counts.clear()
      const { service } = yield* MemoryPersistence.make()
      const run = yield* Effect.provide(
        Effect.tap(Order.start({ id: "o1", cents: 7 }), (run) => waitFor(run, "waiting")),
        engine(service)
      )
      const result = yield* Effect.provide(
        Effect.gen(function* () {
          yield* answer(run, { approved: true })
          yield* resume(run)
          return yield* Order.await(run)
        }),
        engine(service)
      )
      expect(result).toEqual({ receipt: "r-o1 audited 2", year: 2026, parcels: [1, 1] })
      expect(Object.fromEntries(counts)).toEqual({ "charge o1": 1, "ship a": 1, "ship b": 1, "ship o1": 1 })
      const steps = yield* service.steps(run)
      expect(steps.map((step) => `${step.path} ${step.status}`)).toEqual([
        "/charge completed",
        "/release completed",
        "/all completed",
        "/all/0/ship completed",
        "/all/1/ship completed",
        "/workflow:audit completed",
        "/@body completed"
      ])
    })
  )

  it.live("ends with its typed error", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const error = yield* Effect.flip(Effect.provide(Order.execute({ id: "o2", cents: 700 }), engine(service)))
      expect(error).toEqual(new Declined({ reason: "too much" }))
    })
  )

  it.live("is one run for one idempotency key, and refuses the key for another payload", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const [first, second, third] = yield* Effect.provide(
        Effect.all([
          Order.start({ id: "o3", cents: 1 }),
          Order.start({ id: "o3", cents: 1 }),
          Effect.flip(Order.start({ id: "o3", cents: 2 }))
        ]),
        engine(service)
      )
      expect(second).toBe(first)
      expect(third).toMatchObject({ _tag: "IdempotencyConflict", run: first })
    })
  )

  it.live("dies where a primitive is called from a fiber that its own combinators did not fork", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      const Wrong = Workflow.make("wrong", { payload: Schema.Void })
      const layer = Wrong.toLayer(() =>
        Effect.orDie(Effect.all([Action.call(Ship, "a"), Action.call(Ship, "b")], { concurrency: 2, discard: true }))
      )
      const error = yield* Effect.flip(
        Effect.provide(
          Wrong.execute(undefined),
          Layer.provide(layer, handlers).pipe(Layer.provideMerge(engine(service)))
        )
      )
      expect(error).toMatchObject({ _tag: "WorkflowFailed", status: "failed" })
      expect(error.message).toContain("use Workflow.all")
    })
  )

  it.live("that is started once more under its key does not begin its body in vain", () =>
    Effect.gen(function* () {
      const { service } = yield* MemoryPersistence.make()
      let begun = 0
      const Once = Workflow.make("once", { payload: Schema.String, idempotencyKey: (text) => text })
      const once = Once.toLayer(() =>
        Effect.zipRight(
          Effect.sync(() => (begun += 1)),
          Workflow.uuid
        )
      )
      const services = once.pipe(
        Layer.provideMerge(Engine.layer),
        Layer.provideMerge(Layer.succeed(Persistence, service))
      )
      yield* Effect.provide(
        Effect.gen(function* () {
          const run = yield* Once.start("a")
          yield* Once.await(run)
          expect([yield* Once.start("a"), yield* Once.start("a")]).toEqual([run, run])
        }),
        services
      )
      expect(begun).toBe(1)
    })
  )
})
