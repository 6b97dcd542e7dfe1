/**
 * `.wf` runs in an engine: registers the interpreter, and makes the record of a new run
 * (spec/engine.md, "Records"; spec/language.md, "Grammar" for inputs).
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Executors } from "../../action/Action.ts"
import { GateResolvers } from "../../action/GateResolver.ts"
import { ItemProviders } from "../../action/ItemProvider.ts"
import { RunContextProvider, SchemaResolver, WorkflowResolver } from "../../action/Resolvers.ts"
import { OutputStore } from "../../persistence/OutputStore.ts"
import { Persistence, type PersistenceError, type RunAlreadyExists } from "../../persistence/Persistence.ts"
import type { RunId, RunSettings } from "../../persistence/Records.ts"
import { isRequired, type Texts, type WorkflowDefinition } from "../../workflow/Definition.ts"
import { shortestSecret } from "../../workflow/SecretForms.ts"
import { declaredSecrets, joined, tooShort } from "../../workflow/Secrets.ts"
import { nearest } from "../../workflow/Suggest.ts"
import { Engine, ProgramUnavailable } from "../Engine.ts"
import { defaultSettings, newRun } from "../NewRun.ts"
import type { RunContext } from "../RunContext.ts"
import type { BodyEnd, Program } from "../RunMain.ts"
import { outputOf } from "./ChildOutput.ts"
import { definitionPrefix, Definitions, isDefinitionKey } from "./Definitions.ts"
import { withDefaults } from "./Inputs.ts"
import { Interpreter, type Services } from "./Interpreter.ts"

export interface StartOptions {
  readonly inputs?: Texts
  readonly dryRun?: boolean
  readonly settings?: Partial<RunSettings>
  readonly idempotencyKey?: string
  readonly target?: string
  /** How the run was started, where it is not as `meta.trigger` says. */
  readonly trigger?: string
}

/** Inputs that are missing, or that the workflow does not declare. */
export class InvalidInputs extends Schema.TaggedError<InvalidInputs>()("InvalidInputs", {
  workflow: Schema.String,
  missing: Schema.Array(Schema.String),
  unknown: Schema.Array(Schema.String),
  declared: Schema.Array(Schema.String)
}) {
  override get message() {
    const missing = this.missing.map((name) => `the required input '${name}' is missing`)
    const unknown = this.unknown.map((name) => {
      const close = nearest(name, this.declared)
      return `there is no input '${name}'${close === undefined ? "" : `; did you mean '${close}'?`}`
    })
    const declared = this.declared.length === 0 ? "it has none" : `its inputs: ${this.declared.join(", ")}`
    return `workflow '${this.workflow}': ${[...missing, ...unknown].join("; ")} (${declared})`
  }
}

export interface WorkflowFilesOptions {
  /** Folders searched for script files after the working directory. */
  readonly scriptRoots?: ReadonlyArray<string>
}

/** Starts `.wf` workflows. */
export class WorkflowFiles extends Context.Tag("millrace/WorkflowFiles")<
  WorkflowFiles,
  {
    /** Creates a run of a definition and runs it here. */
    readonly start: (
      definition: WorkflowDefinition,
      options?: StartOptions
    ) => Effect.Effect<RunId, InvalidInputs | RunAlreadyExists | PersistenceError>
  }
>() {
  static readonly layerWith = (
    options: WorkflowFilesOptions = {}
  ): Layer.Layer<
    WorkflowFiles,
    never,
    Engine | Persistence | OutputStore | Executors | ItemProviders | GateResolvers | WorkflowResolver | SchemaResolver
  > =>
    Layer.scoped(
      WorkflowFiles,
      Effect.suspend(() => make(options))
    )

  static readonly layer = WorkflowFiles.layerWith()
}

const make = (options: WorkflowFilesOptions) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const definitions = new Definitions(yield* Persistence)
    const services: Services = {
      executors: yield* Executors,
      providers: yield* ItemProviders,
      resolvers: yield* GateResolvers,
      workflows: yield* WorkflowResolver,
      schemas: yield* SchemaResolver,
      outputs: yield* OutputStore,
      scriptRoots: options.scriptRoots ?? [],
      definitions
    }
    const context = yield* Effect.context<never>()
    const provider = yield* RunContextProvider
    yield* engine.register({
      accepts: (run) => isDefinitionKey(run.definition),
      definitions: [definitionPrefix],
      make: (run) => makeProgram(run, services, context)
    })
    return {
      start: (definition: WorkflowDefinition, start: StartOptions = {}) =>
        Effect.gen(function* () {
          yield* checkInputs(definition, start.inputs ?? {})
          const key = yield* definitions.store(definition)
          const injected = yield* provider.contextOf(definition.name)
          const inputs = withDefaults(definition, start.inputs ?? {})
          const settings = { ...defaultSettings(engine.settings.stepTimeout), ...injected, ...start.settings }
          const secrets = joined(declaredSecrets(definition.inputs, inputs), settings.secrets)
          return yield* engine.start(
            newRun({
              id: yield* engine.newRunId,
              workflow: definition.name,
              title: definition.title ?? definition.name,
              definition: key,
              createdAt: yield* Clock.currentTimeMillis,
              dryRun: start.dryRun ?? false,
              trigger: start.trigger ?? definition.trigger,
              inputs,
              target: start.target ?? null,
              idempotencyKey: start.idempotencyKey ?? null,
              settings: secrets === undefined ? settings : { ...settings, secrets }
            })
          )
        })
    }
  })

const makeProgram = (
  run: RunContext,
  services: Services,
  context: Context.Context<never>
): Effect.Effect<Program, ProgramUnavailable | PersistenceError> =>
  services.definitions.load(run.record.definition).pipe(
    Effect.mapError((error) =>
      error._tag === "PersistenceError" ? error : new ProgramUnavailable({ message: error.message })
    ),
    Effect.tap((definition) => keepSecrets(run, definition)),
    Effect.map((definition) => {
      const interpreter = new Interpreter(run, services, definition)
      const body: Program["body"] = (branch) =>
        Effect.map(Effect.provide(interpreter.body(branch), context), () => endOf(interpreter))
      if (definition.always.length === 0) return { body }
      return { body, always: (branch, status) => Effect.provide(interpreter.always(branch, status), context) }
    })
  )

/** What the definition declares counts, whoever made the record. */
const keepSecrets = (run: RunContext, { inputs: declarations }: WorkflowDefinition): Effect.Effect<void> => {
  const { inputs, startedAt } = run.record
  const told = startedAt === null ? tooShort(declarations, inputs) : []
  const warned = Effect.forEach(told, (name) => Effect.logWarning(shortWarning(run, name)), { discard: true })
  return Effect.zipRight(run.learn(declaredSecrets(declarations, inputs)), warned)
}

const shortWarning = ({ record }: RunContext, name: string): string =>
  `the secret input '${name}' of workflow '${record.workflow}' has fewer than ${shortestSecret} characters: what steps print of it is shown`

const endOf = ({ failure, visible }: Interpreter): BodyEnd => ({
  status: failure === undefined ? "completed" : "failed",
  error: failure === undefined ? null : `${failure.step}: ${failure.message}`,
  result: outputOf(visible)
})

/** Missing and undeclared inputs, all at once. */
export const checkInputs = (definition: WorkflowDefinition, inputs: Texts): Effect.Effect<void, InvalidInputs> => {
  const declared = definition.inputs.map((input) => input.name)
  const missing = definition.inputs.filter((input) => isRequired(input) && !Object.hasOwn(inputs, input.name))
  const unknown = Object.keys(inputs).filter((name) => !declared.includes(name))
  if (missing.length === 0 && unknown.length === 0) return Effect.void
  return Effect.fail(
    new InvalidInputs({
      workflow: definition.name,
      missing: missing.map((input) => input.name),
      unknown,
      declared
    })
  )
}
