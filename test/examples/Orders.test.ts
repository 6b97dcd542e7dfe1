/**
 * The example of an order fulfilment, in real processes: killed anywhere and started again, its books are right; code
 * that does not fit takes nothing back.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { fulfilAll, fulfilment } from "../../examples/orders/Program.ts"
import { layer, type Movement, Shop } from "../../examples/orders/Shop.ts"
import { Seeded } from "../../src/testing/Seeded.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { place } from "../cli/support.ts"
import { startProcess } from "../engine/durability/EngineProcess.ts"
import { type DatabaseFiles, filesOf, putFiles } from "../persistence/DatabaseFiles.ts"
import { temporaryFolder } from "../persistence/support.ts"

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

// ---- killed at each request, in one process

const databases = ["orders.db", "shop.db"]

/** What a process that is killed at a request leaves. */
interface Kill {
  readonly where: string
  readonly files: ReadonlyArray<DatabaseFiles>
}

/** Runs the whole program in virtual time; `atRequest` is called just before each request is done and just after. */
const fulfilled = (folder: string, start: number, atRequest: (moment: "before" | "after") => void) => {
  const heard = Effect.map(Shop, (real) =>
    Shop.of({
      ...real,
      move: (movement) =>
        Effect.sync(() => atRequest("before")).pipe(
          Effect.zipRight(real.move(movement)),
          Effect.zipLeft(Effect.sync(() => atRequest("after")))
        )
    })
  )
  const shop = Layer.provide(Layer.effect(Shop, heard), layer(join(folder, "shop.db")))
  const program = Effect.provide(fulfilAll(200), Layer.provideMerge(fulfilment({ folder, changed: false }), shop))
  const quiet = Console.consoleWith((own) => Effect.withConsole(program, { ...own, log: () => Effect.void }))
  return withVirtualClock(quiet, start)
}

const monday = Date.UTC(2030, 0, 7)
const tuesday = Date.UTC(2030, 0, 8)

/** The kills at all requests of a run of the program. */
const killsOf = (folder: string) =>
  Effect.gen(function* () {
    const kills: Array<Kill> = []
    let request = 0
    yield* fulfilled(folder, monday, (moment) => {
      if (moment === "before") request += 1
      const files = databases.map((name) => filesOf(join(folder, name)))
      kills.push({ where: `${moment} request ${request}`, files })
    })
    return kills
  })

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

  it.scopedLive("killed at any of its requests, before it is done or after, has the right books in the end", () =>
    Effect.gen(function* () {
      const first = yield* temporaryFolder((folder) => folder)
      const folder = yield* temporaryFolder((folder) => folder)
      const kills = yield* killsOf(first)
      expectRightBooks(yield* books(first))
      // All but the opening balances, and Ben's charges, which are refused.
      expect(kills).toHaveLength(2 * ((yield* books(first)).length - 5 + 4))
      for (const { files, where } of kills) {
        for (const [index, name] of databases.entries()) putFiles(files[index] ?? [], join(folder, name))
        const before = yield* books(folder)
        yield* fulfilled(folder, tuesday, () => {})
        const after = yield* books(folder)
        expect(after.slice(0, before.length), where).toEqual(before)
        expectRightBooks(after)
      }
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
