/**
 * Mastra, with its LibSQL storage on a file.
 *
 * Its storage sets `synchronous` on one connection of a pool, and takes others when several statements are under way:
 * as many queries at once as the pool has places reach all of them.
 */
import { Mastra } from "@mastra/core"
import { createStep, createWorkflow } from "@mastra/core/workflows"
import { LibSQLStore } from "@mastra/libsql"
import { setTimeout as sleep } from "node:timers/promises"
import { z } from "zod"
import { repeat } from "./at-once.mjs"

/** Of `@libsql/client`'s connections to one file. */
const poolSize = 20

const schema = z.object({})

const stepOf = (n, wait) =>
  createStep({
    id: `step-${n}`,
    inputSchema: schema,
    outputSchema: schema,
    execute: async () => {
      if (wait > 0) await sleep(wait)
      return {}
    }
  })

const workflowOf = ({ steps, shape, wait }) => {
  const workflow = createWorkflow({ id: "work", inputSchema: schema, outputSchema: z.any() })
  const all = Array.from({ length: steps }, (_, n) => stepOf(n, wait))
  const whole = shape === "block" ? workflow.parallel(all) : all.reduce((chain, step) => chain.then(step), workflow)
  return whole.commit()
}

export const recorded = {
  runs: `SELECT count(*) AS count FROM mastra_workflow_snapshot WHERE json_extract(snapshot, '$.status') = 'success'`,
  steps: `SELECT count(*) AS count FROM mastra_workflow_snapshot, json_each(snapshot, '$.context') AS step
    WHERE json_extract(step.value, '$.status') = 'success'`
}

export const open = async ({ file, synchronous }) => {
  const storage = new LibSQLStore({ id: "bench", url: `file:${file}` })
  await storage.init()
  const onAll = (sql) => Promise.all(Array.from({ length: poolSize }, () => storage.client.execute(sql)))
  await onAll(`PRAGMA synchronous = ${synchronous}`)
  return {
    prepare: async (work) => {
      const mastra = new Mastra({ storage, workflows: { work: workflowOf(work) }, logger: false })
      const one = async () => {
        const run = await mastra.getWorkflow("work").createRun()
        const { status } = await run.start({ inputData: {} })
        if (status !== "success") throw new Error(`the run ended ${status}`)
      }
      return () => repeat(work.runs, work.atOnce, one)
    },
    synchronous: async () => (await onAll("PRAGMA synchronous")).map(({ rows }) => rows[0].synchronous),
    close: () => storage.close()
  }
}
