/** Serves orders: `node --import jiti/register examples/http/main.ts DATABASE [PORT]`. */
import { HttpServer } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { orders, router } from "./App.ts"

const [filename = "orders.db", port = "3000"] = process.argv.slice(2)

const main = HttpServer.serve(router).pipe(
  HttpServer.withLogAddress,
  Layer.provide(orders(filename)),
  Layer.provide(NodeHttpServer.layer(createServer, { port: Number(port) }))
)

NodeRuntime.runMain(Layer.launch(main))
