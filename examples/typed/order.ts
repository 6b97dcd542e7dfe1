/**
 * A workflow as a typed program: an order is charged, and two parcels are shipped at once. Whatever kills the process,
 * starting the same order again goes on where it was: nothing is charged twice. An order that fails, or is cancelled, is
 * refunded.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Action, Engine, Workflow } from "millrace"
import { SqlitePersistence } from "millrace/sqlite"

const Charge = Action.make("charge", {
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
  success: Schema.String,
  retry: { times: 3, delay: "1 second", exponential: true },
  timeout: "30 seconds"
})

const Refund = Action.make("refund", { payload: Schema.String, retry: { times: 20, delay: "1 minute" } })
const Ship = Action.make("ship", { payload: Schema.String, success: Schema.Int })

export const Order = Workflow.make("order", {
  payload: Schema.Struct({ id: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String, parcels: Schema.Array(Schema.Int) }),
  idempotencyKey: ({ id }) => id
})

const body = Order.toLayer(({ id, cents }) =>
  Effect.gen(function* () {
    const receipt = yield* Action.call(Charge, { order: id, cents }).pipe(
      Workflow.withCompensation((receipt) => Action.call(Refund, receipt))
    )
    const parcels = yield* Workflow.all([Action.call(Ship, "books"), Action.call(Ship, "lamp")])
    return { receipt, parcels }
  }).pipe(Effect.catchTag("ActionTimedOut", Effect.die))
)

const actions = Layer.mergeAll(
  Charge.toLayer(({ order, cents }, { idempotencyKey }) =>
    Effect.as(Effect.log(`charging ${cents} cents under ${idempotencyKey}`), `receipt of ${order}`)
  ),
  Refund.toLayer((receipt) => Effect.log(`refunding ${receipt}`)),
  Ship.toLayer((parcel) => Effect.as(Effect.log(`shipping ${parcel}`), parcel.length))
)

/** Everything that runs orders, on a database file. */
export const orders = (filename: string) =>
  body.pipe(
    Layer.provide(actions),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(SqlitePersistence.layer({ filename }))
  )

/** `Effect.runPromise(program("orders.db"))` */
export const program = (filename: string) =>
  Order.execute({ id: "o-17", cents: 4_200 }).pipe(Effect.provide(orders(filename)))
