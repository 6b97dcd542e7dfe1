/** `graph`: a workflow, or a run of one with its states, as a drawing. */
import * as Effect from "effect/Effect"
import { Definitions } from "../../engine/interpreter/Definitions.ts"
import { Persistence } from "../../persistence/Persistence.ts"
import type { StepRecord } from "../../persistence/Records.ts"
import type { WorkflowDefinition } from "../../workflow/Definition.ts"
import { hasErrors } from "../../workflow/Diagnostic.ts"
import { fromDefinition, type Graph } from "../../workflow/Graph.ts"
import { toMermaid } from "../../workflow/GraphMermaid.ts"
import { type GraphStates, statesOf } from "../../workflow/GraphStates.ts"
import { toSvg } from "../../workflow/GraphSvg.ts"
import { showDiagnostics } from "../Check.ts"
import { UsageError } from "../CliError.ts"
import { defineCommand, flag, optionalArgument, text } from "../CommandLine.ts"
import { ExitCode } from "../ExitCode.ts"
import { dbOption, existingDatabase, homeOption } from "../Home.ts"
import { write } from "../Output.ts"
import { findRun, questionLayer } from "../Session.ts"
import { readSource } from "../Source.ts"

export const command = defineCommand({
  name: "graph",
  summary: "Draw a workflow, or a run of one with the states of its steps.",
  notes: ["`millrace graph deploy --svg > deploy.svg`; without --svg it prints Mermaid, as Markdown pages show it."],
  examples: [
    ["a picture of a workflow", "millrace graph deploy --svg > deploy.svg"],
    ["how far a run has come, as Mermaid", "millrace graph --run 01JD8N4K"]
  ],
  arguments: { target: optionalArgument("FILE|NAME|-", "the workflow; `-` reads the standard input") },
  options: {
    run: text("run", "RUN", "a run instead of a workflow"),
    svg: flag("svg", "an SVG picture instead of Mermaid"),
    db: dbOption,
    home: homeOption
  },
  run: ({ target, run, svg, db, home }) =>
    Effect.gen(function* () {
      if ((target === undefined) === (run === undefined)) {
        return yield* new UsageError({ message: "either a workflow or a run can be drawn: FILE|NAME, or --run RUN" })
      }
      const draw = svg ? toSvg : toMermaid
      if (run !== undefined) {
        const database = yield* existingDatabase({ home, db })
        const { graph, states } = yield* Effect.provide(runGraph(run), questionLayer(database))
        write(draw(graph, states))
        return ExitCode.done
      }
      const { parsed } = yield* readSource(target ?? "-", home)
      showDiagnostics(parsed.diagnostics)
      if (parsed.definition === undefined || hasErrors(parsed.diagnostics)) return ExitCode.usage
      write(draw(graphOf(parsed.definition)))
      return ExitCode.done
    })
})

const graphOf = (definition: WorkflowDefinition): Graph => fromDefinition(definition, {})

const runGraph = (wanted: string) =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const run = yield* findRun(wanted)
    const definition = yield* new Definitions(persistence).load(run.definition)
    const graph = graphOf(definition)
    return { graph, states: statesIn(graph, yield* persistence.steps(run.id)) }
  })

const statesIn = (graph: Graph, steps: ReadonlyArray<StepRecord>): GraphStates =>
  statesOf(
    graph,
    steps
      .filter((step) => !step.superseded)
      .map(({ path, status, kind, value }) => ({
        path,
        status,
        ...(kind === "condition" && value === false ? { taken: false } : {})
      }))
  )
