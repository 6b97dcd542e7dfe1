/**
 * Commits that are cut between their statements, on SQLite, since the process dies there: nothing of them is left, and the
 * run goes on to the records of one that was not disturbed.
 */
import { afterAll, describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import type { WriteHooks } from "../../../src/persistence/sql/SqliteWriter.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import { generateProgram } from "../../../src/testing/ProgramGenerator.ts"
import { loseEngines, resumeProgram, runProgram } from "../../../src/testing/ProgramRunner.ts"
import { readTree, recordDifference, type RunTree } from "../../../src/testing/RecordComparison.ts"
import type { Execution, TestProgram } from "../../../src/testing/TestProgram.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { type DatabaseFiles, filesOf, putFiles } from "../../persistence/DatabaseFiles.ts"
import { temporaryDatabase } from "../../persistence/support.ts"

/** Programs that write little: each statement is a copy of the database. */
const seeds = [1, 3, 4, 5, 6, 7, 9, 11, 12, 13, 14, 15, 16, 17, 19, 22, 23, 24, 26, 27, 28]

const programOf = (seed: number): TestProgram => generateProgram(seed, { size: 3, depth: 2 })

const open = (filename: string, hooks: WriteHooks = {}) =>
  Effect.map(Layer.build(SqlitePersistence.layer({ filename, synchronous: "OFF", hooks })), (services) =>
    Context.get(services, Persistence)
  )

const settings = { checkInvariants: false }

const total = { deaths: 0, resumed: 0 }

afterAll(() => {
  console.log(`cut commits: ${seeds.length} programs, ${total.deaths} deaths at a statement, ${total.resumed} resumed`)
})

// ---- the process dies

/** All rows that a database holds. */
const heldBy = (copy: string): string => {
  const database = new Database(copy)
  const rows = (table: string) => database.prepare(`SELECT * FROM ${table}`).raw().all()
  const held = ["runs", "steps", "items", "inbox", "engines"].map(rows)
  const check = database.pragma("integrity_check", { simple: true })
  database.close()
  expect(check).toBe("ok")
  return JSON.stringify(held)
}

interface Death {
  readonly transaction: number
  readonly sql: string
  readonly files: DatabaseFiles
  readonly began: number
}

/** A run that is not disturbed, with what a death before each of its statements would leave. */
const watched = (program: TestProgram, filename: string) =>
  Effect.gen(function* () {
    const deaths: Array<Death> = []
    const executions: Array<Execution> = []
    let transaction = 0
    const statement = (sql: string, index: number) => {
      if (index === 0) transaction += 1
      deaths.push({ transaction, sql, files: filesOf(filename), began: executions.length })
    }
    const store = yield* open(filename, { statement })
    const began = (execution: Execution) => void executions.push(execution)
    const tree = yield* withVirtualClock(runProgram(program, { store, settings, began }))
    return { deaths, tree }
  })

/** Goes on with what a death left; undefined: there was no run yet. */
const resumed = (program: TestProgram, copy: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const store = yield* open(copy)
      const roots = yield* store.list({ parent: null, limit: 10 })
      const root = roots.find(({ continues }) => continues === null)
      if (root === undefined) return undefined
      const held = yield* Effect.provideService(readTree(root.id), Persistence, store)
      yield* loseEngines(store)
      const executions: Array<Execution> = []
      const began = (execution: Execution) => void executions.push(execution)
      const resuming = resumeProgram(program, root.id, { store, began, settings })
      return { held, tree: yield* withVirtualClock(resuming, root.createdAt + 1_000_000), executions }
    })
  )

const completedIn = ({ runs }: RunTree): ReadonlyArray<string> =>
  runs.flatMap(({ run, steps }) => steps.filter((it) => it.status === "completed").map((it) => `${run.id} ${it.path}`))

const survivesDeaths = (program: TestProgram) =>
  Effect.gen(function* () {
    const filename = yield* temporaryDatabase
    const copy = `${filename}.copy`
    const { deaths, tree } = yield* watched(program, filename)
    let last = { transaction: 0, held: "" }
    for (const death of deaths) {
      const where = `${program.name}, before ${death.sql} of transaction ${death.transaction}`
      total.deaths += 1
      putFiles(death.files, copy)
      const held = heldBy(copy)
      // Whatever the statement, nothing of its transaction is there.
      if (death.transaction === last.transaction) {
        expect(held, where).toBe(last.held)
        continue
      }
      last = { transaction: death.transaction, held }
      const found = yield* resumed(program, copy)
      if (found === undefined) continue
      total.resumed += 1
      expect(recordDifference(tree, found.tree), where).toBe(undefined)
      const completed = completedIn(found.held)
      const again = found.executions.find((it) => completed.includes(`${it.run} ${it.path}`))
      expect(again, where).toBe(undefined)
    }
    expect(deaths.length).toBeGreaterThan(10)
  }).pipe(Logger.withMinimumLogLevel(LogLevel.None))

describe("a process that dies at any statement of a commit leaves nothing of it; its run goes on to the same records", () => {
  for (const seed of seeds) {
    it.scopedLive(`the program of seed ${seed}`, () => survivesDeaths(programOf(seed)), 60_000)
  }
})
