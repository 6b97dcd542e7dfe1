/**
 * The whole program: what runs orders, on a database, and what is done with it. It starts the orders, or finds those that
 * were started before, and prints how they end and what the shop has in its books.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Engine, resume } from "millrace"
import { SqlitePersistence } from "millrace/sqlite"
import { join } from "node:path"
import * as Changed from "./Changed.ts"
import { charging, others } from "./Handlers.ts"
import { Order, workflow } from "./Order.ts"
import { Shop } from "./Shop.ts"

export interface Deployment {
  /** Where `orders.db` is. */
  readonly folder: string
  /** Whether it is the body of `Changed`. */
  readonly changed: boolean
}

const code = workflow.pipe(Layer.provide(Layer.merge(charging, others)))
const changedCode = Changed.workflow.pipe(Layer.provide(Layer.merge(Changed.charging, others)))

/** What runs orders. */
export const fulfilment = ({ changed, folder }: Deployment) =>
  (changed ? changedCode : code).pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(SqlitePersistence.layer({ filename: join(folder, "orders.db") }))
  )

const orders = Array.from({ length: 12 }, (_, index) => ({
  id: `o-${index + 1}`,
  // Ben has no money.
  customer: index % 3 === 2 ? "ben" : "ann",
  cents: 2_500,
  // A vase never arrives.
  items: index % 4 === 3 ? ["book", "vase"] : ["book", "lamp"]
}))

const stateOf = (id: string) => Effect.map(Order.poll({ idempotencyKey: id }), Option.getOrThrow)

/** How an order ended, or that it is parked and does not go on by itself; undefined: neither yet. */
const endOf = (id: string) =>
  Effect.map(stateOf(id), (state) => {
    switch (state._tag) {
      case "Completed":
        return `${id}: completed, ${state.value.receipt}`
      case "Failed":
        return `${id}: failed, ${state.error._tag}`
      case "Cancelled":
      case "Parked":
        return `${id}: ${state._tag.toLowerCase()}, ${state.reason}`
      default:
        return undefined
    }
  })

/** An engine tries parked runs when it starts; this waits until it has tried this one. */
const tried = (id: string) =>
  Effect.gen(function* () {
    const state = yield* stateOf(id)
    if (state._tag !== "Parked") return
    yield* resume(state.run)
    const engine = yield* Engine
    yield* engine.awaitRelease(state.run)
  })

const untilEnded = (id: string) =>
  Effect.gen(function* () {
    for (;;) {
      const end = yield* endOf(id)
      if (end !== undefined) return end
      yield* Effect.sleep("50 millis")
    }
  })

const books = Effect.gen(function* () {
  const shop = yield* Shop
  for (const of of ["ann", "ben", "book", "lamp", "vase", "parcels"]) {
    yield* Console.log(`${of}: ${yield* shop.left(of)}`)
  }
})

/** `withdrawal`: how long each customer may withdraw, ms. */
export const fulfilAll = (withdrawal: number) =>
  Effect.gen(function* () {
    for (const order of orders) yield* Order.start({ ...order, withdrawal })
    yield* Console.log("started")
    for (const { id } of orders) yield* tried(id)
    for (const { id } of orders) yield* Console.log(yield* untilEnded(id))
    yield* books
  })
