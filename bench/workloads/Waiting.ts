/**
 * Runs that wait: what they hold of memory, how fast they go on, how exact their deadlines are; and how fast a long run
 * is taken up again.
 */
import * as Effect from "effect/Effect"
import { answer } from "../../src/engine/Client.ts"
import { Engine } from "../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import { Persistence } from "../../src/persistence/Persistence.ts"
import type { RunId } from "../../src/persistence/Records.ts"
import { type BedServices, definitionOf, inFolder, onBed } from "../Bed.ts"
import type { Sample, Scale, Workload } from "../Workload.ts"

const gated = definitionOf("workflow gated { gate human_approval { } call instant }")

/** A waiting run is let go at once. */
const settings = { maxResident: 0 }

/** Runs that are started, or answered and waited for, at once. */
const concurrency = 500

/** Starts runs and waits until all have been let go. */
const letGo = (count: number): Effect.Effect<ReadonlyArray<RunId>, unknown, BedServices> =>
  Effect.gen(function* () {
    const files = yield* WorkflowFiles
    const engine = yield* Engine
    return yield* Effect.forEach(
      Array.from({ length: count }),
      () => Effect.tap(files.start(gated), (run) => engine.awaitRelease(run)),
      { concurrency }
    )
  })

const heap = (): number => {
  if (global.gc === undefined) throw new Error("needs node --expose-gc")
  for (let n = 0; n < 3; n++) global.gc()
  return process.memoryUsage().heapUsed
}

/** KB of heap a run, of the second half. */
const heapOfWaiting = (count: number): Promise<Sample> =>
  onBed(
    { durability: "NORMAL", settings },
    Effect.gen(function* () {
      yield* letGo(count)
      const before = heap()
      yield* letGo(count)
      return { took: (heap() - before) / count / 1_024 }
    })
  )

const answerAll = (count: number): Promise<Sample> =>
  onBed(
    { durability: "FULL", settings: { ...settings, maxConcurrentRuns: 1_000, claimBatch: 500 } },
    Effect.gen(function* () {
      const engine = yield* Engine
      const runs = yield* letGo(count)
      const started = performance.now()
      yield* Effect.forEach(runs, (run) => Effect.zipRight(answer(run, { approved: true }), engine.await(run)), {
        concurrency,
        discard: true
      })
      return { took: performance.now() - started }
    })
  )

/** How late gates with a timeout end, ms at p99: half of them have been let go by then. */
const lateness = (count: number): Promise<Sample> =>
  onBed(
    { durability: "FULL" },
    Effect.gen(function* () {
      const files = yield* WorkflowFiles
      const engine = yield* Engine
      const persistence = yield* Persistence
      const late = yield* Effect.forEach(
        Array.from({ length: count }, (_, n) => 500 + (n * 2_500) / count),
        (timeout) =>
          Effect.gen(function* () {
            const text = `workflow late { gate human_approval { timeout = "${Math.round(timeout)}ms" on_timeout = continue } }`
            const run = yield* engine.await(yield* files.start(definitionOf(text)))
            const gate = (yield* persistence.steps(run.id)).find(({ kind }) => kind === "gate")
            return (gate?.endedAt ?? Number.NaN) - (gate?.startedAt ?? Number.NaN) - Math.round(timeout)
          }),
        { concurrency: "unbounded" }
      )
      const sorted = late.sort((a, b) => a - b)
      return { took: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN }
    })
  )

/** From an engine that has just opened the database to the first new step of a run with many that have ended. */
const resumed = (count: number): Promise<Sample> =>
  inFolder(async (folder) => {
    const calls = "call instant ".repeat(count)
    const long = definitionOf(`workflow long { ${calls} gate human_approval { } call first }`)
    let reached = Number.NaN
    const id = await onBed(
      { durability: "NORMAL", folder, settings },
      Effect.gen(function* () {
        const engine = yield* Engine
        const run = yield* (yield* WorkflowFiles).start(long)
        yield* engine.awaitRelease(run)
        yield* answer(run, { approved: true })
        return run
      })
    )
    return onBed(
      {
        durability: "NORMAL",
        folder,
        settings: { watchdog: false },
        executors: { first: () => Effect.sync(() => ((reached = performance.now()), {})) }
      },
      Effect.gen(function* () {
        const engine = yield* Engine
        const started = performance.now()
        yield* engine.take(id)
        yield* engine.await(id)
        return { took: reached - started }
      })
    )
  })

const figure = (name: string, unit: string, value: number, run: () => Promise<Sample>, rounds = 3): Workload => ({
  name,
  unit,
  count: 1,
  rounds,
  target: { _tag: "AtMost", value, unit },
  run
})

export const waiting = (size: Scale): ReadonlyArray<Workload> => {
  const many = size(10_000)
  return [
    figure(`heap of a run let go at a gate, the second ${many}`, "KB", 0.3, () => heapOfWaiting(many), 1),
    figure(`${many} runs let go at a gate: all answered and finished, FULL`, "ms", 2_500, () => answerAll(many)),
    figure(`resume of a run with ${many} completed steps to the first new step`, "ms", 200, () => resumed(many)),
    figure("gate timeouts of 0.5 to 3 s: how late, at p99", "ms", 50, () => lateness(size(200)))
  ]
}
