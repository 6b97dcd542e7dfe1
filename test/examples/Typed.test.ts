import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { orders, Order, program } from "../../examples/typed/order.ts"
import { place } from "../cli/support.ts"

describe("the example of a typed workflow", () => {
  it.live("runs, and finds its end when it is started again", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void logged.push(message))
      )
      const file = place().path("orders.db")
      const end = { receipt: "receipt of o-17", parcels: [5, 4] }
      expect(yield* Effect.provide(program(file), logger)).toEqual(end)
      expect(logged).toHaveLength(3)
      const again = Order.execute({ id: "o-17", cents: 4_200 }).pipe(
        Effect.provide(orders(file)),
        Effect.provide(logger)
      )
      expect(yield* again).toEqual(end)
      expect(logged).toHaveLength(3)
    })
  )

  it("is what the README shows", () => {
    const root = join(import.meta.dirname, "../..")
    const example = readFileSync(join(root, "examples/typed/order.ts"), "utf8")
    const [, shown = ""] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, "README.md"), "utf8")) ?? []
    expect(shown).not.toBe("")
    expect(example).toContain(shown.trim())
  })
})
