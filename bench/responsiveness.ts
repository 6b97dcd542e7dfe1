/**
 * How fast a timeout and a fail_fast take effect: wall time against the limit that each sets.
 *
 *     npm run bench -- responsiveness
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ActionFailed, type Executor, Executors } from "../src/action/Action.ts"
import { GateResolvers } from "../src/action/GateResolver.ts"
import { ItemProviders } from "../src/action/ItemProvider.ts"
import { SchemaResolver, WorkflowResolver } from "../src/action/Resolvers.ts"
import { Engine } from "../src/engine/Engine.ts"
import { EngineConfig } from "../src/engine/EngineConfig.ts"
import { WorkflowFiles } from "../src/engine/interpreter/WorkflowFiles.ts"
import * as MemoryPersistence from "../src/persistence/MemoryPersistence.ts"
import type { WorkflowDefinition } from "../src/workflow/Definition.ts"
import { parse } from "../src/workflow/Parser.ts"

let finalized = 0

const counting = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireRelease(Effect.void, () => Effect.sync(() => (finalized += 1))).pipe(Effect.zipRight(effect))

const executors: Readonly<Record<string, Executor>> = {
  heeding: () => counting(Effect.as(Effect.sleep("3 seconds"), {})),
  ignoring: () => counting(Effect.as(Effect.uninterruptible(Effect.sleep("3 seconds")), {})),
  failing: () =>
    counting(Effect.zipRight(Effect.sleep("50 millis"), Effect.fail(new ActionFailed({ message: "failed at 50 ms" })))),
  waiting: () => counting(Effect.as(Effect.sleep("5 seconds"), {}))
}

const cases: ReadonlyArray<{ readonly name: string; readonly limit: number; readonly text: string }> = [
  {
    name: 'timeout = "1s" on an action that waits 3 s and heeds its interruption',
    limit: 1_100,
    text: `workflow w { call heeding { timeout = "1s" } }`
  },
  {
    name: 'timeout = "1s" on an action that ignores it, interruptGrace 1 s',
    limit: 2_100,
    text: `workflow w { call ignoring { timeout = "1s" } }`
  },
  {
    name: "a parallel block: the first branch fails at 50 ms, nine others wait 5 s",
    limit: 150,
    text: `workflow w { parallel { call failing ${"call waiting ".repeat(9)} } }`
  }
]

const definitionOf = (text: string): WorkflowDefinition => {
  const { definition } = parse({ file: "bench.wf", text })
  if (definition === undefined) throw new Error(`not a workflow: ${text}`)
  return definition
}

const services = Layer.mergeAll(
  Executors.layer(executors),
  ItemProviders.layer({}),
  GateResolvers.layer({}),
  WorkflowResolver.layerMemory([]),
  SchemaResolver.layerMemory({})
)

const layer = WorkflowFiles.layer.pipe(
  Layer.provideMerge(Engine.layer),
  Layer.provide(services),
  Layer.provide(Layer.merge(MemoryPersistence.layer, MemoryPersistence.layerOutputs)),
  Layer.provide(EngineConfig.layerWith({ interruptGrace: 1_000 }))
)

const measure = ({ name, limit, text }: (typeof cases)[number]) =>
  Effect.gen(function* () {
    const files = yield* WorkflowFiles
    const engine = yield* Engine
    finalized = 0
    const started = performance.now()
    const { status } = yield* engine.await(yield* files.start(definitionOf(text)))
    const took = Math.round(performance.now() - started)
    return { name, limit, took, status, finalized }
  })

const report = Effect.map(Effect.forEach(cases, measure), (results) => {
  for (const { name, limit, took, status, finalized } of results) {
    const verdict = took <= limit ? "within" : "OVER"
    console.log(`${name}\n  ${took} ms (${verdict} ${limit} ms); run ${status}; finalizers run: ${finalized}`)
  }
  return results.every(({ took, limit }) => took <= limit)
})

const isWithin = await Effect.runPromise(Effect.provide(report, layer))
process.exitCode = isWithin ? 0 : 1
