/**
 * What the workflow `refund` calls, as typed actions: declarations, and handlers that need a ledger.
 */
import { appendFile, readFile } from "node:fs/promises"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Action } from "millrace"

/** The ledger fails the first attempt at each refund, to show that it is asked again. */
export class LedgerBusy extends Schema.TaggedError<LedgerBusy>()("LedgerBusy", { order: Schema.String }) {
  override get message() {
    return `the ledger is busy, order ${this.order} is not refunded`
  }
}

export const Assess = Action.make("assess", {
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int, reason: Schema.String }),
  success: Schema.Struct({ verdict: Schema.String, risk: Schema.Int, summary: Schema.String }),
  markers: ({ risk }) => (risk >= 50 ? ["risky"] : [])
})

export const PayBack = Action.make("pay-back", {
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String }),
  error: LedgerBusy,
  // Whoever asks twice for the same order has one refund, whichever run it was.
  idempotencyKey: ({ order }) => `refund of ${order}`,
  retry: { times: 5, delay: "20 millis", exponential: true }
})

/** Where refunds are written down: a line each, under a key. */
export class Ledger extends Context.Tag("Ledger")<
  Ledger,
  { readonly add: (key: string, line: string) => Effect.Effect<void> }
>() {
  static readonly layer = (file: string) =>
    Layer.succeed(Ledger, {
      add: (key, line) =>
        Effect.promise(async () => {
          const lines = await readFile(file, "utf8").catch(() => "")
          if (!lines.includes(`${key}:`)) await appendFile(file, `${key}: ${line}\n`)
        })
    })
}

const assessing = Assess.toLayer(({ cents, order, reason }) => {
  const risk = Math.min(100, Math.round(cents / 1_000) + (reason === "" ? 40 : 0))
  return Effect.succeed({ verdict: risk >= 50 ? "ask" : "pay", risk, summary: `order ${order} has a risk of ${risk}` })
})

const payingBack = PayBack.toLayer(({ cents, order }, { attempt, dryRun, idempotencyKey }) =>
  Effect.gen(function* () {
    if (dryRun) return { receipt: `none for ${order}` }
    if (attempt === 1) return yield* new LedgerBusy({ order })
    const ledger = yield* Ledger
    yield* ledger.add(idempotencyKey, `${cents} cents`)
    return { receipt: `receipt of ${order}` }
  })
)

/** The handlers, on a ledger in this file. */
export const handlers = (file: string) => Layer.merge(assessing, payingBack).pipe(Layer.provide(Ledger.layer(file)))
