/**
 * An expense waits for the decision of a person, who says which cost center pays, and how much of it: an answer with a
 * type. Nobody answering within a week is a no.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Action, Engine, Workflow } from "millrace"
import { SqlitePersistence } from "millrace/sqlite"

export const Decision = Workflow.makeGate("decision", {
  prompt: "Pay this expense?",
  options: { salary: "With the next salary", now: "At once" },
  answer: Schema.Struct({ costCenter: Schema.String.pipe(Schema.pattern(/^K\d{3}$/)), cents: Schema.Int }),
  timeout: "7 days"
})

export const Pay = Action.make("pay", {
  payload: Schema.Struct({ to: Schema.String, costCenter: Schema.String, cents: Schema.Int, atOnce: Schema.Boolean }),
  success: Schema.String,
  retry: { times: 5, delay: "1 minute" }
})

export class Refused extends Schema.TaggedError<Refused>()("Refused", { reason: Schema.String }) {}

export const Expense = Workflow.make("expense", {
  payload: Schema.Struct({ id: Schema.String, employee: Schema.String, cents: Schema.Int }),
  success: Schema.String,
  error: Refused,
  idempotencyKey: ({ id }) => id
})

export const expense = Expense.toLayer(({ employee }) =>
  Effect.gen(function* () {
    const { selections, value } = yield* Workflow.gate(Decision)
    const { cents, costCenter } = value
    return yield* Action.call(Pay, { to: employee, costCenter, cents, atOnce: selections.includes("now") })
  }).pipe(
    Effect.catchTags({
      GateRejected: ({ reason }) => Effect.fail(new Refused({ reason: reason })),
      GateTimedOut: () => Effect.fail(new Refused({ reason: "nobody decided" }))
    })
  )
)

export const paying = Pay.toLayer(({ atOnce, cents, costCenter, to }) =>
  Effect.as(Effect.log(`paying ${cents} to ${to}`), `${costCenter} pays ${cents} to ${to}${atOnce ? " at once" : ""}`)
)

/** Everything that works on expenses, on a database file. */
export const expenses = (filename: string) =>
  expense.pipe(
    Layer.provide(paying),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(SqlitePersistence.layer({ filename }))
  )
