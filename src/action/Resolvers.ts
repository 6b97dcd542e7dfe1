/**
 * What a run looks up by name: workflows, output schemas, the environment of scripts (spec/engine.md, "Services").
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Texts, WorkflowDefinition } from "../workflow/Definition.ts"
import type { OutputSchema } from "../workflow/OutputSchema.ts"

/** No workflow has this name, or its file cannot be used; `reason` says which. */
export class WorkflowUnavailable extends Schema.TaggedError<WorkflowUnavailable>()("WorkflowUnavailable", {
  workflow: Schema.String,
  reason: Schema.String,
  candidates: Schema.Array(Schema.String)
}) {
  override get message() {
    return `workflow '${this.workflow}': ${this.reason}`
  }
}

/** Finds the `.wf` workflow that a call names. */
export class WorkflowResolver extends Context.Tag("millrace/WorkflowResolver")<
  WorkflowResolver,
  {
    readonly find: (name: string) => Effect.Effect<WorkflowDefinition, WorkflowUnavailable>
    readonly names: Effect.Effect<ReadonlyArray<string>>
  }
>() {
  static readonly layerMemory = (definitions: ReadonlyArray<WorkflowDefinition>): Layer.Layer<WorkflowResolver> => {
    const byName = new Map(definitions.map((definition) => [definition.name, definition]))
    return Layer.succeed(WorkflowResolver, {
      find: (name) => {
        const definition = byName.get(name)
        return definition === undefined
          ? Effect.fail(
              new WorkflowUnavailable({ workflow: name, reason: "there is none", candidates: [...byName.keys()] })
            )
          : Effect.succeed(definition)
      },
      names: Effect.sync(() => [...byName.keys()])
    })
  }
}

/** An output schema that a step names is missing or wrong; fails the step without retries. */
export class SchemaUnavailable extends Schema.TaggedError<SchemaUnavailable>()("SchemaUnavailable", {
  schema: Schema.String,
  message: Schema.String
}) {}

export class SchemaResolver extends Context.Tag("millrace/SchemaResolver")<
  SchemaResolver,
  { readonly find: (ref: string, workflow: string) => Effect.Effect<OutputSchema, SchemaUnavailable> }
>() {
  static readonly layerMemory = (schemas: Readonly<Record<string, OutputSchema>>): Layer.Layer<SchemaResolver> =>
    Layer.succeed(SchemaResolver, {
      find: (ref) => {
        const schema = Object.hasOwn(schemas, ref) ? schemas[ref] : undefined
        return schema === undefined
          ? Effect.fail(new SchemaUnavailable({ schema: ref, message: `no output schema '${ref}'` }))
          : Effect.succeed(schema)
      }
    })
}

export type IdentityVariables = (identity: string | undefined) => Effect.Effect<Texts>

/** Variables that scripts run under an identity get; default none. */
export class ScriptEnvironment extends Context.Reference<ScriptEnvironment>()("millrace/ScriptEnvironment", {
  defaultValue: (): { readonly variables: IdentityVariables } => ({
    variables: () => Effect.succeed({})
  })
}) {}

/** What the host gives to each run that starts: it is kept in the run's settings, so a resume elsewhere has it too. */
export interface InjectedContext {
  /** Variables that win over inputs. */
  readonly values: Texts
  /** Absent: the process's own. */
  readonly workingDirectory?: string
}

/** The run context of spec/engine.md ("Services"); default nothing. */
export class RunContextProvider extends Context.Reference<RunContextProvider>()("millrace/RunContextProvider", {
  defaultValue: (): { readonly contextOf: (workflow: string) => Effect.Effect<InjectedContext> } => ({
    contextOf: () => Effect.succeed({ values: {} })
  })
}) {}
