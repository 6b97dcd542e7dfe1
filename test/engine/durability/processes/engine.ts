/**
 * An engine in a process of its own: `<database> <folder> <lease ttl, ms> [<file of a workflow to start>]`.
 *
 * Its actions write `begin <name> <pid>` and `end <name> <pid>` to `<folder>/effects`; one named `held…` goes on when
 * `<folder>/go` is there. It says `run <id>`, `lost` and `ended <status>`; SIGTERM shuts it down.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import { type Executor, Executors } from "../../../../src/action/Action.ts"
import { GateResolvers } from "../../../../src/action/GateResolver.ts"
import { ItemProviders } from "../../../../src/action/ItemProvider.ts"
import { jsonItems } from "../../../../src/action/JsonItems.ts"
import { SchemaResolver, WorkflowResolver } from "../../../../src/action/Resolvers.ts"
import { Engine } from "../../../../src/engine/Engine.ts"
import { EngineConfig } from "../../../../src/engine/EngineConfig.ts"
import { WorkflowFiles } from "../../../../src/engine/interpreter/WorkflowFiles.ts"
import * as SqlitePersistence from "../../../../src/persistence/SqlitePersistence.ts"
import { parse } from "../../../../src/workflow/Parser.ts"

const [filename = "", folder = "", ttl = "30000", file] = process.argv.slice(2)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const untilGo: Effect.Effect<void> = Effect.suspend(() =>
  existsSync(`${folder}/go`) ? Effect.void : Effect.zipRight(Effect.sleep(5), untilGo)
)

const execute: Executor = (call) =>
  Effect.gen(function* () {
    appendFileSync(`${folder}/effects`, `begin ${call.name} ${process.pid}\n`)
    if (call.name.startsWith("held")) yield* untilGo
    appendFileSync(`${folder}/effects`, `end ${call.name} ${process.pid}\n`)
    return {}
  })

const services = Layer.mergeAll(
  Executors.layer({}, execute),
  ItemProviders.layer({ json: jsonItems }),
  GateResolvers.layer({}),
  WorkflowResolver.layerMemory([]),
  SchemaResolver.layerMemory({})
)
const config = EngineConfig.layerWith({
  leaseTtl: Number(ttl),
  leaseRefresh: Number(ttl) / 3,
  linger: 50,
  watchdogInterval: 200
})
const engine = WorkflowFiles.layer.pipe(
  Layer.provideMerge(Engine.layer),
  Layer.provide(services),
  Layer.provide(config)
)
const layer = engine.pipe(Layer.provideMerge(SqlitePersistence.layer({ filename })))

const started = Effect.gen(function* () {
  const files = yield* WorkflowFiles
  const { definition } = parse({ file: "test.wf", text: readFileSync(file ?? "", "utf8") })
  if (definition === undefined) return yield* Effect.dieMessage("the workflow cannot be read")
  const run = yield* files.start(definition, { settings: { workingDirectory: folder } })
  say(`run ${run}`)
  const { status } = yield* Effect.flatMap(Engine, (it) => it.await(run))
  say(`ended ${status}`)
})

const program = Effect.gen(function* () {
  const it = yield* Engine
  const events = yield* it.events((event) => event._tag === "LeaseLost")
  yield* Effect.forkScoped(Stream.runForEach(events, () => Effect.sync(() => say("lost"))))
  say("ready")
  yield* file === undefined ? Effect.never : Effect.zipRight(started, Effect.never)
}).pipe(Effect.scoped, Effect.provide(layer))

const fiber = Effect.runFork(program)
process.once("SIGTERM", () => {
  void Effect.runPromise(Fiber.interrupt(fiber)).then(() => process.exit(143))
})
