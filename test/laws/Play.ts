/**
 * Plays a case on the real engine, in virtual time, and tells its end in the model's words.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { Engine } from "../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../../src/persistence/MemoryPersistence.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import { isUserStep, type RunRecord, type StepRecord } from "../../src/persistence/Records.ts"
import { programLayer } from "../../src/testing/ProgramRunner.ts"
import { readTree, type RunTree } from "../../src/testing/RecordComparison.ts"
import type { Execution } from "../../src/testing/TestProgram.ts"
import { withVirtualClock } from "../../src/testing/VirtualClock.ts"
import type { Case, End } from "./Model.ts"

/** An attempt of an action, as its executor saw it. */
export interface Seen extends Execution {
  readonly what: "began" | "ended"
}

export interface Played {
  readonly end: End
  readonly tree: RunTree
  /** Began and ended, in order. */
  readonly executions: ReadonlyArray<Seen>
  /** What was left of it in its engine when it had ended: nothing, if all is well. */
  readonly left: ReadonlyArray<string>
}

/** `linger`: ms that a run waits before it is let go. */
export const play = (it: Case, linger = 5): Promise<Played> =>
  Effect.runPromise(withVirtualClock(Logger.withMinimumLogLevel(played(it, linger), LogLevel.Error)))

const played = ({ cancelAfter, program }: Case, linger: number) =>
  Effect.gen(function* () {
    const store = (yield* MemoryPersistence.make()).service
    const executions: Array<Seen> = []
    const note = (what: Seen["what"]) => (it: Execution) => void executions.push({ ...it, what })
    const observed = { store, began: note("began"), ended: note("ended"), settings: { linger } }
    const body = Effect.gen(function* () {
      const engine = yield* Engine
      const files = yield* WorkflowFiles
      yield* answering(program.answers)
      yield* Effect.sleep(1)
      const before = { stats: yield* engine.stats, fibers: (yield* Fiber.roots).length }
      const run = yield* Effect.orDie(files.start(program.definition, program.options))
      const cancel = Effect.either(store.send(run, { _tag: "Cancel", reason: "user", text: null }, 0))
      if (cancelAfter !== undefined) yield* Effect.fork(Effect.delay(cancel, cancelAfter))
      yield* engine.await(run)
      yield* Effect.sleep(100)
      const after = { stats: yield* engine.stats, fibers: (yield* Fiber.roots).length }
      const resident = yield* engine.resident
      const tree = yield* readTree(run)
      const left = JSON.stringify(before) === JSON.stringify(after) ? [] : [`${JSON.stringify({ before, after })}`]
      return { tree, left: [...left, ...resident, ...openRows(tree)] }
    })
    const { left, tree } = yield* Effect.provide(Effect.scoped(body), programLayer(program, observed))
    return { end: endOf(tree), tree, executions, left } satisfies Played
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

const openRows = ({ runs }: RunTree): ReadonlyArray<string> =>
  runs.flatMap(({ run, steps, items }) => [
    ...(run.endedAt === null ? [`${run.workflow} is ${run.status}`] : []),
    ...steps.filter((step) => step.endedAt === null).map((step) => `${step.path} is ${step.status}`),
    ...items.filter((item) => item.status === "running").map((item) => `${item.path} ${item.id} is running`)
  ])

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
