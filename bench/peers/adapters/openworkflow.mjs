/**
 * OpenWorkflow, with its SQLite backend and a worker in this process.
 *
 * The runs are created, then a worker with as many places as there are runs at once takes them up, so that it never
 * waits for the first. The end is seen by asking for the counts of runs every few milliseconds, since a run's handle
 * asks for its result once a second only.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { provideNodeSqlite } from "./node-sqlite.mjs"

provideNodeSqlite()
const { OpenWorkflow } = await import("openworkflow")
const { BackendSqlite } = await import("openworkflow/sqlite")

const body = async ({ input: { steps, shape, wait }, step }) => {
  const one = (n) =>
    step.run({ name: `step-${n}` }, async () => {
      if (wait > 0) await sleep(wait)
      return n
    })
  if (shape === "block") await Promise.all(Array.from({ length: steps }, (_, n) => one(n)))
  else for (let n = 0; n < steps; n++) await one(n)
  return steps
}

export const recorded = {
  runs: "SELECT count(*) AS count FROM workflow_runs WHERE status = 'completed'",
  steps: "SELECT count(*) AS count FROM step_attempts WHERE status = 'completed'"
}

/** Until so many more runs have ended than before; fails with the first that failed. */
const ended = async (backend, expected) => {
  for (;;) {
    const { completed, failed } = await backend.countWorkflowRuns()
    if (failed > 0) throw new Error("a run failed")
    if (completed >= expected) return
    await sleep(2)
  }
}

export const open = async ({ file, synchronous }) => {
  const backend = BackendSqlite.connect(file)
  backend.db.exec(`PRAGMA synchronous = ${synchronous}`)
  const ow = new OpenWorkflow({ backend })
  const workflow = ow.defineWorkflow({ name: "work" }, body)
  let worker
  return {
    prepare: async ({ runs, atOnce, steps, shape, wait }) => {
      await worker?.stop()
      worker = ow.newWorker({ concurrency: atOnce })
      const { completed } = await backend.countWorkflowRuns()
      return async () => {
        for (let n = 0; n < runs; n++) await workflow.run({ steps, shape, wait })
        await worker.start()
        await ended(backend, completed + runs)
      }
    },
    synchronous: async () => [backend.db.prepare("PRAGMA synchronous").get().synchronous],
    close: async () => {
      await worker?.stop()
      await backend.stop()
    }
  }
}
