/**
 * Law 7, at a few writes of many programs; `test/engine/durability/Crash.test.ts` has all the writes of some.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as fc from "fast-check"
import { describe, it } from "vitest"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceService } from "../../src/persistence/Persistence.ts"
import { isTerminal, type StepRecord } from "../../src/persistence/Records.ts"
import { type CrashState, recordingStates } from "../../src/testing/CrashStates.ts"
import { loseEngines, resumeProgram, runProgram } from "../../src/testing/ProgramRunner.ts"
import { readTree, recordDifference, type RunTree } from "../../src/testing/RecordComparison.ts"
import { Seeded } from "../../src/testing/Seeded.ts"
import type { Execution, TestProgram } from "../../src/testing/TestProgram.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { calm, expectNone, holds, limit, racing, runs } from "./support.ts"

/** Writes of each program after which it is stopped; one more of a run that was stopped before. */
const writes = 9
const programs = Math.ceil(runs / (writes + 1))

type State = CrashState<ReadonlyArray<Execution>>

/** Plays on a store that remembers its states. */
const recorded = (
  memory: MemoryPersistence.MemoryPersistence,
  start: number | undefined,
  run: (store: PersistenceService, began: (it: Execution) => void) => Effect.Effect<RunTree, unknown>
) =>
  Effect.gen(function* () {
    const executions: Array<Execution> = []
    const recording = recordingStates(memory, () => [...executions])
    const began = (execution: Execution) => void executions.push(execution)
    const tree = yield* withVirtualClock(run(recording.service, began), start)
    const states = recording.states().filter(({ name }) => name !== "renewEngine" && name !== "expireEngine")
    return { executions, states, tree }
  })

/** Goes on from a state in a new engine; what is wrong with how it ends. */
const resumed = (program: TestProgram, state: State, whole: RunTree | undefined) =>
  Effect.gen(function* () {
    const memory = yield* MemoryPersistence.make({ from: state.snapshot })
    const [root] = (yield* memory.service.list({ parent: null, limit: 10 })).filter(
      ({ continues }) => continues === null
    )
    if (root === undefined) return { problems: [], states: [] }
    const before = yield* Effect.provideService(readTree(root.id), Persistence, memory.service)
    yield* loseEngines(memory.service)
    const { executions, states, tree } = yield* recorded(memory, root.createdAt + 1_000_000, (store, began) =>
      resumeProgram(program, root.id, { store, began })
    )
    const difference = whole === undefined ? undefined : recordDifference(whole, tree)
    const found = [...changed(before, tree), ...again(before, executions), ...open(tree)]
    const problems = difference === undefined ? found : [...found, difference]
    return { problems: problems.map((it) => `stopped after write ${state.write} (${state.name}): ${it}`), states }
  })

const rowsOf = ({ runs }: RunTree): ReadonlyMap<string, StepRecord> =>
  new Map(runs.flatMap(({ run, steps }) => steps.map((step) => [`${run.id} ${step.path}`, step] as const)))

/** Journaled decisions that were not kept. */
const changed = (before: RunTree, after: RunTree): ReadonlyArray<string> => {
  const rows = rowsOf(after)
  const decided = [...rowsOf(before)].filter(([, row]) => isTerminal(row.status) || row.value !== null)
  return decided.flatMap(([key, row]) => {
    const now = rows.get(key)
    const ended = ({ status, value, error, result }: StepRecord) => JSON.stringify([status, value, error, result])
    const kept =
      now !== undefined && (isTerminal(row.status) ? ended(now) === ended(row) : isSame(now.value, row.value))
    return kept ? [] : [`${key} was ${ended(row)}, and is ${now === undefined ? "gone" : ended(now)}`]
  })
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

/** Steps that had ended and were executed again. */
const again = (before: RunTree, executions: ReadonlyArray<Execution>): ReadonlyArray<string> => {
  const rows = rowsOf(before)
  return executions
    .filter(({ path, run }) => isTerminal(rows.get(`${run} ${path}`)?.status ?? "pending"))
    .map(({ path }) => `${path} had ended and was executed again`)
}

const open = ({ runs }: RunTree): ReadonlyArray<string> =>
  runs.flatMap(({ run, steps }) => [
    ...(run.endedAt === null ? [`${run.workflow} is ${run.status}`] : []),
    ...steps.filter(({ status }) => !isTerminal(status)).map(({ path, status }) => `${path} is ${status}`)
  ])

/** Stops a program after some of its writes, and once more after one of what follows. */
const survives = (program: TestProgram, seed: number, isCalm: boolean): Promise<void> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const random = new Seeded(seed)
      const memory = yield* MemoryPersistence.make()
      const { states, tree } = yield* recorded(memory, undefined, (store, began) =>
        runProgram(program, { store, began })
      )
      const expected = isCalm ? tree : undefined
      const pick = (from: ReadonlyArray<State>) => from[random.between(0, Math.max(0, from.length - 1))]
      let later: ReadonlyArray<State> = []
      for (let n = 0; n < writes; n++) {
        const state = pick(states)
        if (state === undefined) continue
        const { problems, states: next } = yield* resumed(program, state, expected)
        expectNone({ program }, problems)
        later = next
      }
      const second = pick(later)
      if (second === undefined) return
      const { problems } = yield* resumed(program, second, expected)
      expectNone(
        { program },
        problems.map((it) => `stopped twice, ${it}`)
      )
    }).pipe(Logger.withMinimumLogLevel(LogLevel.Fatal))
  )

describe("law 7: a run that is stopped after any write, also twice, and resumed", () => {
  it(
    "ends with the records of the run that was not stopped, and executes no completed step again",
    () => holds(fc.tuple(calm, fc.nat()), ([program, seed]) => survives(program, seed, true), programs),
    limit
  )

  it(
    "keeps every journaled decision, where its end depends on the schedule",
    () => holds(fc.tuple(racing, fc.nat()), ([program, seed]) => survives(program, seed, false), programs),
    limit
  )
})
