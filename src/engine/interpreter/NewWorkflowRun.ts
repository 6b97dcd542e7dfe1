/**
 * The record of a new run of a `.wf` workflow (spec/engine.md, "Records"; spec/language.md, "Grammar" for inputs), and
 * creating one where there is no engine.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { RunContextProvider } from "../../action/Resolvers.ts"
import { Persistence, type PersistenceError, type RunAlreadyExists } from "../../persistence/Persistence.ts"
import { RunId, type RunRecord, type RunSettings } from "../../persistence/Records.ts"
import { isRequired, type Texts, type WorkflowDefinition } from "../../workflow/Definition.ts"
import { declaredSecrets, joined } from "../../workflow/Secrets.ts"
import { nearest } from "../../workflow/Suggest.ts"
import { createUnclaimed } from "../CreateRun.ts"
import { EngineConfig } from "../EngineConfig.ts"
import { defaultSettings, newRun } from "../NewRun.ts"
import { newUlid } from "../../persistence/Ulid.ts"
import { Definitions } from "./Definitions.ts"
import { withDefaults } from "./Inputs.ts"

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

/** What a record takes from its surroundings. */
export interface RecordParts {
  readonly definitions: Definitions
  readonly provider: typeof RunContextProvider.Service
  readonly newRunId: Effect.Effect<RunId>
  /** Of calls and scripts that have none of their own, ms. */
  readonly stepTimeout: number
}

/** The record of a run that nobody owns; its definition is stored, the run is not. */
export const makeRecord = (
  parts: RecordParts,
  definition: WorkflowDefinition,
  options: StartOptions
): Effect.Effect<RunRecord, InvalidInputs | PersistenceError> =>
  Effect.gen(function* () {
    const inputs = options.inputs ?? {}
    yield* checkInputs(definition, inputs)
    const key = yield* parts.definitions.store(definition)
    const injected = yield* parts.provider.contextOf(definition.name)
    const given = withDefaults(definition, inputs)
    const settings = { ...defaultSettings(parts.stepTimeout), ...injected, ...options.settings }
    const secrets = joined(declaredSecrets(definition.inputs, given), settings.secrets)
    return newRun({
      id: yield* parts.newRunId,
      workflow: definition.name,
      title: definition.title ?? definition.name,
      definition: key,
      createdAt: yield* Clock.currentTimeMillis,
      dryRun: options.dryRun ?? false,
      trigger: options.trigger ?? definition.trigger,
      inputs: given,
      target: options.target ?? null,
      idempotencyKey: options.idempotencyKey ?? null,
      settings: secrets === undefined ? settings : { ...settings, secrets }
    })
  })

/** Creates a run for whichever engine knows its workflow and takes it up; without an engine here. */
export const submit = (
  definition: WorkflowDefinition,
  options: StartOptions = {}
): Effect.Effect<RunId, InvalidInputs | RunAlreadyExists | PersistenceError, Persistence> =>
  Effect.gen(function* () {
    const persistence = yield* Persistence
    const { stepTimeout } = yield* EngineConfig
    const parts = {
      definitions: new Definitions(persistence),
      provider: yield* RunContextProvider,
      newRunId: Effect.map(newUlid, (id) => RunId.make(id)),
      stepTimeout
    }
    const record = yield* makeRecord(parts, definition, options)
    yield* createUnclaimed(persistence, record, record.createdAt)
    return record.id
  })
