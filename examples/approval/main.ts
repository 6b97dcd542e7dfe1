/**
 * Hands in an expense, or decides on one: `node --import jiti/register examples/approval/main.ts …`.
 *
 *     DATABASE submit ID EMPLOYEE CENTS     waits for the decision, and pays
 *     DATABASE approve ID COST-CENTER CENTS
 *     DATABASE reject ID REASON
 */
import { NodeRuntime } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { SqlitePersistence } from "millrace/sqlite"
import { Decision, Expense, expenses } from "./Expense.ts"

const [filename = "", command = "", id = "", what = "", cents = ""] = process.argv.slice(2)
const target = { idempotencyKey: id }

const submit = Expense.execute({ id, employee: what, cents: Number(cents) }).pipe(
  Effect.flatMap(Console.log),
  Effect.catchTag("Refused", ({ reason }) => Console.log(`refused: ${reason}`)),
  Effect.provide(expenses(filename))
)

/** Another process, which runs nothing: it needs the store only. */
const decided =
  command === "approve"
    ? Expense.client.answer(target, Decision, {
        approved: true,
        value: { costCenter: what, cents: Number(cents) },
        selections: ["now"]
      })
    : Expense.client.answer(target, Decision, { approved: false, feedback: what })

const decide = decided.pipe(
  Effect.zipRight(Console.log("decided")),
  Effect.catchTag("InvalidAnswer", ({ message }) => Console.log(message)),
  Effect.provide(SqlitePersistence.layer({ filename }))
)

const program: Effect.Effect<void, unknown> = command === "submit" ? submit : decide

NodeRuntime.runMain(program)
