/**
 * Events of runs (spec/engine.md, "Events"), and their delivery.
 *
 * E1 An event is published after the write that carries its change, in order within a run.
 * E2 A subscriber that is slow misses events and is told how many; one that fails gets no more. Neither holds up
 * anybody.
 * E3 There are at most so many subscribers: what is published is given to each of them.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { FanOutCounters, RunId, RunStatus, StepPath, StepStatus, Totals } from "../persistence/Records.ts"

interface Base {
  /** ms since the epoch */
  readonly timestamp: number
  readonly run: RunId
}

interface OfStep extends Base {
  readonly stepId: string
  readonly path: StepPath
  readonly step: string
}

export type EngineEvent =
  | (Base & {
      readonly _tag: "RunStarted"
      readonly workflow: string
      readonly parent: RunId | null
      readonly dryRun: boolean
    })
  | (Base & { readonly _tag: "RunResumed"; readonly epoch: number })
  /** `isPaused`: by itself; `on` then begins with `paused`. */
  | (Base & { readonly _tag: "RunWaiting"; readonly on: ReadonlyArray<string>; readonly isPaused: boolean })
  | (Base & {
      readonly _tag: "RunCompleted"
      readonly succeeded: boolean
      readonly status: RunStatus
      readonly error: string | null
    })
  | (Base & { readonly _tag: "RunCancelled"; readonly reason: string })
  | (OfStep & { readonly _tag: "StepStarted"; readonly kind: string; readonly attempt: number })
  | (OfStep & {
      readonly _tag: "StepCompleted"
      readonly kind: string
      readonly succeeded: boolean
      readonly status: StepStatus
      readonly error: string | null
    })
  /** `attempt`: 1 is the first retry. */
  | (OfStep & { readonly _tag: "StepRetrying"; readonly attempt: number; readonly error: string })
  | (OfStep & { readonly _tag: "StepHeartbeat"; readonly attempt: number; readonly details: unknown })
  | (OfStep & { readonly _tag: "StepWarning"; readonly message: string })
  | (OfStep & { readonly _tag: "GateWaiting"; readonly kind: string; readonly prompt: string | null })
  | (OfStep & { readonly _tag: "GateResolved"; readonly approved: boolean })
  /** `counters`: where the items stand; after an interruption not all of them are pending. */
  | (OfStep & { readonly _tag: "FanOutItemsCollected"; readonly total: number; readonly counters: FanOutCounters })
  | (OfStep & { readonly _tag: "FanOutItemStarted"; readonly item: string })
  | (OfStep & {
      readonly _tag: "FanOutItemCompleted"
      readonly item: string
      readonly succeeded: boolean
      readonly error: string | null
    })
  | (Base & { readonly _tag: "MetricsUpdated"; readonly totals: Totals })
  | (Base & { readonly _tag: "RunWarning"; readonly message: string })
  /** `expired`: the lease could not be renewed in time; else the store refused a write, since another engine has the run. */
  | (Base & { readonly _tag: "LeaseLost"; readonly expired: boolean })
  | (Base & { readonly _tag: "StorageTrouble"; readonly message: string })
  | (Base & { readonly _tag: "Panicked"; readonly message: string; readonly stack: string | null })

/** Stands for the events that a slow subscriber missed. */
export interface EventsMissed {
  readonly _tag: "EventsMissed"
  readonly count: number
}

/** The engine has as many subscribers as it may (`maxSubscribers`): one of them has to close its scope first. */
export class TooManySubscribers extends Schema.TaggedError<TooManySubscribers>()("TooManySubscribers", {
  limit: Schema.Number
}) {
  override get message() {
    return `the engine has ${this.limit} subscribers to its events, and takes no more (maxSubscribers)`
  }
}

interface Subscriber {
  readonly filter: ((event: EngineEvent) => boolean) | undefined
  queue: Array<EngineEvent>
  missed: number
  wake: (() => void) | undefined
  /** What its filter threw: its stream ends with it, and it gets nothing more. */
  failure: Cause.Cause<never> | undefined
}

/** The subscribers of one engine. */
export class EventBus {
  readonly #subscribers = new Set<Subscriber>()

  /** `capacity`: events that each may lag behind; `most`: subscribers. */
  constructor(
    private readonly capacity: number,
    private readonly most = Number.POSITIVE_INFINITY
  ) {}

  get subscribers(): number {
    return this.#subscribers.size
  }

  publish(events: ReadonlyArray<EngineEvent>): void {
    for (const subscriber of this.#subscribers) {
      for (const event of events) if (wants(subscriber, event)) this.#give(subscriber, event)
      if (subscriber.queue.length > 0 || subscriber.failure !== undefined) subscriber.wake?.()
    }
  }

  #give(subscriber: Subscriber, event: EngineEvent): void {
    if (subscriber.queue.length >= this.capacity) subscriber.missed += 1
    else subscriber.queue.push(event)
  }

  /** The events from now on, as a stream that ends with the scope. The subscription stands when the effect succeeds. */
  subscribe(
    filter?: (event: EngineEvent) => boolean
  ): Effect.Effect<Stream.Stream<EngineEvent | EventsMissed>, TooManySubscribers, Scope.Scope> {
    const acquire = Effect.suspend(() => {
      if (this.#subscribers.size >= this.most) return Effect.fail(new TooManySubscribers({ limit: this.most }))
      const subscriber: Subscriber = { filter, queue: [], missed: 0, wake: undefined, failure: undefined }
      this.#subscribers.add(subscriber)
      return Effect.succeed(subscriber)
    })
    const release = (subscriber: Subscriber) => Effect.sync(() => this.#subscribers.delete(subscriber))
    return Effect.map(Effect.acquireRelease(acquire, release), (subscriber) =>
      Stream.repeatEffect(takeAll(subscriber)).pipe(Stream.flattenIterables)
    )
  }
}

/** A filter that throws is its subscriber's failure, and nobody else's. */
const wants = (subscriber: Subscriber, event: EngineEvent): boolean => {
  if (subscriber.failure !== undefined) return false
  try {
    return subscriber.filter?.(event) ?? true
  } catch (thrown) {
    subscriber.failure = Cause.die(thrown)
    return false
  }
}

const takeAll = (subscriber: Subscriber): Effect.Effect<ReadonlyArray<EngineEvent | EventsMissed>> =>
  Effect.suspend(() => (isReady(subscriber) ? drain(subscriber) : waitThenDrain(subscriber)))

const isReady = (subscriber: Subscriber): boolean => subscriber.queue.length > 0 || subscriber.failure !== undefined

const waitThenDrain = (subscriber: Subscriber): Effect.Effect<ReadonlyArray<EngineEvent | EventsMissed>> =>
  Effect.async((resume) => {
    // The fiber may have given way since it looked.
    if (isReady(subscriber)) return resume(Effect.suspend(() => drain(subscriber)))
    subscriber.wake = () => {
      subscriber.wake = undefined
      resume(Effect.suspend(() => drain(subscriber)))
    }
    return Effect.sync(() => {
      subscriber.wake = undefined
    })
  })

const drain = (subscriber: Subscriber): Effect.Effect<ReadonlyArray<EngineEvent | EventsMissed>> => {
  const { failure } = subscriber
  if (failure !== undefined && subscriber.queue.length === 0) return Effect.failCause(failure)
  const events: Array<EngineEvent | EventsMissed> = subscriber.queue
  subscriber.queue = []
  if (subscriber.missed > 0) events.push({ _tag: "EventsMissed", count: subscriber.missed })
  subscriber.missed = 0
  return Effect.succeed(events)
}
