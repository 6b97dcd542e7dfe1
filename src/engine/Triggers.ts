/**
 * Running trigger sources: each event starts one run of the workflow whose `meta` names the source
 * (spec/engine.md, "Services").
 *
 * - T1 An event's id is its run's idempotency key: whoever gives it again, in whatever process, starts nothing new.
 * - T2 A source is told of an event when its run is durable, or when it will have none; never before.
 * - T3 What a run with trigger `hook` brings about, or one below it, starts no further hooks.
 *
 * Workflows are listed once, when this begins; what an event starts is the definition of that moment.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { WorkflowResolver } from "../action/Resolvers.ts"
import {
  hookTrigger,
  type TriggerEvent,
  type TriggerOutcome,
  type TriggerSource,
  TriggerSources
} from "../action/TriggerSource.ts"
import { Persistence, type PersistenceError } from "../persistence/Persistence.ts"
import type { RunId, RunSettings } from "../persistence/Records.ts"
import type { WorkflowDefinition } from "../workflow/Definition.ts"
import { Engine } from "./Engine.ts"
import { WorkflowFiles } from "./interpreter/WorkflowFiles.ts"

export interface TriggersOptions {
  /** What the runs are started with. */
  readonly settings?: Partial<RunSettings>
}

type Requirements = TriggerSources | WorkflowResolver | WorkflowFiles | Engine | Persistence

/** Starts runs as sources say, as long as the layer lives. */
export const layerWith = (options: TriggersOptions = {}): Layer.Layer<never, never, Requirements> =>
  Layer.scopedDiscard(Effect.suspend(() => follow(options)))

export const layer: Layer.Layer<never, never, Requirements> = layerWith()

/** What failed is tried again after 1 s, then 2 s, … up to a minute. */
const again = Schedule.union(Schedule.exponential("1 second"), Schedule.spaced("1 minute"))

/** Follows the sources of all workflows in fibers of the scope. */
export const follow = (options: TriggersOptions = {}): Effect.Effect<void, never, Requirements | Scope.Scope> =>
  Effect.gen(function* () {
    const sources = yield* TriggerSources
    const workflows = yield* WorkflowResolver
    const context = yield* Effect.context<Requirements>()
    for (const name of yield* workflows.names) {
      const definition = yield* Effect.either(workflows.find(name))
      if (definition._tag === "Left") {
        yield* Effect.logWarning(`no triggers of workflow '${name}': ${definition.left.reason}`)
        continue
      }
      const source = sources.get(definition.right.trigger)
      if (source === undefined) continue
      const followed = followOne(source, definition.right, options)
      yield* Effect.forkScoped(Effect.provide(followed, context))
    }
  })

const followOne = (source: TriggerSource, definition: WorkflowDefinition, options: TriggersOptions) =>
  Effect.suspend(() =>
    Stream.runForEach(source.events(definition), (event) => take(source, definition, event, options))
  ).pipe(
    Effect.sandbox,
    Effect.tapError((cause) =>
      Effect.logWarning(`trigger '${definition.trigger}' of '${definition.name}' failed: ${textOf(cause)}`)
    ),
    Effect.retry(Schedule.resetAfter(again, "10 minutes")),
    // It is retried for ever.
    Effect.orDie
  )

const textOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

const take = (source: TriggerSource, definition: WorkflowDefinition, event: TriggerEvent, options: TriggersOptions) =>
  Effect.gen(function* () {
    // An event is not lost because the disk is full for a while.
    const decided = Effect.retry(decide(definition, event, options), {
      while: (error) => error.transient,
      schedule: again
    })
    const outcome = yield* decided
    if (outcome._tag === "Refused") {
      yield* Effect.logWarning(`event ${event.id} starts no run of '${definition.name}': ${outcome.reason}`)
    }
    yield* source.taken?.(event, outcome, definition.name) ?? Effect.void
  })

const decide = (
  { name, trigger }: WorkflowDefinition,
  event: TriggerEvent,
  { settings }: TriggersOptions
): Effect.Effect<TriggerOutcome, PersistenceError, Requirements> =>
  Effect.gen(function* () {
    if (trigger === hookTrigger && (yield* isOfHook(event.cause))) {
      return refused("a run that a hook started starts no further hooks")
    }
    const definition = yield* (yield* WorkflowResolver).find(name)
    const files = yield* WorkflowFiles
    const { settings: engine } = yield* Engine
    // With a watchdog it waits for room like any other run, and may find it elsewhere.
    const run = yield* (engine.watchdog ? files.submit : files.start)(definition, {
      trigger,
      idempotencyKey: event.id,
      ...(event.inputs === undefined ? {} : { inputs: event.inputs }),
      ...(event.target === undefined ? {} : { target: event.target }),
      ...(settings === undefined ? {} : { settings })
    })
    return started(run)
  }).pipe(
    Effect.catchTags({
      RunAlreadyExists: ({ run }) => Effect.succeed(started(run)),
      InvalidInputs: ({ message }) => Effect.succeed(refused(message)),
      WorkflowUnavailable: ({ message }) => Effect.succeed(refused(message))
    })
  )

const started = (run: RunId): TriggerOutcome => ({ _tag: "Started", run })
const refused = (reason: string): TriggerOutcome => ({ _tag: "Refused", reason })

/** Whether a hook started the run, or the one at the top of its chain. One that was pruned is none. */
const isOfHook = (cause: RunId | undefined): Effect.Effect<boolean, PersistenceError, Persistence> =>
  Effect.gen(function* () {
    if (cause === undefined) return false
    const persistence = yield* Persistence
    const run = yield* persistence.get(cause)
    return run.trigger === hookTrigger || (yield* persistence.get(run.root)).trigger === hookTrigger
  }).pipe(Effect.catchTag("RunNotFound", () => Effect.succeed(false)))
