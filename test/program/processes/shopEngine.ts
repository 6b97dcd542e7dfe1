/** A shop's engine in a process of its own: `<database>`. It says `ready`; SIGTERM shuts it down. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { Engine } from "../../../src/engine/Engine.ts"
import { EngineConfig } from "../../../src/engine/EngineConfig.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import * as Action from "../../../src/program/Action.ts"
import * as Workflow from "../../../src/program/Workflow.ts"
import { Approval, Order, Pack, Paid, SoldOut } from "./Shop.ts"

const [filename = ""] = process.argv.slice(2)

const order = Order.toLayer(({ items }) =>
  Effect.gen(function* () {
    const parcels = yield* Workflow.forEach(items, (item) => Action.call(Pack, item), { key: (item) => item })
    const { value } = yield* Workflow.gate(Approval)
    const { cents } = yield* Workflow.awaitSignal(Paid)
    return { parcels, cents: cents - value.discount, pid: process.pid }
  }).pipe(
    Effect.catchTags({
      GateRejected: Effect.die,
      GateTimedOut: Effect.die
    })
  )
)

const pack = Pack.toLayer((item) =>
  item === "unicorn" ? Effect.fail(new SoldOut({ item })) : Effect.succeed(item.length)
)

const layer = order.pipe(
  Layer.provide(pack),
  Layer.provideMerge(Engine.layer),
  Layer.provide(EngineConfig.layerWith({ linger: 50 })),
  Layer.provideMerge(SqlitePersistence.layer({ filename }))
)

const fiber = Effect.runFork(
  Effect.provide(
    Effect.zipRight(
      Effect.sync(() => process.stdout.write("ready\n")),
      Effect.never
    ),
    layer
  )
)
process.once("SIGTERM", () => void Effect.runPromise(Fiber.interrupt(fiber)).then(() => process.exit(143)))
