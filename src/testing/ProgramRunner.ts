/**
 * Runs a `TestProgram` in an engine of its own, on any store: from its start, or on from what a store holds.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Executors } from "../action/Action.ts"
import { GateResolvers } from "../action/GateResolver.ts"
import { ItemProviders } from "../action/ItemProvider.ts"
import { jsonItems } from "../action/JsonItems.ts"
import { SchemaResolver, WorkflowResolver } from "../action/Resolvers.ts"
import { scriptExecutor, ScriptExecutors } from "../action/Script.ts"
import { Engine } from "../engine/Engine.ts"
import { defaults, EngineConfig, type EngineSettings } from "../engine/EngineConfig.ts"
import { WorkflowFiles } from "../engine/interpreter/WorkflowFiles.ts"
import { asksToPause } from "../engine/Pause.ts"
import { OutputStore } from "../persistence/OutputStore.ts"
import { Persistence, type PersistenceError, type PersistenceService } from "../persistence/Persistence.ts"
import type { RunId, StepRecord } from "../persistence/Records.ts"
import { readTree, type RunTree } from "./RecordComparison.ts"
import { type ExecutionObserver, type KnownProgram, scriptedExecutor, type TestProgram } from "./TestProgram.ts"

export interface RunOptions extends ExecutionObserver {
  readonly store: PersistenceService
  readonly settings?: Partial<EngineSettings>
  /** Where scripts log and keep outputs; absent: there are none. */
  readonly outputs?: typeof OutputStore.Service
  /** References that the engine reads beside its settings. */
  readonly surroundings?: Context.Context<never>
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
      yield* Effect.forkScoped(actAsPeople(program, options.store))
      yield* Effect.catchTag(engine.await(id), "RunNotFound", Effect.die)
      return yield* readTree(id)
    })
  ).pipe(Effect.provide(programLayer(program, options)))

/** An engine that knows the program, on a store. */
export const programLayer = (
  program: KnownProgram,
  options: RunOptions
): Layer.Layer<WorkflowFiles | Engine | Persistence, PersistenceError> =>
  WorkflowFiles.layer.pipe(
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Layer.succeedContext(programServices(program, options)))
  )

/** What an engine and the programs in it need. */
export const programServices = (
  program: KnownProgram,
  { outputs, settings, store, surroundings, ...observer }: RunOptions
): Context.Context<Constant | Executors | Persistence> => {
  const execute = scriptedExecutor(program, observer)
  return constantServices(program).pipe(
    Context.add(Executors, {
      find: () => Effect.succeed({ execute }),
      names: Effect.succeed(Object.keys(program.actions))
    }),
    Context.add(ScriptExecutors, {
      find: (node, options) => (Object.hasOwn(program.actions, node.name) ? execute : scriptExecutor(node, options))
    }),
    Context.add(Persistence, store),
    Context.add(EngineConfig, { ...defaults, checkInvariants: true, linger: 20, ...settings }),
    Context.merge(outputs === undefined ? Context.empty() : Context.make(OutputStore, outputs)),
    Context.merge(surroundings ?? Context.empty())
  )
}

type Constant = ItemProviders | GateResolvers | WorkflowResolver | SchemaResolver | OutputStore

/** What does not depend on the engine. As one context: building a layer for each would take longer than a run. */
const constantServices = (program: KnownProgram): Context.Context<Constant> => {
  const known = services.get(program) ?? makeServices(program)
  services.set(program, known)
  return known
}

const services = new WeakMap<KnownProgram, Context.Context<Constant>>()

const makeServices = (program: KnownProgram): Context.Context<Constant> =>
  Effect.runSync(
    Effect.scoped(
      Layer.build(
        Layer.mergeAll(
          ItemProviders.layer({ json: jsonItems }),
          GateResolvers.layer({}),
          WorkflowResolver.layerMemory(program.workflows),
          SchemaResolver.layerMemory({}),
          noOutputs
        )
      )
    )
  )

/** For actions that write no files: a virtual clock does not wait for a real disk. */
export const noOutputs = Layer.succeed(
  OutputStore,
  OutputStore.of({
    keep: () => Effect.dieMessage("there are no output files here"),
    logFile: () => Effect.dieMessage("there are no logs here"),
    plainFile: () => Effect.dieMessage("there are no outputs here"),
    logs: () => Effect.succeed([]),
    remove: () => Effect.void,
    logged: Effect.succeed([]),
    kept: () => Effect.succeed([]),
    discard: () => Effect.succeed([])
  })
)

/** ms between two looks at what waits. */
const lookInterval = 40

/** What is done to a program's runs from outside. */
export type People = Pick<TestProgram, "answers" | "cancelAt" | "pauseAt">

/**
 * Answers gates, cancels and pauses, as the program says, until it is interrupted. What the store refuses (a crash test's
 * failure, a run that has just ended) is tried again at the next look.
 */
export const actAsPeople = (program: People, store: PersistenceService): Effect.Effect<void> =>
  Effect.suspend(() => {
    const seen = new Map<string, number>()
    return Effect.forever(Effect.zipRight(Effect.ignore(lookOnce(program, store, seen)), Effect.sleep(lookInterval)))
  })

/** A step has been at work this long, ms, when its run is cancelled or paused: whatever else goes on has come to rest. */
const restBefore = 300

/** How long a run stays paused, ms. */
const pauseTime = 1_000

/** `seen`: since when the steps are at work at which something is to be done, and since when runs are paused. */
const lookOnce = (program: People, store: PersistenceService, seen: Map<string, number>) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const run of yield* store.list({ status: ["waiting", "running"], limit: 1_000 })) {
      for (const step of yield* store.steps(run.id)) {
        const answer = isOpenGate(step) ? answerTo(program, step, now) : undefined
        if (answer !== undefined) yield* Effect.ignore(store.send(run.id, answer, now))
        const isAtWork = step.status === "running" || step.status === "waiting"
        const isHere = isAtWork && (step.name === program.cancelAt || step.name === program.pauseAt)
        if (!isHere || now < sinceWhen(seen, `${run.id} ${step.path}`, now) + restBefore) continue
        if (step.name === program.cancelAt) {
          yield* Effect.ignore(store.send(run.root, { _tag: "Cancel", reason: "user", text: "enough" }, now))
        } else if (!seen.has(`paused at ${run.id} ${step.path}`)) {
          seen.set(`paused at ${run.id} ${step.path}`, now)
          yield* Effect.ignore(store.send(run.root, { _tag: "Pause" }, now))
        }
      }
    }
    if (program.pauseAt !== undefined) yield* unpause(store, seen, now)
  })

const sinceWhen = (seen: Map<string, number>, what: string, now: number): number => {
  const since = seen.get(what) ?? now
  seen.set(what, since)
  return since
}

const unpause = (store: PersistenceService, seen: Map<string, number>, now: number) =>
  Effect.gen(function* () {
    for (const run of yield* store.list({ parent: null, status: ["waiting", "running", "pending"], limit: 100 })) {
      const { inbox } = yield* store.load(run.id)
      if (!asksToPause(inbox)) seen.delete(`paused ${run.id}`)
      else if (now >= sinceWhen(seen, `paused ${run.id}`, now) + pauseTime) {
        yield* Effect.ignore(store.send(run.id, { _tag: "Unpause" }, now))
      }
    }
  })

const isOpenGate = (step: StepRecord): boolean => step.kind === "gate" && step.status === "waiting" && !step.superseded

const answerTo = (program: People, step: StepRecord, now: number) => {
  const scripted = program.answers[step.gate?.prompt ?? ""]
  if (scripted === undefined || now < (step.startedAt ?? 0) + scripted.after) return undefined
  const { approved, feedback = null, selections = [] } = scripted
  const answer = { approved, feedback, selections, by: "script", at: now }
  return { _tag: "Answer", path: step.path, answer } as const
}
