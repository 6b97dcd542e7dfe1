/** The example of an HTTP app, in a real process: requests, conflicts, a shutdown, a kill. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { eventually } from "../action/support.ts"
import { place } from "../cli/support.ts"
import { startProcess } from "../engine/durability/EngineProcess.ts"

const main = join(import.meta.dirname, "../../examples/http/main.ts")

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const ask = (url: string, method: string, body?: unknown): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const sent =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }
    const response = await fetch(url, { method, ...sent })
    // SAFETY: every answer of the app is a JSON object.
    return { status: response.status, body: (await response.json()) as Answer["body"] }
  })

/** Serves on any free port. */
const serving = (file: string) =>
  Effect.gen(function* () {
    const program = yield* startProcess(main, file, "0")
    const port = () => /:(\d+)"?\n/.exec(program.printed())?.[1]
    expect(yield* eventually(() => port() !== undefined, 60_000)).toBe(true)
    const orders = `http://127.0.0.1:${port()}/orders`
    const state = (id: string, wanted: string) =>
      Effect.repeat(ask(`${orders}/${id}`, "GET"), { until: ({ body }) => body["state"] === wanted })
    return { program, orders, state }
  })

describe("the example of an HTTP app", { timeout: 120_000 }, () => {
  it.live("starts, shows, answers and cancels runs, and says no to what cannot be", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { orders, state } = yield* serving(place().path("orders.db"))
        const first = yield* ask(orders, "POST", { id: "o-1", cents: 5 })
        expect(first.status).toBe(202)
        expect(yield* ask(orders, "POST", { id: "o-1", cents: 5 })).toEqual(first)
        expect(yield* ask(orders, "POST", { id: "o-1", cents: 6 })).toMatchObject({ status: 409 })
        expect(yield* ask(orders, "POST", { id: "o-1" })).toMatchObject({ status: 400 })
        expect(yield* ask(`${orders}/o-9`, "GET")).toMatchObject({ status: 404 })
        expect(yield* ask(`${orders}/o-9`, "DELETE")).toMatchObject({ status: 404 })
        expect((yield* state("o-1", "Waiting")).body).toMatchObject({ on: [{ prompt: "Send it?" }] })
        expect(yield* ask(`${orders}/o-1/release`, "POST", { carrier: 5 })).toMatchObject({ status: 400 })
        expect(yield* ask(`${orders}/o-1/release`, "POST", { carrier: "post" })).toMatchObject({ status: 202 })
        const value = { receipt: "receipt of o-1", carrier: "post" }
        expect((yield* state("o-1", "Completed")).body).toMatchObject({ value })
        expect(yield* ask(`${orders}/o-1`, "DELETE")).toMatchObject({ status: 409 })
        yield* ask(orders, "POST", { id: "o-2", cents: 5 })
        yield* state("o-2", "Waiting")
        expect(yield* ask(`${orders}/o-2`, "DELETE")).toMatchObject({ status: 202 })
        expect((yield* state("o-2", "Cancelled")).body).toMatchObject({ reason: "user requested: asked for by HTTP" })
      })
    )
  )

  it.live.each(["SIGTERM", "SIGKILL"] as const)(
    "goes on after %s with what it was at, charging nothing twice",
    (signal) =>
      Effect.scoped(
        Effect.gen(function* () {
          const file = place().path("orders.db")
          const { orders, program, state } = yield* serving(file)
          yield* ask(orders, "POST", { id: "o-1", cents: 5 })
          yield* state("o-1", "Waiting")
          program.kill(signal)
          const ended = yield* program.exit
          expect(ended).toBe(signal === "SIGKILL" ? "SIGKILL" : 0)
          const next = yield* serving(file)
          yield* next.state("o-1", "Waiting")
          yield* ask(`${next.orders}/o-1/release`, "POST", { carrier: "post" })
          yield* next.state("o-1", "Completed")
          expect(next.program.printed()).not.toContain("charging")
          expect(program.printed()).not.toContain("refunding")
        })
      )
  )
})
