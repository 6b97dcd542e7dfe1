/**
 * A loss of power: the write-ahead log of a run is cut behind and within each of its frames, and the run goes on.
 */
import { afterAll, describe, expect, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Persistence } from "../../../src/persistence/Persistence.ts"
import * as SqlitePersistence from "../../../src/persistence/SqlitePersistence.ts"
import { generateProgram } from "../../../src/testing/ProgramGenerator.ts"
import { loseEngines, resumeProgram, runProgram } from "../../../src/testing/ProgramRunner.ts"
import { readTree, recordDifference, type RunTree } from "../../../src/testing/RecordComparison.ts"
import type { Execution, TestProgram } from "../../../src/testing/TestProgram.ts"
import { withVirtualClock } from "../../../src/testing/VirtualClock.ts"
import { copyCut, walCuts } from "../../../src/testing/WalPrefix.ts"
import { temporaryDatabase } from "../../persistence/support.ts"
import { programs } from "./Programs.ts"

/** Nothing here is lost with the process: what is durable is decided by the cut. */
const open = (filename: string) =>
  Effect.map(Layer.build(SqlitePersistence.layer({ filename, walAutocheckpoint: 0, synchronous: "OFF" })), (services) =>
    Context.get(services, Persistence)
  )

/** The uninterrupted run checks I6. */
const settings = { checkInvariants: false }

/** What a cut database holds, in short: how far each run is, and how many rows there are. */
const heldBy = (copy: string): string => {
  const database = new Database(copy)
  const [problem] = database.prepare("PRAGMA integrity_check").pluck().all()
  const counts = "(SELECT count(*) FROM steps), (SELECT count(*) FROM items), (SELECT count(*) FROM inbox)"
  const held = database.prepare(`SELECT group_concat(id || ':' || seq || status), ${counts} FROM runs`).raw().all()
  database.close()
  return `${String(problem)} ${JSON.stringify(held)}`
}

/** What becomes of the run in a cut database; undefined before there is one. */
const afterCut = (program: TestProgram, copy: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const store = yield* open(copy)
      const [root] = yield* store.list({ parent: null, limit: 1 })
      if (root === undefined) return undefined
      const held = yield* Effect.provideService(readTree(root.id), Persistence, store)
      yield* loseEngines(store)
      const executions: Array<Execution> = []
      const began = (execution: Execution) => executions.push(execution)
      const resuming = resumeProgram(program, root.id, { store, began, settings })
      return { held, resumed: yield* withVirtualClock(resuming, root.createdAt + 1e6), executions }
    })
  )

/** A step that had completed and was executed again. */
const executedAgain = (held: RunTree, executions: ReadonlyArray<Execution>): Execution | undefined => {
  const completed = held.runs.flatMap(({ run, steps }) =>
    steps.filter((step) => step.status === "completed").map((step) => `${run.id} ${step.path}`)
  )
  return executions.find((it) => completed.includes(`${it.run} ${it.path}`))
}

const total = { programs: 0, cuts: 0, resumed: 0 }

const survivesCuts = (program: TestProgram) =>
  Effect.gen(function* () {
    const filename = yield* temporaryDatabase
    const store = yield* open(filename)
    const before = (yield* walCuts(filename)).length
    const expected = yield* withVirtualClock(runProgram(program, { store }))
    const copy = `${filename}-cut.db`
    let last = { commits: -1, held: "" }
    let resumed = 0
    for (const cut of (yield* walCuts(filename)).slice(before - 1)) {
      const where = `${program.name}, cut at byte ${cut.bytes}`
      total.cuts += 1
      yield* copyCut(filename, cut, copy)
      const held = heldBy(copy)
      expect(held, where).toMatch(/^ok /)
      // Half a transaction is none.
      if (cut.commits === last.commits) expect(held, where).toBe(last.held)
      const found = cut.commits === last.commits ? undefined : yield* afterCut(program, copy)
      last = { commits: cut.commits, held }
      if (found === undefined) continue
      resumed += 1
      expect(recordDifference(expected, found.resumed), where).toBe(undefined)
      expect(executedAgain(found.held, found.executions), where).toBe(undefined)
    }
    expect(resumed).toBeGreaterThan(2)
    total.programs += 1
    total.resumed += resumed
  }).pipe(Logger.withMinimumLogLevel(LogLevel.Error))

/** Generated programs that write little, since every write is many cuts; together they cover every node kind. */
const seeds = [
  1, 2, 4, 6, 7, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 22, 23, 24, 26, 27, 28, 32, 33, 34, 35, 38, 43, 44, 45, 46, 47,
  48, 49, 53, 54, 55, 56, 59, 60, 63, 64, 66, 68, 71, 72, 73, 75, 77, 80, 83
]

describe("after a loss of power at any byte of the log, a run goes on to the same records", () => {
  afterAll(() => {
    console.log(`power losses: ${total.programs} programs, ${total.cuts} cuts, ${total.resumed} resumed`)
  })
  for (const program of programs.slice(1, 2)) it.scopedLive(program.name, () => survivesCuts(program), 60_000)
  for (const seed of seeds) {
    it.scopedLive(`the program of seed ${seed}`, () => survivesCuts(generateProgram(seed)), 60_000)
  }
})
