/**
 * A loss of power: the write-ahead log of a run is cut behind and within each of its frames, and the run goes on.
 */
import { describe, expect, it } from "@effect/vitest"
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
import { copyCut, integrityCheck, type WalCut, walCuts } from "../../../src/testing/WalPrefix.ts"
import { temporaryDatabase } from "../../persistence/support.ts"
import { programs } from "./Programs.ts"

/** Nothing here is lost with the process: what is durable is decided by the cut. */
const open = (filename: string) =>
  Effect.map(
    Layer.build(SqlitePersistence.layer({ filename, walAutocheckpoint: 0, synchronous: "OFF" })),
    (services) => Context.get(services, Persistence)
  )

/** What a cut database holds, and what becomes of its run; undefined before there is one. */
const afterCut = (program: TestProgram, copy: string, resumes: boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      const store = yield* open(copy)
      const [root] = yield* store.list({ parent: null, limit: 1 })
      if (root === undefined) return undefined
      const held = yield* Effect.provideService(readTree(root.id), Persistence, store)
      if (!resumes) return { held, resumed: undefined, executions: [] }
      yield* loseEngines(store)
      const executions: Array<Execution> = []
      const began = (execution: Execution) => executions.push(execution)
      const resumed = yield* withVirtualClock(resumeProgram(program, root.id, { store, began }), root.createdAt + 1e6)
      return { held, resumed, executions }
    })
  )

const survivesCuts = (program: TestProgram) =>
  Effect.gen(function* () {
    const filename = yield* temporaryDatabase
    const store = yield* open(filename)
    const before = (yield* walCuts(filename)).length
    const expected = yield* withVirtualClock(runProgram(program, { store }))
    const cuts = (yield* walCuts(filename)).slice(before)
    let last: WalCut | undefined
    let held: RunTree | undefined
    let resumed = 0
    for (const [index, cut] of cuts.entries()) {
      const where = `${program.name}, cut at byte ${cut.bytes}`
      const copy = `${filename}-${index}.db`
      yield* copyCut(filename, cut, copy)
      expect(yield* integrityCheck(copy), where).toEqual([])
      const isCommit = cut.commits !== last?.commits
      const found = yield* afterCut(program, copy, isCommit)
      if (!isCommit) expect(found?.held, where).toEqual(held)
      last = cut
      held = found?.held
      if (found?.resumed === undefined) continue
      resumed += 1
      expect(recordDifference(expected, found.resumed), where).toBe(undefined)
      const completed = found.held.runs.flatMap(({ run, steps }) =>
        steps.filter((step) => step.status === "completed").map((step) => `${run.id} ${step.path}`)
      )
      const again = found.executions.find((it) => completed.includes(`${it.run} ${it.path}`))
      expect(again, where).toBe(undefined)
    }
    expect(resumed).toBeGreaterThan(5)
  }).pipe(Logger.withMinimumLogLevel(LogLevel.Error))

describe("after a loss of power at any byte of the log, a run goes on to the same records", () => {
  for (const program of programs.slice(0, 2)) it.scopedLive(program.name, () => survivesCuts(program), 60_000)
  for (const seed of [1, 4, 11, 20, 22, 32]) {
    it.scopedLive(`the program of seed ${seed}`, () => survivesCuts(generateProgram(seed)), 60_000)
  }
})
