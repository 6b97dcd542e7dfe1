/**
 * A careless change of the workflow, as it might be deployed one day: a receipt is now a number. Orders that were
 * charged before have receipts that this code cannot read, so it leaves them alone (docs/typed.md, "Changing a body").
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Action, Workflow } from "millrace"
import { Declined, Order, Payment, Refund, reserved, shippedAll } from "./Order.ts"
import { Shop } from "./Shop.ts"

const Charge = Action.make("charge", { payload: Payment, success: Schema.Number, error: Declined })

export const charging = Charge.toLayer(({ cents, customer, order }, { idempotencyKey: key }) =>
  Effect.gen(function* () {
    const shop = yield* Shop
    const isDone = yield* shop.move({ key, of: customer, amount: -cents, why: `charged for ${order}` })
    if (!isDone) return yield* new Declined({ customer })
    return (yield* shop.movements).length
  })
)

export const workflow = Order.toLayer(({ cents, customer, id, items, withdrawal }) =>
  Effect.gen(function* () {
    for (const item of items) yield* reserved({ order: id, item })
    const payment = { order: id, customer, cents }
    const number = yield* Action.call(Charge, payment).pipe(
      Workflow.withCompensation(() => Action.call(Refund, payment))
    )
    yield* Workflow.sleep(withdrawal)
    const parcels = yield* shippedAll(id, items)
    return { receipt: `receipt ${number}`, parcels }
  })
)
