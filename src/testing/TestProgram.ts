/**
 * A runnable program: definitions, and what each action, gate and executor in them does, scripted by step and attempt.
 * What it does depends on nothing but the script, so that it does the same again after a crash.
 */
import * as Effect from "effect/Effect"
import { type ActionCall, ActionFailed, type ActionOutput, type Executor } from "../action/Action.ts"
import type { StartOptions } from "../engine/interpreter/WorkflowFiles.ts"
import type { Texts, WorkflowDefinition } from "../workflow/Definition.ts"

/** What an engine has to know to run a program. */
export interface KnownProgram {
  /** Those that it calls. */
  readonly workflows: ReadonlyArray<WorkflowDefinition>
  /** Scripts too; those that are not here are processes. */
  readonly actions: Readonly<Record<string, ScriptedAction>>
}

export interface TestProgram extends KnownProgram {
  /** Names it in messages: the seed it was made from, or what it shows. */
  readonly name: string
  readonly definition: WorkflowDefinition
  /** By a gate's prompt; a gate whose prompt is not here is not answered. */
  readonly answers: Readonly<Record<string, ScriptedAnswer>>
  /** The run is cancelled while this step runs, or waits; the action should hang. */
  readonly cancelAt?: string
  /** The run is paused while this step runs, or waits, and goes on a second after that. */
  readonly pauseAt?: string
  readonly options: StartOptions
}

/** What an action does. Times in ms. */
export interface ScriptedAction {
  /** Attempts that fail before one succeeds. */
  readonly failures?: number
  /** Attempts that never end, before those that fail. */
  readonly hangs?: number
  /** Ids of the fan-out items for which every attempt fails. */
  readonly failsFor?: ReadonlyArray<string>
  /** How long each attempt takes. */
  readonly delay?: number
  /** Reports progress so many times, so many ms after each other, as long as it goes on. */
  readonly beats?: { readonly every: number; readonly times: number }
  readonly markers?: ReadonlyArray<string>
  /** Markers up to this round of the innermost loop; all rounds if absent. */
  readonly markersUntil?: number
  /** Gives other markers in each round too, so that no loop looks stuck. */
  readonly markRounds?: boolean
  readonly context?: string
  readonly structured?: unknown
  readonly metadata?: Texts
  /** Throws instead of failing. */
  readonly throws?: boolean
}

export interface ScriptedAnswer {
  readonly approved: boolean
  readonly feedback?: string
  readonly selections?: ReadonlyArray<string>
  /** ms after the gate began to wait. */
  readonly after: number
}

/** One attempt that an executor began. */
export interface Execution {
  readonly run: string
  readonly path: string
  readonly attempt: number
  readonly idempotencyKey: string
}

/** Hears of each attempt, and of its end, however it ends. */
export interface ExecutionObserver {
  /** With all that the executor is given. */
  readonly called?: (call: ActionCall) => void
  readonly began?: (execution: Execution) => void
  readonly ended?: (execution: Execution) => void
}

/** An executor for every action of a program. */
export const scriptedExecutor =
  (program: KnownProgram, { began, called, ended }: ExecutionObserver): Executor =>
  (call) =>
    Effect.suspend(() => {
      const { attempt, idempotencyKey, path, run } = call
      const execution = { run, path, attempt, idempotencyKey }
      called?.(call)
      began?.(execution)
      const work = attemptOf(call, program.actions[call.name] ?? {})
      return ended === undefined
        ? work
        : Effect.ensuring(
            work,
            Effect.sync(() => ended(execution))
          )
    })

const attemptOf = (call: ActionCall, action: ScriptedAction): Effect.Effect<ActionOutput, ActionFailed> => {
  const { beats, delay = 0, failures = 0, hangs = 0 } = action
  const takes = call.attempt <= hangs ? Number.POSITIVE_INFINITY : delay
  const isFailing = call.attempt <= hangs + failures || isFailingItem(call, action)
  const end = Effect.suspend(() => (isFailing ? failing(call, action) : Effect.succeed(outputOf(call, action))))
  const times = beats === undefined ? 0 : Math.min(beats.times, Math.ceil(takes / beats.every) - 1)
  if (beats === undefined || times <= 0) return after(takes, end)
  const beat = Effect.delay(call.heartbeat(), beats.every)
  return Effect.zipRight(Effect.repeatN(beat, times - 1), after(takes - times * beats.every, end))
}

const after = <A, E>(ms: number, effect: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  if (ms === 0) return effect
  return ms === Number.POSITIVE_INFINITY ? Effect.never : Effect.delay(effect, ms)
}

const isFailingItem = (call: ActionCall, action: ScriptedAction): boolean =>
  action.failsFor?.includes(call.variables["item.id"] ?? "") === true

const failing = (call: ActionCall, { throws }: ScriptedAction): Effect.Effect<never, ActionFailed> => {
  const message = `${call.name} fails at attempt ${call.attempt}`
  if (throws === true) throw new Error(message)
  return Effect.fail(new ActionFailed({ message }))
}

const outputOf = (call: ActionCall, action: ScriptedAction): ActionOutput => {
  const round = roundOf(call.path)
  const given = action.markersUntil === undefined || round <= action.markersUntil ? (action.markers ?? []) : []
  const { context, metadata, structured } = action
  return {
    markers: action.markRounds === true ? [...given, `round_${round}`] : given,
    ...(context === undefined ? {} : { context }),
    ...(structured === undefined ? {} : { structuredOutput: structured }),
    ...(metadata === undefined ? {} : { metadata })
  }
}

/** Of the innermost loop around a step: 0 outside of loops. */
const roundOf = (path: string): number => Number(/.*\/@(\d+)\//.exec(path)?.[1] ?? 0)
