/**
 * LangGraph, with its SQLite saver: an `entrypoint` whose steps are `task`s, which are stored one by one. A graph of
 * nodes takes longer: about twice with one node in a loop, more with a node for each step.
 */
import { entrypoint, task } from "@langchain/langgraph"
import { SqliteSaver } from "@langchain/langgraph-checkpoint-sqlite"
import Database from "better-sqlite3"
import { setTimeout as sleep } from "node:timers/promises"
import { repeat } from "./at-once.mjs"

const step = task("step", async ({ n, wait }) => {
  if (wait > 0) await sleep(wait)
  return n
})

const body = async ({ steps, shape, wait }) => {
  if (shape === "block") await Promise.all(Array.from({ length: steps }, (_, n) => step({ n, wait })))
  else for (let n = 0; n < steps; n++) await step({ n, wait })
  return steps
}

export const recorded = {
  runs: "SELECT count(*) AS count FROM writes WHERE channel = '__end__'",
  steps: "SELECT count(*) AS count FROM writes WHERE channel = '__return__'"
}

export const open = async ({ file, synchronous }) => {
  const database = new Database(file)
  database.pragma("journal_mode = WAL")
  database.pragma(`synchronous = ${synchronous}`)
  const workflow = entrypoint({ name: "work", checkpointer: new SqliteSaver(database) }, body)
  let started = 0
  return {
    prepare: async ({ runs, atOnce, steps, shape, wait }) => {
      const one = () =>
        workflow.invoke({ steps, shape, wait }, { configurable: { thread_id: `run-${++started}` }, durability: "sync" })
      return () => repeat(runs, atOnce, one)
    },
    synchronous: async () => [database.pragma("synchronous", { simple: true })],
    close: async () => database.close()
  }
}
