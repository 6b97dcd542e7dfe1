/** All that an engine tells of its runs, kept: what happened, in order, and a wait for what has not happened yet. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { Engine } from "../engine/Engine.ts"
import type { EngineEvent, EventsMissed, TooManySubscribers } from "../engine/Events.ts"

type Recorded = EngineEvent | EventsMissed

export interface EventRecorder {
  /** Since the recorder was made, in order. */
  readonly events: Effect.Effect<ReadonlyArray<Recorded>>
  /** `StepCompleted /charge`, `RunCompleted completed`: for comparing with what was expected. */
  readonly outline: Effect.Effect<ReadonlyArray<string>>
  /** The first event, past or future, that is so. */
  readonly first: (is: (event: Recorded) => boolean) => Effect.Effect<Recorded>
}

/** Records until the scope closes. Make it before the run is started: what happened before it is not heard of. */
export const recordEvents: Effect.Effect<EventRecorder, TooManySubscribers, Engine | Scope.Scope> = Effect.gen(
  function* () {
    const engine = yield* Engine
    const heard = yield* SubscriptionRef.make<ReadonlyArray<Recorded>>([])
    const stream = yield* engine.events()
    yield* Effect.forkScoped(
      Stream.runForEach(stream, (event) => SubscriptionRef.update(heard, (events) => [...events, event]))
    )
    return {
      events: SubscriptionRef.get(heard),
      outline: Effect.map(SubscriptionRef.get(heard), (events) => events.map(wordsOf)),
      first: (is) =>
        heard.changes.pipe(
          Stream.mapConcat((events) => events.filter(is)),
          Stream.runHead,
          // The stream of a ref has no end.
          Effect.flatMap(Effect.orDie)
        )
    }
  }
)

const wordsOf = (event: Recorded): string => {
  if ("path" in event) return `${event._tag} ${event.path}`
  return event._tag === "RunCompleted" ? `${event._tag} ${event.status}` : event._tag
}
