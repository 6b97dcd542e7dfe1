/** Works on a batch of twelve documents: `node --import jiti/register examples/documents/main.ts [DATABASE]`. */
import { NodeRuntime } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Batch, documents } from "./Documents.ts"

const names = Array.from({ length: 12 }, (_, index) => (index === 5 ? "scan-6.bin" : `letter-${index + 1}.txt`))

const program = Effect.flatMap(Batch.execute({ id: "monday", documents: names }), ({ failed, filed }) =>
  Console.log(`filed ${filed.length}, failed: ${failed.join(", ")}`)
)

NodeRuntime.runMain(Effect.provide(program, documents(process.argv[2] ?? "documents.db")))
