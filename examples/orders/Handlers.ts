/**
 * What the actions do. The shop is told the key of the step, which is the same for all its attempts: one that is made
 * again, since the process died before it knew the answer, moves nothing twice.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Action } from "millrace"
import { Charge, Declined, Recall, Refund, Release, Reserve, Ship, SoldOut, Undeliverable } from "./Order.ts"
import { type Movement, Shop } from "./Shop.ts"

const move = ({ idempotencyKey: key }: Action.ActionAttempt, movement: Omit<Movement, "key">) =>
  Effect.flatMap(Shop, (shop) => shop.move({ key, ...movement }))

/** For what cannot be refused. */
const moveBack = (attempt: Action.ActionAttempt, movement: Omit<Movement, "key">) =>
  Effect.asVoid(move(attempt, movement))

export const charging = Charge.toLayer(({ cents, customer, order }, attempt) =>
  Effect.flatMap(move(attempt, { of: customer, amount: -cents, why: `charged for ${order}` }), (isDone) =>
    isDone ? Effect.succeed(`receipt of ${order}`) : Effect.fail(new Declined({ customer }))
  )
)

/** All but the charging. */
export const others = Layer.mergeAll(
  Reserve.toLayer(({ item, order }, attempt) =>
    Effect.flatMap(move(attempt, { of: item, amount: -1, why: `reserved for ${order}` }), (isDone) =>
      isDone ? Effect.void : Effect.fail(new SoldOut({ item }))
    )
  ),
  Release.toLayer(({ item, order }, attempt) =>
    moveBack(attempt, { of: item, amount: 1, why: `released by ${order}` })
  ),
  Refund.toLayer(({ cents, customer, order }, attempt) =>
    moveBack(attempt, { of: customer, amount: cents, why: `refunded for ${order}` })
  ),
  Ship.toLayer(({ item, order }, attempt) =>
    item === "vase"
      ? Effect.fail(new Undeliverable({ item }))
      : Effect.as(move(attempt, { of: "parcels", amount: 1, why: `${item} for ${order}` }), `${item} for ${order}`)
  ),
  Recall.toLayer(({ item, order }, attempt) =>
    moveBack(attempt, { of: "parcels", amount: -1, why: `${item} of ${order} came back` })
  )
)
