/**
 * Actions as the engine sees them: an executor takes what a call hands it and gives what the step records
 * (spec/engine.md, "call" and "Services").
 *
 * Owns: the executor's shape and the `Executors` service. How executors come to be: `ScriptRunner` and
 * `ActionFolder` (files of a project), `program/Action` (typed actions).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { RunId, StepPath } from "../persistence/Records.ts"
import type { ActionRef, Texts } from "../workflow/Definition.ts"
import type { OutputSchema } from "../workflow/OutputSchema.ts"
import type { FlowLimits } from "./FlowLimits.ts"

/** One attempt of a call. `variables` is built when it is first read. */
export interface ActionCall {
  readonly name: string
  readonly ref: ActionRef
  readonly workflow: string
  readonly run: RunId
  readonly path: StepPath
  readonly stepId: string
  /** From 1. */
  readonly attempt: number
  /** The same for all attempts of the step. */
  readonly idempotencyKey: string
  /** All variables that the step sees, the call's own `inputs` over them. */
  readonly variables: Texts
  readonly snippets: ReadonlyArray<string>
  readonly schema: OutputSchema | undefined
  readonly dryRun: boolean
  readonly gateFeedback: string | undefined
  readonly model: string | undefined
  readonly identity: string | undefined
  readonly pluginDirs: ReadonlyArray<string>
  readonly maxTurns: number | undefined
  readonly retriesLeft: number
  /** Why the attempt before this one failed. */
  readonly retryError: string | undefined
  readonly workingDirectory: string
  readonly target: string | undefined
  /** What the attempt before this one reported last. */
  readonly lastHeartbeat: unknown
  /** Reports progress; recorded at most every 5 s. */
  readonly heartbeat: (details?: unknown) => Effect.Effect<void>
  /** The file that keeps one of the attempt's output streams. */
  readonly logFile: (stream: "stdout" | "stderr") => Effect.Effect<string, ActionFailed>
  /** The file that keeps the standard output as it is, where secrets are hidden in its log. */
  readonly plainFile: Effect.Effect<string, ActionFailed>
  /** Records the process group that works for this attempt, durable before the effect succeeds. */
  readonly processStarted: (process: ProcessIdentity) => Effect.Effect<void>
  /** A warning that belongs to this step: logged, and shown with it. */
  readonly warn: (message: string) => Effect.Effect<void>
  /** How long an executor that was interrupted may go on before it is left behind; 0 for a losing branch. */
  readonly interruptGrace: Effect.Effect<number>
  /** Says that the executor went on after its interruption and was left behind. */
  readonly abandoned: Effect.Effect<void>
}

/** A process that can be recognised after a restart: the pid alone may be another's by then. */
export interface ProcessIdentity {
  readonly pid: number
  readonly startTime: string
  readonly boot: string
}

export interface ActionOutput {
  readonly markers?: ReadonlyArray<string>
  readonly context?: string
  readonly resultText?: string
  /** Any JSON. */
  readonly structuredOutput?: unknown
  /** A file that holds the output, when it is large. */
  readonly outputFile?: string
  /** Texts; the known numbers among them are summed into the run's totals. */
  readonly metadata?: Texts
}

/** The attempt failed; the message is the step's error and the next attempt's `retryError`. */
export class ActionFailed extends Schema.TaggedError<ActionFailed>()("ActionFailed", {
  message: Schema.String,
  /** Another attempt cannot help. */
  permanent: Schema.optionalWith(Schema.Boolean, { exact: true })
}) {}

export type Executor = (call: ActionCall) => Effect.Effect<ActionOutput, ActionFailed, Scope.Scope>

/** How a step is tried where its call does not say. Times in ms. */
export interface StepDefaults {
  /** Further attempts after the first. */
  readonly retries: number
  /** Before a retry; 1 is the first. */
  readonly delay: (retry: number) => number
  /** Longest time of an attempt; null: the run's step timeout. */
  readonly timeout: number | null
  /** Longest silence of an attempt. */
  readonly heartbeat: number | null
}

export interface FoundExecutor {
  readonly execute: Executor
  readonly defaults?: StepDefaults
  /** `actor` where it has no role of its own. */
  readonly role?: string
  readonly canCommit?: boolean
  readonly model?: string
  /** How many of its attempts may go on; keys are made of the call's variables. */
  readonly limits?: FlowLimits<Texts> | undefined
}

/** No executor has this name; `searched` lists the places, `candidates` the names there are. */
export class ActionNotFound extends Schema.TaggedError<ActionNotFound>()("ActionNotFound", {
  action: Schema.String,
  searched: Schema.Array(Schema.String),
  candidates: Schema.Array(Schema.String)
}) {
  override get message() {
    const where = this.searched.length === 0 ? "" : `; searched ${this.searched.join(", ")}`
    return `no action '${this.action}'${where}`
  }
}

/** Finds the executor of a call in a workflow of this name. */
export class Executors extends Context.Tag("millrace/Executors")<
  Executors,
  {
    readonly find: (
      ref: ActionRef,
      workflow: string,
      pluginDirs: ReadonlyArray<string>
    ) => Effect.Effect<FoundExecutor, ActionNotFound>
    /** All names, for messages and lists. */
    readonly names: Effect.Effect<ReadonlyArray<string>>
  }
>() {
  /** Executors by name, and at most one for every other action. */
  static readonly layer = (
    executors: Readonly<Record<string, Executor | FoundExecutor>>,
    fallback?: Executor
  ): Layer.Layer<Executors> => Layer.succeed(Executors, fromRecord(executors, fallback))
}

const fromRecord = (
  executors: Readonly<Record<string, Executor | FoundExecutor>>,
  fallback: Executor | undefined
): Context.Tag.Service<typeof Executors> => {
  const byName = new Map(Object.entries(executors))
  return {
    find: (ref) => {
      const name = ref._tag === "Name" ? ref.name : ref.path
      const found = byName.get(name) ?? fallback
      if (found === undefined) {
        return Effect.fail(new ActionNotFound({ action: name, searched: [], candidates: [...byName.keys()] }))
      }
      return Effect.succeed(typeof found === "function" ? { execute: found } : found)
    },
    names: Effect.sync(() => [...byName.keys()])
  }
}
