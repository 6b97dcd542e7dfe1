/**
 * An attempt that an executor makes: what the call hands it, and what its output becomes
 * (spec/engine.md, "call").
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import {
  type ActionCall,
  ActionFailed,
  type ActionOutput,
  type Executor,
  type ProcessIdentity
} from "../../action/Action.ts"
import type { OutputStore } from "../../persistence/OutputStore.ts"
import type { PersistenceError } from "../../persistence/Persistence.ts"
import { shownStepPath } from "../../persistence/Redaction.ts"
import { noResult, type StepResult } from "../../persistence/Records.ts"
import type { ActionRef, Texts } from "../../workflow/Definition.ts"
import { applySchema, type OutputSchema } from "../../workflow/OutputSchema.ts"
import { matchError } from "../Settled.ts"
import type { Attempt, AttemptFailure, AttemptSuccess } from "../Step.ts"
import type { Visible } from "./Visible.ts"

/** What a node says of its call, beside what the attempt knows. */
export interface CallOptions {
  readonly ref: ActionRef
  readonly workflow: string
  readonly inputs: Texts
  readonly snippets: ReadonlyArray<string>
  readonly schema: OutputSchema | undefined
  readonly model: string | undefined
  readonly identity: string | undefined
  readonly pluginDirs: ReadonlyArray<string>
  readonly maxTurns: number | undefined
}

export const plainCall = (name: string, workflow: string): CallOptions => ({
  ref: { _tag: "Name", name },
  workflow,
  inputs: {},
  snippets: [],
  schema: undefined,
  model: undefined,
  identity: undefined,
  pluginDirs: [],
  maxTurns: undefined
})

/** Runs the executor once, and checks what it gives. */
export const executeAction = (
  attempt: Attempt,
  execute: Executor,
  options: CallOptions,
  visible: Visible,
  outputs: typeof OutputStore.Service
): Effect.Effect<AttemptSuccess, AttemptFailure, Scope.Scope> => {
  const executed = execute(new Call(attempt, options, visible, outputs))
  const onSuccess = (output: ActionOutput) => succeeded(attempt, output, options.schema, visible)
  return matchError(executed, {
    onFailure: ({ message, permanent = false }) => Effect.fail<AttemptFailure>({ message, permanent }),
    onSuccess
  })
}

const succeeded = (
  attempt: Attempt,
  output: ActionOutput,
  schema: OutputSchema | undefined,
  visible: Visible
): Effect.Effect<AttemptSuccess, AttemptFailure> => {
  const fitted = toResult(attempt, output, schema)
  if (Either.isLeft(fitted)) return Effect.fail({ message: fitted.left })
  const success: AttemptSuccess = { result: fitted.right }
  const refused = visible.refused(fitted.right.structured)
  return refused.length === 0 ? Effect.succeed(success) : Effect.as(warnOfNames(attempt, refused), success)
}

const warnOfNames = (attempt: Attempt, refused: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.forEach(
    refused,
    (name) => attempt.warn(`the output's '${name}' does not replace the built-in or injected value of that name`),
    { discard: true }
  )

const toResult = (
  attempt: Attempt,
  output: ActionOutput,
  schema: OutputSchema | undefined
): Either.Either<StepResult, string> => {
  const plain: StepResult = {
    markers: output.markers ?? noResult.markers,
    context: output.context ?? "",
    text: output.resultText ?? null,
    structured: null,
    outputFile: output.outputFile ?? null,
    metadata: output.metadata ?? noResult.metadata
  }
  const { maxOutputBytes } = attempt.run.settings
  return Either.flatMap(structuredOf(output, maxOutputBytes), (structured) =>
    fit(structured === null ? plain : { ...plain, structured }, output, schema, attempt.run.record.dryRun)
  )
}

/** As the journal will give it back: a resumed run sees the very same. */
const structuredOf = (output: ActionOutput, limit: number): Either.Either<unknown, string> => {
  const { structuredOutput = null } = output
  if (structuredOutput === null) return Either.right(null)
  const json = JSON.stringify(structuredOutput)
  const size = Buffer.byteLength(json)
  if (size > limit) return Either.left(`the structured output takes ${size} bytes; the limit is ${limit}`)
  return Either.right(JSON.parse(json))
}

/**
 * The output as its schema reads it; markers and context that the executor gives itself win. A dry run does nothing
 * that an output could tell of, so there it may be missing.
 */
const fit = (
  result: StepResult,
  output: ActionOutput,
  schema: OutputSchema | undefined,
  dryRun: boolean
): Either.Either<StepResult, string> => {
  const isMissing = result.structured === null
  if (schema === undefined || (dryRun && isMissing)) return Either.right(result)
  if (isMissing) return Either.left(`no structured output, but its schema is '${schema.name}'`)
  return Either.map(applySchema(schema, result.structured), ({ structured, markers, context }) => ({
    ...result,
    structured,
    markers: output.markers ?? markers,
    context: output.context ?? context
  }))
}

class Call implements ActionCall {
  readonly ref: ActionRef
  readonly workflow: string
  readonly snippets: ReadonlyArray<string>
  readonly schema: OutputSchema | undefined
  readonly maxTurns: number | undefined
  #variables: Texts | undefined

  constructor(
    private readonly attemptState: Attempt,
    private readonly options: CallOptions,
    private readonly visible: Visible,
    private readonly outputs: typeof OutputStore.Service
  ) {
    this.ref = options.ref
    this.workflow = options.workflow
    this.snippets = options.snippets
    this.schema = options.schema
    this.maxTurns = options.maxTurns
  }

  get name() {
    return this.attemptState.spec.name
  }
  get run() {
    return this.attemptState.run.id
  }
  get path() {
    return this.attemptState.spec.path
  }
  get stepId() {
    return this.attemptState.run.stepId(this.attemptState.step)
  }
  get attempt() {
    return this.attemptState.number
  }
  get idempotencyKey() {
    return this.attemptState.step.idempotencyKey
  }
  get variables(): Texts {
    this.#variables ??= this.visible.variables(this.options.inputs)
    return this.#variables
  }
  get dryRun() {
    return this.attemptState.run.record.dryRun
  }
  get gateFeedback() {
    return this.visible.feedback
  }
  get model() {
    return this.options.model ?? this.#settings.model ?? undefined
  }
  get identity() {
    return this.options.identity ?? this.#settings.identity ?? undefined
  }
  get pluginDirs() {
    return [...new Set([...this.#settings.pluginDirs, ...this.options.pluginDirs])]
  }
  get retriesLeft() {
    return this.attemptState.retriesLeft
  }
  get retryError() {
    return this.attemptState.previous?.error ?? undefined
  }
  get workingDirectory() {
    return this.#settings.workingDirectory
  }
  get target() {
    return this.attemptState.run.record.target ?? undefined
  }
  get lastHeartbeat() {
    return this.attemptState.record.heartbeat ?? this.attemptState.previous?.heartbeat ?? undefined
  }
  get #settings() {
    return this.attemptState.run.record.settings
  }
  get heartbeat() {
    return (details?: unknown) => this.attemptState.heartbeat(details)
  }
  get processStarted() {
    return (process: ProcessIdentity) => this.attemptState.processStarted(process)
  }
  get warn() {
    return (message: string) => this.attemptState.warn(message)
  }
  get interruptGrace() {
    return this.attemptState.interruptGrace
  }
  get abandoned() {
    return this.attemptState.abandon
  }
  get logFile() {
    return (stream: "stdout" | "stderr"): Effect.Effect<string, ActionFailed> =>
      Effect.mapError(this.outputs.logFile({ ...this.#output, stream }), outputFailed)
  }
  get plainFile(): Effect.Effect<string, ActionFailed> {
    return Effect.mapError(this.outputs.plainFile(this.#output), outputFailed)
  }
  get #output() {
    const { epoch, path } = this.attemptState.step
    const shown = shownStepPath(this.attemptState.run.record, path)
    return { run: this.run, path, shown, epoch, attempt: this.attempt }
  }
}

const outputFailed = ({ message }: PersistenceError): ActionFailed => new ActionFailed({ message })
