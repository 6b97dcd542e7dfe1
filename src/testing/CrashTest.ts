/**
 * Resume equivalence (spec/orchestration.md, law 7) of one program, a `.wf` or a typed one: it is stopped at every write of a memory store and
 * resumed, and has to end with the records of the run that was not stopped.
 *
 * - Every state between two writes is resumed by a new engine: the crash before the next write, and after the last.
 * - Every write is also tried with its answer lost or itself refused, while the engine lives on.
 * - Some resumed runs are stopped a second time.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as MemoryPersistence from "../persistence/MemoryPersistence.ts"
import type { PersistenceError, PersistenceService } from "../persistence/Persistence.ts"
import { isTerminal, isUserStep, type RunId, type StepRecord } from "../persistence/Records.ts"
import { crashing, runWrites } from "./CrashPoints.ts"
import { type CrashState, recordingStates } from "./CrashStates.ts"
import { loseEngines, resumeProgram, runProgram, type RunOptions } from "./ProgramRunner.ts"
import { recordDifference, type RunTree } from "./RecordComparison.ts"
import { Seeded } from "./Seeded.ts"
import type { Execution, TestProgram } from "./TestProgram.ts"
import { withVirtualClock } from "./VirtualClock.ts"

export interface CrashReport {
  /** Writes of the run that was not stopped. */
  readonly writes: number
  /** Runs that were stopped and resumed. */
  readonly resumed: number
  /** What went wrong, each naming the program and the write. */
  readonly failures: ReadonlyArray<string>
}

export interface CrashTestOptions {
  /** Second crashes for each program; 3. */
  readonly secondCrashes?: number
  /** Of the writes, try one in this many with its answer lost or refused; 1: all. */
  readonly everyNth?: number
  /** Default: virtual, on which runs that wait for hours end at once. Programs with real processes need the real one. */
  readonly clock?: "virtual" | "real"
}

/** Writes that say nothing about a run. */
const isOfEngine = (name: string): boolean => name === "renewEngine" || name === "expireEngine"

/** A program that can be run in an engine of its own, and gone on with in another one. */
export interface CrashSubject {
  readonly name: string
  readonly run: (options: RunOptions) => Effect.Effect<RunTree, PersistenceError>
  /** `root`: the run that it was started as. */
  readonly resume: (root: RunId, options: RunOptions) => Effect.Effect<RunTree, PersistenceError>
}

export const crashEverywhere = (
  program: TestProgram | CrashSubject,
  options: CrashTestOptions = {}
): Effect.Effect<CrashReport, PersistenceError> => {
  const subject = "definition" in program ? subjectOf(program) : program
  return Logger.withMinimumLogLevel(new CrashTest(subject, options).report, LogLevel.Fatal)
}

const subjectOf = (program: TestProgram): CrashSubject => ({
  name: program.name,
  run: (options) => runProgram(program, options),
  resume: (root, options) => resumeProgram(program, root, options)
})

type State = CrashState<ReadonlyArray<Execution>>

class CrashTest {
  readonly #failures: Array<string> = []
  readonly #random = new Seeded(1)
  #resumed = 0

  constructor(
    private readonly program: CrashSubject,
    private readonly options: CrashTestOptions
  ) {}

  readonly report: Effect.Effect<CrashReport, PersistenceError> = Effect.gen(this, function* () {
    const { states, tree } = yield* this.#run
    for (const state of states) yield* this.#resume(state, tree, this.#nameOf(state), 0)
    yield* this.#secondCrashes(states, tree)
    const own = states.filter(({ name }) => name !== "send" && name !== "claimReady" && name !== "storeDefinition")
    for (let at = 1; at <= own.length; at += this.options.everyNth ?? 1) {
      yield* this.#loseAnswer(at, "unanswered", tree)
      yield* this.#loseAnswer(at, "refused", tree)
    }
    return { writes: states.length, resumed: this.#resumed, failures: this.#failures }
  })

  /** The run that is not stopped, and the states that it went through. */
  readonly #run = Effect.gen(this, function* () {
    const memory = yield* MemoryPersistence.make()
    const executions: Array<Execution> = []
    const recording = recordingStates(memory, () => [...executions])
    const began = (execution: Execution) => executions.push(execution)
    const tree = yield* this.#timed(this.program.run({ store: recording.service, began }))
    this.#check("not stopped", executions, [], tree)
    return { states: recording.states().filter(({ name }) => !isOfEngine(name)), tree }
  })

  #nameOf(state: State): string {
    return `stopped after write ${state.write} (${state.name})`
  }

  /** A new engine on a copy of the store; `again`: how often the resumed run is itself stopped. */
  #resume(state: State, expected: RunTree, where: string, again: number): Effect.Effect<void, PersistenceError> {
    return Effect.gen(this, function* () {
      const memory = yield* MemoryPersistence.make({ from: state.snapshot })
      const roots = yield* memory.service.list({ parent: null, limit: 10_000 })
      const root = roots.find(({ continues }) => continues === null)
      if (root === undefined) return
      const kept = yield* completedSteps(memory.service)
      yield* loseEngines(memory.service)
      const executions = [...state.seen]
      const recording = again > 0 ? recordingStates(memory, () => [...executions]) : undefined
      const began = (execution: Execution) => executions.push(execution)
      const store = recording?.service ?? memory.service
      const resumed = this.program.resume(root.id, { store, began })
      const actual = yield* this.#ended(resumed, root.createdAt + 1_000_000, where)
      this.#resumed += 1
      if (actual === undefined) return
      this.#compare(where, expected, actual)
      this.#check(where, executions, kept, actual, state.seen.length)
      const next = recording?.states().filter(({ name }) => !isOfEngine(name)) ?? []
      const second = next[this.#random.between(0, next.length - 1)]
      if (second === undefined) return
      yield* this.#resume(second, expected, `${where}, then ${this.#nameOf(second)}`, again - 1)
    })
  }

  #secondCrashes(states: ReadonlyArray<State>, expected: RunTree): Effect.Effect<void, PersistenceError> {
    return Effect.gen(this, function* () {
      for (let n = 0; n < (this.options.secondCrashes ?? 3); n++) {
        const state = states[this.#random.between(0, states.length - 1)]
        if (state !== undefined) yield* this.#resume(state, expected, this.#nameOf(state), 2)
      }
    })
  }

  /** The engine lives on: it has to find out by itself whether its write was applied. */
  #loseAnswer(at: number, moment: "unanswered" | "refused", expected: RunTree): Effect.Effect<void, PersistenceError> {
    return Effect.gen(this, function* () {
      const memory = yield* MemoryPersistence.make()
      const store = crashing(memory.service, { at, moment, only: runWrites })
      const executions: Array<Execution> = []
      const began = (execution: Execution) => executions.push(execution)
      const where = `write ${at} ${moment}`
      const actual = yield* this.#ended(this.program.run({ store: store.service, began }), undefined, where)
      if (actual === undefined || !store.reached()) return
      this.#resumed += 1
      this.#compare(where, expected, actual)
      const known = new Set(executions.map((it) => `${it.run} ${it.path} ${it.attempt}`))
      if (known.size !== executions.length) this.#fail(where, "an attempt was executed twice")
    })
  }

  /** Undefined if the run did not end. */
  #ended(
    run: Effect.Effect<RunTree, PersistenceError>,
    start: number | undefined,
    where: string
  ): Effect.Effect<RunTree | undefined, PersistenceError> {
    const limited = Effect.disconnect(Effect.timeoutOption(run, limits[this.options.clock ?? "virtual"]))
    return Effect.map(this.#timed(limited, start), (ended) => {
      if (ended._tag === "Some") return ended.value
      this.#fail(where, "the run did not end")
      return undefined
    })
  }

  #timed<A, E>(effect: Effect.Effect<A, E>, start?: number): Effect.Effect<A, E> {
    return this.options.clock === "real" ? effect : withVirtualClock(effect, start)
  }

  #fail(where: string, what: string): void {
    this.#failures.push(`${this.program.name}, ${where}: ${what}`)
  }

  #compare(where: string, expected: RunTree, actual: RunTree): void {
    const difference = recordDifference(expected, actual)
    if (difference !== undefined) this.#fail(where, difference)
  }

  /** No completed step was executed again, and each step that was executed ended; nothing is left open. */
  #check(
    where: string,
    executions: ReadonlyArray<Execution>,
    kept: ReadonlyArray<string>,
    tree: RunTree,
    since = 0
  ): void {
    const again = executions.slice(since).find((it) => kept.includes(`${it.run} ${it.path}`))
    if (again !== undefined) this.#fail(where, `${again.path} had completed and was executed again`)
    const executed = new Set(executions.map((it) => `${it.run} ${it.path}`))
    for (const { run, steps } of tree.runs) {
      const open = steps.find((step) => !isTerminal(step.status) && !step.superseded)
      if (open !== undefined) this.#fail(where, `${open.path} of ${run.workflow} is ${open.status} in a run that ended`)
      const never = steps.find((step) => isExecuted(step) && !executed.has(`${run.id} ${step.path}`))
      if (never !== undefined) this.#fail(where, `${never.path} completed without having been executed`)
    }
    const keys = new Map<string, string>()
    for (const { run, path, idempotencyKey } of executions) {
      const known = keys.get(`${run} ${path}`) ?? idempotencyKey
      if (known !== idempotencyKey) this.#fail(where, `${path} had the idempotency keys ${known} and ${idempotencyKey}`)
      keys.set(`${run} ${path}`, known)
    }
  }
}

/** A run that has not ended by then never will; gates of generated programs wait for a day at most. */
const limits = { virtual: "60 days", real: "60 seconds" } as const

const isExecuted = (step: StepRecord): boolean => step.kind === "call" && step.status === "completed"

const completedSteps = (store: PersistenceService): Effect.Effect<ReadonlyArray<string>, PersistenceError> =>
  Effect.gen(function* () {
    const runs = yield* store.list({ limit: 10_000 })
    const rows = yield* Effect.forEach(runs, (run) =>
      Effect.map(store.steps(run.id), (steps) => pathsOf(run.id, steps))
    )
    return rows.flat()
  })

const pathsOf = (run: RunId, steps: ReadonlyArray<StepRecord>): ReadonlyArray<string> =>
  steps.filter((step) => isUserStep(step.kind) && step.status === "completed").map((step) => `${run} ${step.path}`)
