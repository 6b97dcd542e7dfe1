/**
 * Runs a `TestProgram` in an engine of its own, on any store: from its start, or on from what a store holds.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Executors } from "../action/Action.ts"
import { GateResolvers } from "../action/GateResolver.ts"
import { ItemProviders } from "../action/ItemProvider.ts"
import { jsonItems } from "../action/JsonItems.ts"
import { SchemaResolver, WorkflowResolver } from "../action/Resolvers.ts"
import { Engine } from "../engine/Engine.ts"
import { EngineConfig, type EngineSettings } from "../engine/EngineConfig.ts"
import { WorkflowFiles } from "../engine/interpreter/WorkflowFiles.ts"
import { OutputStore } from "../persistence/OutputStore.ts"
import { Persistence, PersistenceError, type PersistenceService } from "../persistence/Persistence.ts"
import { isEnded, type RunId, type StepRecord } from "../persistence/Records.ts"
import { readTree, type RunTree } from "./RecordComparison.ts"
import { type Execution, scriptedExecutor, type TestProgram } from "./TestProgram.ts"

export interface RunOptions {
  readonly store: PersistenceService
  /** Told of each attempt that begins. */
  readonly began?: (execution: Execution) => void
  readonly settings?: Partial<EngineSettings>
}

/** Starts a program and waits for its end. */
export const runProgram = (program: TestProgram, options: RunOptions): Effect.Effect<RunTree, PersistenceError> =>
  inEngine(program, options, (files) => Effect.orDie(files.start(program.definition, program.options)))

/** A new engine goes on with what the store holds, and finds it by itself. */
export const resumeProgram = (
  program: TestProgram,
  root: RunId,
  options: RunOptions
): Effect.Effect<RunTree, PersistenceError> => inEngine(program, options, () => Effect.succeed(root))

/** Ends the leases of all engines, as if their processes were gone. */
export const loseEngines = (store: PersistenceService): Effect.Effect<void, PersistenceError> =>
  Effect.flatMap(store.engines, (engines) =>
    Effect.forEach(engines, ({ id, leaseUntil }) => store.expireEngine(id, leaseUntil), { discard: true })
  )

const inEngine = (
  program: TestProgram,
  options: RunOptions,
  root: (files: typeof WorkflowFiles.Service) => Effect.Effect<RunId>
): Effect.Effect<RunTree, PersistenceError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const engine = yield* Engine
      const id = yield* root(yield* WorkflowFiles)
      yield* Effect.forkScoped(answerGates(program, options.store))
      yield* Effect.catchTag(engine.await(id), "RunNotFound", Effect.die)
      return yield* readTree(id)
    })
  ).pipe(Effect.provide(programLayer(program, options)))

/** An engine that knows the program, on a store. */
export const programLayer = (program: TestProgram, { began, settings, store }: RunOptions) => {
  const persistence = Layer.merge(Layer.succeed(Persistence, store), noOutputs)
  const services = Layer.mergeAll(
    Executors.layer({}, scriptedExecutor(program, began ?? (() => undefined))),
    ItemProviders.layer({ json: jsonItems }),
    GateResolvers.layer({}),
    WorkflowResolver.layerMemory(program.workflows),
    SchemaResolver.layerMemory({})
  )
  const config = EngineConfig.layerWith({ checkInvariants: true, linger: 20, ...settings })
  return WorkflowFiles.layer.pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provide(services),
    Layer.provide(config),
    Layer.provideMerge(persistence)
  )
}

/** Scripted actions write no files. */
const noOutputs = Layer.succeed(
  OutputStore,
  OutputStore.of({
    keep: () => Effect.dieMessage("scripted actions have no output files"),
    logFile: () => Effect.dieMessage("scripted actions have no logs"),
    logs: () => Effect.succeed([]),
    remove: () => Effect.void
  })
)

/** ms between two looks for gates that wait. */
const answerInterval = 40

/** Answers gates as the program says, until it is interrupted. */
export const answerGates = (program: TestProgram, store: PersistenceService): Effect.Effect<void> =>
  Effect.forever(Effect.zipRight(Effect.ignore(answerOpen(program, store)), Effect.sleep(answerInterval)))

const answerOpen = (program: TestProgram, store: PersistenceService) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const runs = yield* store.list({ status: ["waiting", "running", "cancelling"], limit: 1_000 })
    for (const run of runs.filter((run) => !isEnded(run.status))) {
      for (const step of yield* store.steps(run.id)) {
        const message = isOpenGate(step) ? answerTo(program, step, now) : undefined
        if (message !== undefined) yield* Effect.ignore(store.send(run.id, message, now))
      }
    }
  })

const isOpenGate = (step: StepRecord): boolean => step.kind === "gate" && step.status === "waiting" && !step.superseded

const answerTo = (program: TestProgram, step: StepRecord, now: number) => {
  const scripted = program.answers[step.gate?.prompt ?? ""]
  if (scripted === undefined || now < (step.startedAt ?? 0) + scripted.after) return undefined
  const { approved, feedback = null, selections = [] } = scripted
  const answer = { approved, feedback, selections, by: "script", at: now }
  return { _tag: "Answer", path: step.path, answer } as const
}
