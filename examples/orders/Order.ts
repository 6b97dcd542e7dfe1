/**
 * Fulfilling an order: goods are reserved, the customer is charged, and once they can no longer withdraw, the parcels
 * leave, each by itself. What goes wrong on the way, or a cancellation, takes back all that was done, last things first.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Action, Workflow } from "millrace"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { item: Schema.String }) {}
export class Declined extends Schema.TaggedError<Declined>()("Declined", { customer: Schema.String }) {}
export class Undeliverable extends Schema.TaggedError<Undeliverable>()("Undeliverable", { item: Schema.String }) {}

const Parcel = Schema.Struct({ order: Schema.String, item: Schema.String })
export const Payment = Schema.Struct({ order: Schema.String, customer: Schema.String, cents: Schema.Int })

/** What has to be taken back is tried for a long time. */
const patient = { times: 20, delay: "1 minute" } as const

export const Reserve = Action.make("reserve", { payload: Parcel, error: SoldOut })
export const Release = Action.make("release", { payload: Parcel, retry: patient })
export const Charge = Action.make("charge", { payload: Payment, success: Schema.String, error: Declined })
export const Refund = Action.make("refund", { payload: Payment, retry: patient })
export const Ship = Action.make("ship", { payload: Parcel, success: Schema.String, error: Undeliverable })
export const Recall = Action.make("recall", { payload: Parcel, retry: patient })

export const Order = Workflow.make("order", {
  payload: Schema.Struct({
    id: Schema.String,
    customer: Schema.String,
    cents: Schema.Int,
    items: Schema.Array(Schema.String),
    /** How long the customer may withdraw, ms. */
    withdrawal: Schema.Int
  }),
  success: Schema.Struct({ receipt: Schema.String, parcels: Schema.Array(Schema.String) }),
  error: Schema.Union(SoldOut, Declined, Undeliverable),
  idempotencyKey: ({ id }) => id
})

export const reserved = (parcel: typeof Parcel.Type) =>
  Action.call(Reserve, parcel).pipe(Workflow.withCompensation(() => Action.call(Release, parcel)))

const shipped = (parcel: typeof Parcel.Type) =>
  Action.call(Ship, parcel).pipe(Workflow.withCompensation(() => Action.call(Recall, parcel)))

/** One after the other: of a parcel whose step is cut off, since another one failed, nobody knows whether it left. */
export const shippedAll = (order: string, items: ReadonlyArray<string>) =>
  Workflow.forEach(items, (item) => shipped({ order, item }), { key: (item) => item, concurrency: 1 })

export const workflow = Order.toLayer(({ cents, customer, id, items, withdrawal }) =>
  Effect.gen(function* () {
    for (const item of items) yield* reserved({ order: id, item })
    const payment = { order: id, customer, cents }
    const receipt = yield* Action.call(Charge, payment).pipe(
      Workflow.withCompensation(() => Action.call(Refund, payment))
    )
    yield* Workflow.sleep(withdrawal)
    const parcels = yield* shippedAll(id, items)
    return { receipt, parcels }
  })
)
