/**
 * What a thousand runs leave behind in a process: `<folder> <runs>`. Prints what it holds before the first one and
 * after the last, as JSON: `{ before, after, ended }`.
 *
 * Of ten runs one completes, one fails, one is tried again, one runs into its time, one's handler heeds no interruption
 * and is abandoned, one is cancelled at work, one at a gate where it was let go, one calls another workflow for items,
 * and two run scripts: one that ends, one that is stopped by its time with a child of its own.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { readdirSync, readFileSync } from "node:fs"
import { ActionFailed, type Executor } from "../../../../src/action/Action.ts"
import { cancel } from "../../../../src/engine/Client.ts"
import { Engine } from "../../../../src/engine/Engine.ts"
import { WorkflowFiles } from "../../../../src/engine/interpreter/WorkflowFiles.ts"
import { Persistence } from "../../../../src/persistence/Persistence.ts"
import type { RunId } from "../../../../src/persistence/Records.ts"
import * as SqlitePersistence from "../../../../src/persistence/SqlitePersistence.ts"
import { definitionOf, engineLayer } from "../../TestEngine.ts"

const [folder = "", count = "1000"] = process.argv.slice(2)

const fails: Executor = () => Effect.fail(new ActionFailed({ message: "no" }))

const actions: Readonly<Record<string, Executor>> = {
  ok: () => Effect.succeed({}),
  items: () => Effect.succeed({ structuredOutput: { list: ["one", "two"] } }),
  fails,
  flaky: (call) => (call.attempt === 1 ? fails(call) : Effect.succeed({})),
  hangs: () => Effect.never,
  // Goes on for long after it was abandoned.
  deaf: () => Effect.uninterruptible(Effect.as(Effect.sleep(300), {}))
}

/** What somebody does to a run once it is at work, or waits. */
type Deed = "cancel" | "cancel at gate" | undefined

const kinds: ReadonlyArray<readonly [string, Deed]> = [
  ["workflow completes { call ok parallel { call ok call ok } }", undefined],
  ["workflow fails { call ok call fails always { call ok } }", undefined],
  ['workflow retries { call flaky { retries = 1 retry_delay = "5ms" } }', undefined],
  ['workflow late { call hangs { timeout = "20ms" } }', undefined],
  ['workflow deaf { call deaf { timeout = "20ms" } }', undefined],
  ["workflow cancelled { parallel { call hangs call ok } always { call ok } }", "cancel"],
  ["workflow asked { gate human_review {} }", "cancel at gate"],
  [
    'workflow many { call items foreach each { over = json scope = { from = "items.list" } max_parallel = 2 workflow = item } }',
    undefined
  ],
  ['workflow shell { script s { run = "echo out; echo err >&2" } }', undefined],
  ['workflow stuck { script s { run = "sleep 60 & sleep 60" timeout = "50ms" } }', undefined]
]

const layer = engineLayer({
  actions,
  workflows: ["workflow item { call ok }"],
  settings: { checkInvariants: false, interruptGrace: 20, linger: 5 }
}).pipe(Layer.provideMerge(SqlitePersistence.layer({ filename: `${folder}/runs.db` })))

const until = (run: RunId, status: "running" | "waiting") =>
  Effect.gen(function* () {
    const store = yield* Persistence
    while ((yield* store.get(run)).status !== status) yield* Effect.sleep(5)
  })

/** Starts a run, does what is to be done to it, and waits for its end. */
const play = (index: number) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const files = yield* WorkflowFiles
    const [text, deed] = kinds[index % kinds.length] ?? ["workflow w {}", undefined]
    const run = yield* files.start(definitionOf(text), { settings: { workingDirectory: folder } })
    if (deed !== undefined) {
      yield* until(run, deed === "cancel" ? "running" : "waiting")
      if (deed === "cancel at gate") yield* engine.awaitRelease(run)
      yield* cancel(run)
    }
    return (yield* engine.await(run)).status
  })

const countOf = (names: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const name of [...names].sort()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

const descendants = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<number> =>
  Effect.flatMap(fiber.children, (children) =>
    Effect.map(Effect.forEach(children, descendants), (counts) => counts.reduce((sum, one) => sum + one, 1))
  )

/** All that a process may hold on to. */
const held = Effect.gen(function* () {
  const { stats } = yield* Engine
  const roots = yield* Fiber.roots
  const fibers = yield* Effect.forEach(roots, descendants)
  return {
    fibers: fibers.reduce((sum, one) => sum + one, 0),
    // Timers, handles of files, sockets and processes.
    resources: countOf(process.getActiveResourcesInfo().filter((name) => name !== "Immediate")),
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    // Without the one that reads the folder.
    files: readdirSync("/proc/self/fd").length,
    children: readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim(),
    stats: yield* stats
  }
})

/** What was abandoned goes on for a while, and timers of the engine come and go. */
const settled = (before: string, tries: number): Effect.Effect<unknown, never, Engine> =>
  Effect.flatMap(held, (now) =>
    JSON.stringify(now) === before || tries === 0
      ? Effect.succeed(now)
      : Effect.zipRight(Effect.sleep(50), settled(before, tries - 1))
  )

const program = Effect.gen(function* () {
  // Node opens them when they are first asked for.
  yield* Effect.sync(() => [process.stdout.writable, process.stderr.writable])
  yield* Effect.sleep(100)
  const before = yield* held
  const numbers = Array.from({ length: Number(count) }, (_, index) => index)
  const statuses = yield* Effect.forEach(numbers, play, { concurrency: 20 })
  const after = yield* settled(JSON.stringify(before), 400)
  process.stdout.write(`${JSON.stringify({ before, after, ended: countOf(statuses) })}\n`)
})

await Effect.runPromise(Effect.provide(program, layer))
