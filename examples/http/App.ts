/**
 * An HTTP app with an engine in it: the routes ask for runs, the engine works on them in the same process. Both are
 * layers; when the process is told to stop, the server answers what it has begun, the runs stop where they are, and the
 * next start goes on with them.
 *
 *     POST /orders            starts an order, or finds the one with its id: 202, or 409 where that is another order
 *     GET  /orders/:id        how it is doing
 *     POST /orders/:id/release   answers its gate
 *     DELETE /orders/:id      cancels it
 */
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Action, Engine, Workflow } from "millrace"
import { SqlitePersistence } from "millrace/sqlite"

export const Charge = Action.make("charge", {
  payload: Schema.Struct({ order: Schema.String, cents: Schema.Int }),
  success: Schema.String
})
export const Refund = Action.make("refund", { payload: Schema.String })

const Reply = Schema.Struct({ carrier: Schema.String })
export const Release = Workflow.makeGate("release", { prompt: "Send it?", answer: Reply, timeout: "30 days" })

export const Order = Workflow.make("order", {
  payload: Schema.Struct({ id: Schema.String, cents: Schema.Int }),
  success: Schema.Struct({ receipt: Schema.String, carrier: Schema.String }),
  error: Workflow.GateRejected,
  idempotencyKey: ({ id }) => id
})

const order = Order.toLayer(({ cents, id }) =>
  Effect.gen(function* () {
    const receipt = yield* Action.call(Charge, { order: id, cents }).pipe(
      Workflow.withCompensation((receipt) => Action.call(Refund, receipt))
    )
    const { value } = yield* Workflow.gate(Release)
    return { receipt, carrier: value.carrier }
  }).pipe(Effect.catchTag("GateTimedOut", Effect.die))
)

const actions = Layer.mergeAll(
  Charge.toLayer(({ order }) => Effect.as(Effect.log(`charging ${order}`), `receipt of ${order}`)),
  Refund.toLayer((receipt) => Effect.log(`refunding ${receipt}`))
)

/** What works on orders, on a database file. */
export const orders = (filename: string) =>
  order.pipe(
    Layer.provide(actions),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(SqlitePersistence.layer({ filename }))
  )

const answer = (status: number, body: unknown) => Effect.orDie(HttpServerResponse.json(body, { status }))

/** The order that the path names. */
const target = Effect.map(HttpRouter.params, ({ id = "" }) => ({ idempotencyKey: id }))

const started = Effect.gen(function* () {
  const payload = yield* HttpServerRequest.schemaBodyJson(Order.payload)
  const run = yield* Order.start(payload)
  return yield* answer(202, { run })
})

const polled = Effect.gen(function* () {
  const state = yield* Order.poll(yield* target)
  if (Option.isNone(state)) return yield* answer(404, { error: "there is no such order" })
  const { _tag, ...rest } = state.value
  return yield* answer(200, { state: _tag, ...rest })
})

const released = Effect.gen(function* () {
  const value = yield* HttpServerRequest.schemaBodyJson(Reply)
  yield* Order.answer(yield* target, Release, { approved: true, value })
  return yield* answer(202, {})
})

const cancelled = Effect.gen(function* () {
  yield* Order.cancel(yield* target, "asked for by HTTP")
  return yield* answer(202, {})
})

const refused = (status: number) => (error: { readonly message: string }) => answer(status, { error: error.message })

/** What the rest of the app has beside it. */
export const router = HttpRouter.empty.pipe(
  HttpRouter.post("/orders", started),
  HttpRouter.get("/orders/:id", polled),
  HttpRouter.post("/orders/:id/release", released),
  HttpRouter.del("/orders/:id", cancelled),
  HttpRouter.catchTags({
    ParseError: refused(400),
    RequestError: refused(400),
    InvalidAnswer: refused(400),
    RunNotFound: refused(404),
    IdempotencyConflict: refused(409),
    NotWaiting: refused(409),
    RunAlreadyEnded: refused(409)
  })
)
