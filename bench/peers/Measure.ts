/**
 * One execution of some work by some engine, in a process of its own: that process's side.
 */
import Database from "better-sqlite3"
import { join } from "node:path"
import { databaseName, inFolder } from "../Bed.ts"
import { type Sample, timed } from "../Workload.ts"
import type { Adapter, Opened, Synchronous, Work } from "./Adapter.ts"

interface Counts {
  readonly runs: number
  readonly steps: number
}

/** A new database, a part of the work to have all of it warm, then the work itself, whose records are counted. */
export const execute = (adapter: Adapter, synchronous: Synchronous, work: Work): Promise<Sample> =>
  inFolder(async (folder) => {
    const file = join(folder, databaseName)
    const opened = await adapter.open({ file, synchronous })
    try {
      await (await opened.prepare(partOf(work)))()
      const before = recorded(adapter, file)
      const run = await opened.prepare(work)
      const sample = await timed(run)
      check(before, recorded(adapter, file), work)
      await checkSynchronous(opened, synchronous)
      return sample
    } finally {
      await opened.close()
    }
  })

/** A tenth. */
const partOf = (work: Work): Work => {
  const part = (count: number) => Math.ceil(count / 10)
  return work.runs > 1 ? { ...work, runs: part(work.runs) } : { ...work, steps: part(work.steps) }
}

/**
 * The same, in a process that has just done a part of it again and again for a second, at least once: what a process
 * did before others had their turn it does not do as fast at once.
 */
export const executeWarm = async (adapter: Adapter, synchronous: Synchronous, work: Work): Promise<Sample> => {
  const started = performance.now()
  do await execute(adapter, synchronous, partOf(work))
  while (performance.now() - started < 1_000)
  return execute(adapter, synchronous, work)
}

/** Asked from another connection: it is in the file. */
const recorded = ({ recorded }: Adapter, file: string): Counts => {
  const database = new Database(file, { readonly: true })
  try {
    const count = (query: string) => database.prepare<[], { readonly count: number }>(query).get()?.count ?? Number.NaN
    return { runs: count(recorded.runs), steps: count(recorded.steps) }
  } finally {
    database.close()
  }
}

const check = (before: Counts, after: Counts, { runs, steps }: Work): void => {
  const made = { runs: after.runs - before.runs, steps: after.steps - before.steps }
  if (made.runs === runs && made.steps === runs * steps) return
  throw new Error(`recorded ${made.runs} runs and ${made.steps} steps, expected ${runs} and ${runs * steps}`)
}

const checkSynchronous = async (opened: Opened, synchronous: Synchronous): Promise<void> => {
  const expected = synchronous === "FULL" ? 2 : 1
  const found = (await opened.synchronous?.()) ?? []
  if (found.some((it) => it !== expected)) throw new Error(`synchronous is ${found.join(", ")}, expected ${expected}`)
}
