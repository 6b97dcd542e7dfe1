/**
 * Fulfils some orders and shows the books: `node --import jiti/register examples/orders/main.ts`.
 *
 *     --folder DIR      where the two databases are; default: here
 *     --withdrawal MS   how long a customer may withdraw; default 3000
 *     --changed         with the body of Changed.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { fulfilAll, fulfilment } from "./Program.ts"
import * as Shop from "./Shop.ts"

const { values } = parseArgs({
  options: {
    folder: { type: "string", default: "." },
    withdrawal: { type: "string", default: "3000" },
    changed: { type: "boolean", default: false }
  }
})
mkdirSync(values.folder, { recursive: true })

const main = fulfilment(values).pipe(Layer.provideMerge(Shop.layer(join(values.folder, "shop.db"))))

NodeRuntime.runMain(Effect.provide(fulfilAll(Number(values.withdrawal)), main))
