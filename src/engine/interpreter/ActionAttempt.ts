/**
 * An attempt that an executor makes: what the call hands it, and what its output becomes
 * (spec/engine.md, "call").
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { type ActionCall, ActionFailed, type ActionOutput, type Executor } from "../../action/Action.ts"
import type { OutputStore } from "../../persistence/OutputStore.ts"
import { noResult, type StepResult } from "../../persistence/Records.ts"
import type { ActionRef, Texts } from "../../workflow/Definition.ts"
import { applySchema, type OutputSchema } from "../../workflow/OutputSchema.ts"
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
): Effect.Effect<AttemptSuccess, AttemptFailure, Scope.Scope> =>
  Effect.suspend(() => execute(new Call(attempt, options, visible, outputs))).pipe(
    Effect.mapError((failed): AttemptFailure => ({ message: failed.message, permanent: failed.permanent ?? false })),
    Effect.flatMap((output) => toResult(attempt, output, options.schema)),
    Effect.tap(({ result }) => warnOfNames(attempt, visible.refused(result.structured)))
  )

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
): Effect.Effect<AttemptSuccess, AttemptFailure> =>
  Effect.suspend(() => {
    const plain: StepResult = {
      ...noResult,
      markers: output.markers ?? [],
      context: output.context ?? "",
      text: output.resultText ?? null,
      outputFile: output.outputFile ?? null,
      metadata: output.metadata ?? {}
    }
    // As the journal will give it back: a resumed run sees the very same.
    const json = JSON.stringify(output.structuredOutput ?? null)
    const size = Buffer.byteLength(json)
    const limit = attempt.run.settings.maxOutputBytes
    if (size > limit) {
      return Effect.fail({ message: `the structured output takes ${size} bytes; the limit is ${limit}` })
    }
    const structured: unknown = JSON.parse(json)
    const fitted = fit({ ...plain, structured }, output, schema, attempt.run.record.dryRun)
    return Either.match(fitted, {
      onLeft: (message) => Effect.fail({ message }),
      onRight: (result) => Effect.succeed({ result })
    })
  })

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
    return this.attemptState.heartbeat
  }
  get processStarted() {
    return this.attemptState.processStarted
  }
  get warn() {
    return this.attemptState.warn
  }
  get interruptGrace() {
    return this.attemptState.interruptGrace
  }
  get abandoned() {
    return this.attemptState.abandon
  }
  readonly logFile = (stream: "stdout" | "stderr"): Effect.Effect<string, ActionFailed> => {
    const { epoch, path } = this.attemptState.step
    const file = { run: this.run, path, epoch, attempt: this.attempt, stream }
    return Effect.mapError(this.outputs.logFile(file), ({ message }) => new ActionFailed({ message }))
  }
}
