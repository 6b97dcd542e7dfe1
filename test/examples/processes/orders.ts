/**
 * The orders of the example, in a shop that kills the process at a request, just before it is done or just after:
 * `orders.ts FOLDER WITHDRAWAL [before|after REQUEST]`.
 */
import { NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { fulfilAll, fulfilment } from "../../../examples/orders/Program.ts"
import * as Shops from "../../../examples/orders/Shop.ts"

const [folder = "", withdrawal, moment, at] = process.argv.slice(2)
let requests = 0

const dieAt = (now: string) =>
  Effect.suspend(() => {
    if (moment === now && requests === Number(at)) process.kill(process.pid, "SIGKILL")
    return Effect.void
  })

const shop = Layer.effect(
  Shops.Shop,
  Effect.map(Shops.Shop, (real) =>
    Shops.Shop.of({
      ...real,
      move: (movement) =>
        Effect.suspend(() => {
          requests += 1
          return dieAt("before").pipe(Effect.zipRight(real.move(movement)), Effect.zipLeft(dieAt("after")))
        })
    })
  )
).pipe(Layer.provide(Shops.layer(join(folder, "shop.db"))))

const main = fulfilment({ folder, changed: false }).pipe(Layer.provideMerge(shop))

NodeRuntime.runMain(Effect.provide(fulfilAll(Number(withdrawal)), main))
