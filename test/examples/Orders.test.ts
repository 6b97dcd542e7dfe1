/**
 * The example of an order fulfilment, in real processes: killed anywhere and started again, its books are right; code
 * that does not fit takes nothing back.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { layer, type Movement, Shop } from "../../examples/orders/Shop.ts"
import { Seeded } from "../../src/testing/Seeded.ts"
import { place } from "../cli/support.ts"
import { startProcess } from "../engine/durability/EngineProcess.ts"

const main = join(import.meta.dirname, "../../examples/orders/main.ts")
const deadly = join(import.meta.dirname, "processes/orders.ts")

const books = (folder: string) =>
  Effect.provide(
    Effect.flatMap(Shop, ({ movements }) => movements),
    layer(join(folder, "shop.db"))
  )

/** What happened for an order, in order. */
const done = (movements: ReadonlyArray<Movement>, order: string): ReadonlyArray<string> =>
  movements.filter(({ why }) => why.split(" ").includes(order)).map(({ why }) => why)

const sum = (movements: ReadonlyArray<Movement>, of: string): number =>
  movements.filter((movement) => movement.of === of).reduce((total, { amount }) => total + amount, 0)

/** What each order should have led to: three of twelve have a vase, which never arrives, and Ben has no money. */
const expected = (n: number): ReadonlyArray<string> => {
  const order = `o-${n}`
  const [first, second] = n % 4 === 0 ? ["book", "vase"] : ["book", "lamp"]
  const reserved = [`reserved for ${order}`, `reserved for ${order}`]
  const released = [`released by ${order}`, `released by ${order}`]
  if (n % 3 === 0) return [...reserved, ...released]
  const charged = [...reserved, `charged for ${order}`, `${first} for ${order}`]
  if (second === "lamp") return [...charged, `${second} for ${order}`]
  return [...charged, `${first} of ${order} came back`, `refunded for ${order}`, ...released]
}

const numbers = Array.from({ length: 12 }, (_, index) => index + 1)

/** Everything was done, or done and taken back, exactly once, in its order: as if nobody had killed anything. */
const expectRightBooks = (movements: ReadonlyArray<Movement>) => {
  expect(numbers.map((n) => done(movements, `o-${n}`))).toEqual(numbers.map(expected))
  const left = ["ann", "ben", "book", "lamp", "vase", "parcels"].map((of) => sum(movements, of))
  expect(left).toEqual([100_000 - 6 * 2_500, 1_000, 94, 94, 100, 12])
}

/** Runs the program until it ends by itself; what it printed. */
const untilDone = (folder: string, withdrawal: number, ...rest: ReadonlyArray<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const program = yield* startProcess(main, "--folder", folder, "--withdrawal", String(withdrawal), ...rest)
      expect(yield* program.exit).toBe(0)
      return program.printed()
    })
  )

describe("the example of an order fulfilment", { timeout: 300_000 }, () => {
  it.live("killed at any time, again and again, has the right books in the end", () =>
    Effect.gen(function* () {
      const folder = place().folder
      const random = new Seeded(7)
      for (let kill = 0; kill < 6; kill++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const program = yield* startProcess(main, "--folder", folder, "--withdrawal", "500")
            yield* program.said("started")
            yield* Effect.sleep(random.between(0, 400))
            program.kill("SIGKILL")
            yield* program.exit
          })
        )
      }
      yield* untilDone(folder, 500)
      expectRightBooks(yield* books(folder))
    })
  )

  it.live.each([
    ["after", 1],
    ["after", 13],
    ["before", 41],
    ["after", 50],
    ["after", 57]
  ] as const)("killed just %s request %i to the shop, repeats no request", ([moment, request]) =>
    Effect.gen(function* () {
      const folder = place().folder
      yield* Effect.scoped(
        Effect.gen(function* () {
          const program = yield* startProcess(deadly, folder, "200", moment, String(request))
          expect(yield* program.exit).toBe("SIGKILL")
        })
      )
      const before = yield* books(folder)
      yield* untilDone(folder, 200)
      const after = yield* books(folder)
      expect(after.slice(0, before.length)).toEqual(before)
      expectRightBooks(after)
    })
  )

  it.live(
    "whose code no longer fits parks its runs, refunds nothing, and with the code from before lets them finish",
    () =>
      Effect.gen(function* () {
        const folder = place().folder
        const withdrawal = 10_000
        yield* Effect.scoped(
          Effect.gen(function* () {
            const program = yield* startProcess(main, "--folder", folder, "--withdrawal", String(withdrawal))
            yield* program.said("started")
            yield* Effect.repeat(books(folder), { until: (movements) => movements.length === 5 + 12 * 2 + 8 + 4 * 2 })
            program.kill("SIGKILL")
            yield* program.exit
          })
        )
        const charged = yield* books(folder)
        const printed = yield* untilDone(folder, withdrawal, "--changed")
        const reason = "the recorded end of /charge cannot be read by action 'charge': Expected number"
        for (const n of numbers.filter((it) => it % 3 !== 0)) expect(printed).toContain(`o-${n}: parked, ${reason}`)
        expect(yield* books(folder)).toEqual(charged)
        expect(yield* untilDone(folder, withdrawal)).not.toContain("parked")
        expectRightBooks(yield* books(folder))
      })
  )
})
