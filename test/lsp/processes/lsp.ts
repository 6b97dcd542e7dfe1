/** What the tests run as a process of its own: the language server on standard input and output. */
import * as Effect from "effect/Effect"
import { serve } from "../../../src/lsp/Server.ts"

process.exitCode = await Effect.runPromise(serve(process.stdin, process.stdout, { version: "test" }))
