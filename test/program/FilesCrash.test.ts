/** Law 7 where files and code meet: typed actions and workflows in code, called by `.wf` runs that are stopped at any write. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Executors } from "../../src/action/Action.ts"
import { GateResolvers } from "../../src/action/GateResolver.ts"
import { type ItemProvider, ItemProviders } from "../../src/action/ItemProvider.ts"
import { SchemaResolver, WorkflowResolver } from "../../src/action/Resolvers.ts"
import { submit } from "../../src/engine/interpreter/NewWorkflowRun.ts"
import { WorkflowFiles } from "../../src/engine/interpreter/WorkflowFiles.ts"
import * as OutputFiles from "../../src/persistence/OutputFiles.ts"
import * as Action from "../../src/program/Action.ts"
import * as Workflow from "../../src/program/Workflow.ts"
import { crashEverywhere } from "../../src/testing/CrashTest.ts"
import { type Began, type TypedProgram, typedSubject } from "../../src/testing/TypedProgram.ts"
import { temporaryFolder } from "../action/support.ts"
import { definitionOf } from "../engine/TestEngine.ts"

class Empty extends Schema.TaggedError<Empty>()("Empty", { order: Schema.String }) {}

const Weigh = Action.make("weigh", {
  payload: Schema.Struct({ order: Schema.String, parcels: Schema.Int }),
  success: Schema.Struct({ grams: Schema.Int, size: Schema.String }),
  error: Empty,
  markers: ({ grams }) => (grams > 100 ? ["heavy"] : []),
  retry: { times: 1 }
})
const Label = Action.make("label", {
  payload: Schema.Struct({ size: Schema.String }),
  success: Schema.Struct({ text: Schema.String })
})

const actions = (began: Began) =>
  Layer.merge(
    Weigh.toLayer(({ order, parcels }, attempt) =>
      Effect.zipRight(
        began(attempt),
        parcels === 0
          ? Effect.fail(new Empty({ order }))
          : Effect.succeed({ grams: parcels * 60, size: `size ${parcels}` })
      )
    ),
    Label.toLayer(({ size }, attempt) => Effect.as(began(attempt), { text: `${size}!` }))
  )

const Pack = Workflow.make("pack", {
  payload: Schema.Struct({ order: Schema.String, parcels: Schema.Int }),
  success: Schema.Struct({ size: Schema.String }),
  error: Empty
})
const pack = Pack.toLayer(({ order, parcels }) =>
  Effect.map(Action.call(Weigh, { order, parcels }), ({ size }) => ({ size }))
)

const orders: ItemProvider = {
  ordered: false,
  items: () =>
    Effect.succeed({
      items: [0, 1, 2].map((parcels) => ({
        type: "o",
        id: `o${parcels}`,
        ref: "",
        context: { parcels: String(parcels) }
      }))
    })
}

const supplies = Layer.mergeAll(
  Executors.layer({}),
  ItemProviders.layer({ orders }),
  GateResolvers.layer({}),
  WorkflowResolver.layerMemory([]),
  SchemaResolver.layerMemory({}),
  OutputFiles.layerTemporary
)

const calling = (name: string, text: string): TypedProgram => ({
  name,
  start: submit(definitionOf(text)),
  layer: (began) =>
    Layer.orDie(Layer.merge(WorkflowFiles.layer, pack).pipe(Layer.provide(actions(began)), Layer.provide(supplies))),
  settings: { watchdogInterval: 20 }
})

const inFile = (file: string): TypedProgram => {
  const Parcel = Workflow.fromFile(file, {
    actions: [Weigh, Label],
    payload: Schema.Struct({ order: Schema.String, parcels: Schema.Int }),
    success: Schema.Struct({ text: Schema.String })
  })
  return {
    name: "a file as a typed workflow",
    start: Parcel.start({ order: "o", parcels: 2 }),
    layer: (began) =>
      Layer.orDie(Parcel.layer.pipe(Layer.provide(actions(began)), Layer.provide(OutputFiles.layerTemporary)))
  }
}

const parcel = `workflow parcel {
  inputs { order, parcels }
  call weigh
  if weigh.heavy { parallel { call weigh { inputs { parcels = 1 } } call label } }
  call weigh { inputs { parcels = 0 } on_fail = continue }
  call label
}`

const everywhere = (program: TypedProgram) =>
  Effect.gen(function* () {
    const report = yield* crashEverywhere(typedSubject(program), { everyNth: 2, secondCrashes: 3 })
    expect(report.failures.slice(0, 5).join("\n\n")).toBe("")
    expect(report.resumed).toBeGreaterThan(report.writes)
  })

describe("a .wf run with actions and workflows in code that was stopped at any write ends with the same records", () => {
  it.scopedLive(
    "as a typed workflow",
    () =>
      Effect.gen(function* () {
        const file = join(yield* temporaryFolder, "parcel.wf")
        writeFileSync(file, parcel)
        yield* everywhere(inFile(file))
      }),
    120_000
  )

  it.live(
    "with children in code, one of which fails and is tried again",
    () =>
      everywhere(
        calling(
          "children in code",
          `workflow main {
            call workflow pack { inputs { order = a, parcels = 2 } }
            call label
            call workflow pack { inputs { order = b, parcels = 0 } retries = 1 on_fail = continue }
          }`
        )
      ),
    120_000
  )

  it.live(
    "with a child in code for each item, one of which makes no payload",
    () =>
      everywhere(
        calling(
          "items in code",
          `workflow main {
            foreach orders {
              over = orders max_parallel = 2 workflow = pack
              inputs { order = "{{item.id}}", parcels = "{{item.parcels}}" }
            }
          }`
        )
      ),
    120_000
  )
})
