/**
 * What a project's actions are told beside their parameters (spec/engine.md, "call"): the rest of an `ActionCall`, as
 * JSON for programs; modules also get a signal and a way to report progress.
 */
import type { OutputSchema } from "../workflow/OutputSchema.ts"
import type { ActionCall } from "./Action.ts"

/** The JSON part: what an executable action gets as `context` on its standard input. */
export interface ActionContextData {
  readonly name: string
  readonly workflow: string
  readonly runId: string
  readonly path: string
  readonly stepId: string
  /** From 1. */
  readonly attempt: number
  /** The same for all attempts of the step. */
  readonly idempotencyKey: string
  readonly snippets: ReadonlyArray<string>
  readonly schema?: OutputSchema
  readonly dryRun: boolean
  readonly gateFeedback?: string
  readonly model?: string
  readonly identity?: string
  readonly pluginDirs: ReadonlyArray<string>
  readonly maxTurns?: number
  readonly retriesLeft: number
  /** Why the attempt before this one failed. */
  readonly retryError?: string
  readonly workingDirectory: string
  readonly target?: string
  /** What the attempt before this one reported last. */
  readonly lastHeartbeat?: unknown
}

/** What a module's action gets as `context`. */
export interface ActionContext extends ActionContextData {
  /** Aborted when the attempt is interrupted: by its timeout, a cancellation, a sibling's failure, a shutdown. */
  readonly signal: AbortSignal
  /** Reports progress; nothing happens after the attempt's end. */
  readonly heartbeat: (details?: unknown) => void
}

/** Absent values have no key, as in JSON. */
export const contextData = (call: ActionCall): ActionContextData => ({
  name: call.name,
  workflow: call.workflow,
  runId: call.run,
  path: call.path,
  stepId: call.stepId,
  attempt: call.attempt,
  idempotencyKey: call.idempotencyKey,
  snippets: call.snippets,
  ...optional("schema", call.schema),
  dryRun: call.dryRun,
  ...optional("gateFeedback", call.gateFeedback),
  ...optional("model", call.model),
  ...optional("identity", call.identity),
  pluginDirs: call.pluginDirs,
  ...optional("maxTurns", call.maxTurns),
  retriesLeft: call.retriesLeft,
  ...optional("retryError", call.retryError),
  workingDirectory: call.workingDirectory,
  ...optional("target", call.target),
  ...optional("lastHeartbeat", call.lastHeartbeat)
})

const optional = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  // SAFETY: an object of the one key, whose value is a V.
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V })
