/**
 * Plays a case on the real engine, in virtual time, and tells its end in the model's words.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type { ActionCall } from "../../src/action/Action.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import type * as Layer from "effect/Layer"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence, type PersistenceError, type PersistenceService } from "../../src/persistence/Persistence.ts"
import { isUserStep, type RunId, type RunRecord, type StepRecord } from "../../src/persistence/Records.ts"
import { programLayer } from "../../src/testing/ProgramRunner.ts"
import { readTree, type RunTree } from "../../src/testing/RecordComparison.ts"
import type { Execution } from "../../src/testing/TestProgram.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import { engine } from "../program/support.ts"
import { answers, layerOf, signals, start, type Told, type Tree } from "./CodePrograms.ts"
import type { End } from "./Ends.ts"
import type { Case } from "./Model.ts"
import { drawn } from "./ModelWords.ts"

/** An attempt of an action, as its executor saw it. */
export interface Seen extends Execution {
  readonly what: "began" | "ended"
}

/** The contexts that a call saw, as JSON. */
export interface Contexts {
  readonly step: string
  readonly contexts: string
}

export interface Played {
  readonly end: End
  readonly tree: RunTree
  /** Began and ended, in order. */
  readonly executions: ReadonlyArray<Seen>
  /** What each call of a `.wf` program saw, in order. */
  readonly saw: ReadonlyArray<Contexts>
  /** What was left of it in its engine when it had ended: nothing, if all is well. */
  readonly left: ReadonlyArray<string>
}

/** `linger`: ms that a run waits before it is let go. */
export const play = ({ cancelAfter, program }: Case, linger = 5): Promise<Played> => {
  const saw: Array<Contexts> = []
  const called = ({ name, variables }: ActionCall) =>
    void saw.push({ step: name, contexts: variables["prior_contexts"] ?? "" })
  const played = playing((store, note) => {
    const observed = { store, called, began: note("began"), ended: note("ended"), settings: { linger } }
    const start = Effect.flatMap(WorkflowFiles, (files) => files.start(program.definition, program.options))
    return { start, layer: programLayer(program, observed), answers: program.answers, cancelAfter }
  })
  return played.then((played) => ({ ...played, saw }))
}

/** The same for a workflow in code. */
export const playCode = (tree: Tree, cancelAfter?: number): Promise<Played> =>
  playing((store, note) => {
    const told: Told = (what, attempt) => note(what)(attempt)
    return { start, layer: engine(store, layerOf(tree, told), { linger: 5 }), answers, signals, cancelAfter }
  })

interface Setting<R> {
  readonly start: Effect.Effect<RunId, unknown, R | Engine | Persistence>
  readonly layer: Layer.Layer<R | Engine | Persistence, PersistenceError>
  readonly answers: Case["program"]["answers"]
  /** When each is sent to the run, ms after its start. */
  readonly signals?: ReadonlyArray<number>
  readonly cancelAfter: number | undefined
}

type Note = (what: Seen["what"]) => (execution: Execution) => void

const playing = <R>(settingOf: (store: PersistenceService, note: Note) => Setting<R>): Promise<Played> => {
  const executions: Array<Seen> = []
  const note: Note = (what) => (it) => void executions.push({ ...it, what })
  const played = Effect.gen(function* () {
    const store = (yield* MemoryPersistence.make()).service
    const { answers, cancelAfter, layer, signals = [], start } = settingOf(store, note)
    const body = Effect.gen(function* () {
      const engine = yield* Engine
      yield* answering(answers)
      yield* Effect.sleep(1)
      const before = yield* atRest
      const run = yield* Effect.orDie(start)
      const cancel = Effect.either(store.send(run, { _tag: "Cancel", reason: "user", text: null }, 0))
      if (cancelAfter !== undefined) yield* Effect.fork(Effect.delay(cancel, cancelAfter))
      const signal = Effect.either(store.send(run, { _tag: "Signal", name: "go", value: null }, 0))
      for (const after of signals) yield* Effect.fork(Effect.delay(signal, after))
      yield* engine.await(run)
      yield* Effect.sleep(100)
      const after = yield* atRest
      const tree = yield* readTree(run)
      // Fibers are all of this process's: what other tests left behind may end meanwhile.
      const isSame = before.engine === after.engine && after.fibers <= before.fibers
      const left = isSame ? [] : [`before: ${JSON.stringify(before)}, after: ${JSON.stringify(after)}`]
      return { tree, left: [...left, ...openRows(tree), ...notTakenBack(tree), ...unreleased(executions)] }
    })
    const { left, tree } = yield* Effect.provide(Effect.scoped(body), layer)
    return { end: endOf(tree), tree, executions, saw: [], left } satisfies Played
  })
  const quiet = Logger.withMinimumLogLevel(played, LogLevel.Fatal)
  return Effect.runPromise(withVirtualClock(Effect.withRandom(quiet, steadyRandom())))
}

/** Draws what the model expects, but for as little as makes ids differ. */
const steadyRandom = () =>
  Random.fixed([drawn, ...Array.from({ length: 1_999 }, (_, index) => drawn + (index + 1) / 2 ** 20)])

/** What an engine has at work. */
const atRest = Effect.gen(function* () {
  const engine = yield* Engine
  const state = JSON.stringify({ stats: yield* engine.stats, resident: yield* engine.resident })
  return { engine: state, fibers: (yield* Fiber.roots).length }
})

/** People who answer each gate so many ms after it began to wait. */
const answering = (answers: Case["program"]["answers"]) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const store = yield* Persistence
    const events = yield* engine.events()
    yield* Effect.forkScoped(
      Stream.runForEach(events, (event) => {
        const scripted = event._tag === "GateWaiting" ? answers[event.prompt ?? ""] : undefined
        if (event._tag !== "GateWaiting" || scripted === undefined) return Effect.void
        const { after, approved, feedback = null, selections = [] } = scripted
        const answer = { approved, feedback, selections, by: null, at: 0 }
        const message = { _tag: "Answer", path: event.path, answer } as const
        return Effect.fork(Effect.delay(Effect.either(store.send(event.run, message, 0)), after))
      })
    )
  })

/** Attempts that did not release what they had acquired, or did so twice. */
const unreleased = (executions: ReadonlyArray<Seen>): ReadonlyArray<string> => {
  const open = new Map<string, number>()
  for (const { attempt, path, run, what } of executions) {
    const key = `attempt ${attempt} of ${path} in ${run}`
    open.set(key, (open.get(key) ?? 0) + (what === "began" ? 1 : -1))
  }
  return [...open].filter(([, n]) => n !== 0).map(([key, n]) => `${key} began ${n} times more often than it ended`)
}

const openRows = ({ runs }: RunTree): ReadonlyArray<string> =>
  runs.flatMap(({ run, steps, items }) => [
    ...(run.endedAt === null ? [`${run.workflow} is ${run.status}`] : []),
    ...steps.filter((step) => step.endedAt === null).map((step) => `${step.path} is ${step.status}`),
    ...items.filter((item) => item.status === "running").map((item) => `${item.path} ${item.id} is running`)
  ])

/** What was done that can be taken back has been, last things first, where its run did not complete. */
const notTakenBack = ({ runs }: RunTree): ReadonlyArray<string> =>
  runs.flatMap(({ run, steps }) => {
    const undos = [...steps].filter(({ name }) => name === "undo").sort((a, b) => a.position - b.position)
    const done = undos.filter(({ kind }) => kind === "value").map(({ path }) => path)
    const undone = undos.flatMap(({ kind, path, status }) =>
      kind === "block" && status === "completed" ? [path.slice("/@compensation".length)] : []
    )
    const wanted = run.status === "completed" ? [] : done.reverse()
    if (wanted.join() === undone.join()) return []
    return [`${run.workflow} is ${run.status}, did ${done.join(", ")} and took back ${undone.join(", ")}`]
  })

/** The end of a run and all below it, as lines (`Model.End`). */
const endOf = ({ runs, root }: RunTree): End => {
  const start = runs.find(({ run }) => run.id === root)?.run.startedAt ?? 0
  const records = new Map<string, RunRecord>(runs.map(({ run }) => [run.id, run]))
  return runs
    .flatMap(({ run, steps, items }) => {
      const name = nameOf(run, records)
      return [
        `run ${name} ${run.status}`,
        ...steps
          .filter(({ kind, superseded }) => isUserStep(kind) && !superseded)
          .map((it) => `step ${name}${lineOf(it, start)}`),
        ...items.map((item) => `step ${name}${item.path} [${item.id}] ${item.status}`)
      ]
    })
    .sort()
}

const lineOf = ({ path, status, attempts, endedAt, kind }: StepRecord, start: number): string => {
  const tries = attempts.filter(({ outcome }) => ["completed", "failed", "timed_out"].includes(outcome)).length
  const count = kind === "foreach" || kind === "pipeline" ? 0 : tries
  return `${path} ${status} ${count}${status === "cancelled" ? "" : ` @${(endedAt ?? Number.NaN) - start}`}`
}

/** By the step that called it: `#n` the n-th one there, or the item. */
const nameOf = ({ idempotencyKey, parent }: RunRecord, records: ReadonlyMap<string, RunRecord>): string => {
  const above = parent === null ? undefined : records.get(parent.run)
  if (parent === null || above === undefined) return ""
  const key = idempotencyKey?.slice(`${parent.run}${parent.path}/`.length) ?? ""
  const item = /^[^:]*:(.*)#\d+$/.exec(key)?.[1]
  const attempt = key.slice(key.indexOf(".") + 1)
  return `${nameOf(above, records)}${parent.path}${item === undefined ? `#${attempt}` : `[${item}]`} `
}
