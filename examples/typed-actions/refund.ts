/**
 * The same file as a typed workflow of a program: with a payload, a success, and a layer that needs the actions.
 */
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Engine, Workflow } from "millrace"
import { SqlitePersistence } from "millrace/sqlite"
import { Assess, handlers, PayBack } from "./actions.ts"

export const Refund = Workflow.fromFile(fileURLToPath(new URL("workflows/refund.wf", import.meta.url)), {
  actions: [Assess, PayBack],
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int, reason: Schema.optional(Schema.String) }),
  success: Schema.Struct({ receipt: Schema.String }),
  idempotencyKey: ({ order }) => order
})

/** Everything that runs refunds, on a database and a ledger. */
export const refunds = (database: string, ledger: string) =>
  Refund.layer.pipe(
    Layer.provide(handlers(ledger)),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(SqlitePersistence.layer({ filename: database }))
  )

/** `Effect.runPromise(program("refunds.db", "ledger.txt"))` */
export const program = (database: string, ledger: string) =>
  Refund.execute({ order: "o-17", cents: 4_200, reason: "it was broken" }).pipe(
    Effect.provide(refunds(database, ledger))
  )
