/** The declarations that a shop's engine and its clients share: no handler, no body. */
import * as Schema from "effect/Schema"
import * as Action from "../../../src/program/Action.ts"
import * as Workflow from "../../../src/program/Workflow.ts"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { item: Schema.String }) {}

export const Pack = Action.make("pack", { payload: Schema.String, success: Schema.Int, error: SoldOut })

export const Approval = Workflow.makeGate("approval", { answer: Schema.Struct({ discount: Schema.Int }) })

export const Paid = Workflow.signal("paid", Schema.Struct({ cents: Schema.Int }))

export const Order = Workflow.make("order", {
  payload: Schema.Struct({ id: Schema.String, items: Schema.Array(Schema.String) }),
  success: Schema.Struct({ parcels: Schema.Array(Schema.Int), cents: Schema.Int, pid: Schema.Int }),
  error: SoldOut,
  idempotencyKey: ({ id }) => id
})
