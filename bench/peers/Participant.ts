/**
 * The processes in which engines are measured: each lives as long as its workload and is asked for one sample after
 * another, so that the engines take turns.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import type { Sample } from "../Workload.ts"
import type { Synchronous, Work } from "./Adapter.ts"
import { execute, executeWarm } from "./Measure.ts"
import { adapterOf } from "./Peers.ts"

/** What a process is told to be, on its command line. */
export interface Part {
  readonly name: string
  readonly synchronous: Synchronous
  readonly work: Work
  readonly warm: boolean
}

export interface Participant {
  readonly sample: () => Promise<Sample>
  readonly stop: () => Promise<void>
}

type Reply = { readonly sample: Sample } | { readonly error: string }

export const start = (part: Part): Participant => {
  const child = fork(process.argv[1] ?? "", ["--part", JSON.stringify(part)], {
    // Mastra and LangGraph have more listeners on a signal than Node thinks well of.
    execArgv: ["--disable-warning=MaxListenersExceededWarning"],
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  return {
    sample: () => ask(child, part),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill("SIGKILL")
      await once(child, "exit")
    }
  }
}

const ask = (child: ChildProcess, { name }: Part): Promise<Sample> =>
  new Promise((resolve, reject) => {
    const exited = (code: number | null) => reject(new Error(`${name}'s process ended with ${code}`))
    child.once("exit", exited)
    child.once("message", (reply: Reply) => {
      child.off("exit", exited)
      if ("error" in reply) reject(new Error(`${name}: ${reply.error}`))
      else resolve(reply.sample)
    })
    child.send("sample")
  })

/** The process's own side: does as it is asked until it is stopped. */
export const serve = async ({ name, synchronous, work, warm }: Part, root: string): Promise<void> => {
  const adapter = await adapterOf(name, root)
  const sample = () => (warm ? executeWarm : execute)(adapter, synchronous, work)
  const reply = (message: Reply) => process.send?.(message)
  process.once("disconnect", () => process.exit(1))
  process.on("message", () => {
    sample().then(
      (sample) => reply({ sample }),
      (error: unknown) => reply({ error: error instanceof Error ? String(error.stack) : String(error) })
    )
  })
}
