/**
 * Millrace as one of the engines: `.wf` workflows, as in the other workloads.
 */
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { dirname } from "node:path"
import type { Executor } from "../../src/action/Action.ts"
import { completeRun, definitionOf, layer } from "../Bed.ts"
import type { Adapter, Work } from "./Adapter.ts"

/** The waits of a workload are all the same. */
const waiting: Executor = () => Effect.as(Effect.sleep("100 millis"), {})

const definition = ({ steps, shape, wait }: Work) => {
  if (wait !== 0 && wait !== 100) throw new Error(`no action waits ${wait} ms`)
  const calls = `call ${wait === 0 ? "instant" : "waiting"} `.repeat(steps)
  return definitionOf(`workflow work { ${shape === "block" ? `parallel { ${calls} }` : calls} }`)
}

export const millrace: Adapter = {
  recorded: {
    runs: "SELECT count(*) AS count FROM runs WHERE status = 'completed'",
    steps: "SELECT count(*) AS count FROM steps WHERE kind = 'call' AND status = 'completed'"
  },
  open: async ({ file, synchronous }) => {
    const runtime = ManagedRuntime.make(
      layer({ durability: synchronous, folder: dirname(file), executors: { waiting } })
    )
    return {
      prepare: async (work) => {
        const one = completeRun(definition(work))
        const all = Effect.forEach(Array.from({ length: work.runs }), () => one, {
          concurrency: work.atOnce,
          discard: true
        })
        return () => runtime.runPromise(all)
      },
      close: () => runtime.dispose()
    }
  }
}
