/**
 * The yardstick: plain better-sqlite3 with the engine's pragmas and rows of the engine's size, one commit a statement.
 */
import Database from "better-sqlite3"
import { join } from "node:path"
import { defaultCheckpoint } from "../src/persistence/SqlitePersistence.ts"
import { type Durability, inFolder } from "./Bed.ts"
import { type Sample, timed } from "./Workload.ts"

/** As long as what the engine stores of a call that has ended. */
const data = JSON.stringify({
  epoch: 1,
  status: "completed",
  startedAt: 1_700_000_000_000,
  endedAt: 1_700_000_000_001,
  attempts: [{ number: 1, startedAt: 1_700_000_000_000, endedAt: 1_700_000_000_001, outcome: "completed" }],
  result: { context: "" },
  idempotencyKey: "01ARZ3NDEKTSV4RRFFQ69G5FAV/instant~1000"
})

const tables = `
  CREATE TABLE runs (id TEXT NOT NULL PRIMARY KEY, status TEXT NOT NULL, data TEXT NOT NULL);
  CREATE TABLE steps (run TEXT NOT NULL, path TEXT NOT NULL, epoch INTEGER NOT NULL, position INTEGER NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, superseded INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (run, path, epoch))`

const insertStep = "INSERT INTO steps VALUES (?, ?, 1, ?, 'call', 'instant', 'running', 0, ?)"
const updateStep = "UPDATE steps SET status = 'completed', data = ? WHERE run = ? AND path = ? AND epoch = 1"
const insertRun = "INSERT INTO runs VALUES (?, 'running', ?)"
const updateRun = "UPDATE runs SET status = 'completed', data = ? WHERE id = ?"

/** Prepared statements that each commit on their own. */
export interface Raw {
  readonly startStep: (run: string, n: number) => void
  readonly endStep: (run: string, n: number) => void
  readonly startRun: (run: string) => void
  readonly endRun: (run: string) => void
}

export const raw = (durability: Exclude<Durability, "memory">, use: (raw: Raw) => void): Promise<Sample> =>
  inFolder(async (folder) => {
    const database = new Database(join(folder, "raw.db"))
    try {
      database.pragma("journal_mode = WAL")
      database.pragma(`synchronous = ${durability}`)
      database.pragma(`wal_autocheckpoint = ${defaultCheckpoint}`)
      database.exec(tables)
      const statements = {
        insertStep: database.prepare(insertStep),
        updateStep: database.prepare(updateStep),
        insertRun: database.prepare(insertRun),
        updateRun: database.prepare(updateRun)
      }
      const path = (n: number) => `/instant~${n}`
      return await timed(async () =>
        use({
          startStep: (run, n) => statements.insertStep.run(run, path(n), n, data),
          endStep: (run, n) => statements.updateStep.run(data, run, path(n)),
          startRun: (run) => statements.insertRun.run(run, data),
          endRun: (run) => statements.updateRun.run(data, run)
        })
      )
    } finally {
      database.close()
    }
  })

/** Two commits a step: it starts, it ends. */
export const rawSteps = (durability: Exclude<Durability, "memory">, runs: number, steps: number): Promise<Sample> =>
  raw(durability, (it) => {
    for (let n = 1; n <= steps; n++) {
      for (let run = 0; run < runs; run++) {
        it.startStep(`run-${run}`, n)
        it.endStep(`run-${run}`, n)
      }
    }
  })

/** Four commits a run of one step. */
export const rawRuns = (durability: Exclude<Durability, "memory">, runs: number): Promise<Sample> =>
  raw(durability, (it) => {
    for (let run = 0; run < runs; run++) {
      it.startRun(`run-${run}`)
      it.startStep(`run-${run}`, 1)
      it.endStep(`run-${run}`, 1)
      it.endRun(`run-${run}`)
    }
  })

/** Six commits an item: its own start and end, and those of its child run and of the child's step. */
export const rawItems = (durability: Exclude<Durability, "memory">, items: number): Promise<Sample> =>
  raw(durability, (it) => {
    for (let item = 1; item <= items; item++) {
      it.startStep("parent", item)
      it.startRun(`run-${item}`)
      it.startStep(`run-${item}`, 1)
      it.endStep(`run-${item}`, 1)
      it.endRun(`run-${item}`)
      it.endStep("parent", item)
    }
  })

/** Rows inserted one by one. */
export const rawInserts = (durability: Exclude<Durability, "memory">, rows: number): Promise<Sample> =>
  raw(durability, (it) => {
    for (let n = 1; n <= rows; n++) it.startStep("run", n)
  })
