/**
 * What the steps of one program share: the run id of their events, the channel that takes them, the names taken so far,
 * and the totals.
 *
 * A step's path is made of the combinators around it (`/loop/@2/review`, `/pipeline/1/extract`); from the second equal
 * one on a segment has `~n`, in call order, so that no two steps of a program share a path.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import { thrownText } from "../action/UserFunction.ts"
import type { EngineEvent } from "../engine/Events.ts"
import { addPartial } from "../engine/Totals.ts"
import { newUlid } from "../persistence/Ulid.ts"
import { noTotals, RunId, StepPath, type Totals } from "../persistence/Records.ts"
import { encodeKey } from "../workflow/StepNames.ts"

/** Takes events; it must not block. One that throws harms nobody but itself. An `EventBus` is one. */
export interface EventChannel {
  readonly publish: (events: ReadonlyArray<EngineEvent>) => void
}

export interface ProgramOptions {
  /** The workflow's name in `RunStarted`. */
  readonly name: string
  /** The run id of all events; default a new one. */
  readonly run?: RunId
  readonly events?: EventChannel
}

type StepEvent = Extract<EngineEvent, { readonly stepId: string }>
type Body<E> = E extends EngineEvent ? Omit<E, keyof StepBase> : never

interface StepBase {
  readonly timestamp: number
  readonly run: RunId
  readonly stepId: string
  readonly path: StepPath
  readonly step: string
}

/** The event channel as one step has it: it says whose events they are, and when. */
export interface StepChannel {
  readonly run: RunId
  /** The same for the same step of a program whose run id is given. */
  readonly stepId: string
  readonly path: StepPath
  readonly emit: (
    event: Body<Exclude<StepEvent, { readonly _tag: "StepStarted" | "StepCompleted" }>>
  ) => Effect.Effect<void>
}

/** One for each combinator in flight; the root stands for the program. */
export class Place {
  readonly #taken = new Map<string, number>()

  constructor(
    readonly program: Program,
    readonly path: string
  ) {}

  child(key: string): Place {
    const count = (this.#taken.get(key) ?? 0) + 1
    this.#taken.set(key, count)
    return new Place(this.program, `${this.path}/${key}${count === 1 ? "" : `~${count}`}`)
  }
}

class Program {
  #totals: Totals = noTotals

  constructor(
    readonly run: RunId,
    private readonly events: EventChannel | undefined
  ) {}

  get totals(): Totals {
    return this.#totals
  }

  spend(usage: Partial<Totals>): void {
    this.#totals = addPartial(this.#totals, usage)
  }

  readonly publish = (event: EngineEvent): Effect.Effect<void> =>
    Effect.try({ try: () => this.events?.publish([event]), catch: (thrown) => thrown }).pipe(
      Effect.catchAll((thrown) => Effect.logWarning("an event channel failed", thrown)),
      Effect.asVoid
    )
}

/** Where the fiber is; undefined outside of any program: a combinator there is one of its own. */
class CurrentPlace extends Context.Reference<CurrentPlace>()("millrace/orchestration/Place", {
  defaultValue: (): Place | undefined => undefined
}) {}

const newRoot = (options: Omit<ProgramOptions, "name">): Effect.Effect<Place> =>
  Effect.map(options.run === undefined ? newRun : Effect.succeed(options.run), (run) => {
    return new Place(new Program(run, options.events), "")
  })

const newRun: Effect.Effect<RunId> = Effect.map(newUlid, (id) => RunId.make(id))

export const currentPlace: Effect.Effect<Place> = Effect.flatMap(CurrentPlace, (place) =>
  place === undefined ? newRoot({}) : Effect.succeed(place)
)

/** Runs a combinator's body in a place of its own below the surrounding one. */
export const within = <A, E, R>(key: string, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(currentPlace, (place) => Effect.provideService(body, CurrentPlace, place.child(key)))

/** A step's own channel, under a path that no other step of the program has. */
export const stepChannel = (
  place: Place,
  taskId: string
): StepChannel & { readonly about: Effect.Effect<StepBase> } => {
  const { program } = place
  const path = StepPath.make(place.child(encodeKey(taskId)).path)
  const stepId = `${program.run}${path}`
  const about = Effect.map(Clock.currentTimeMillis, (timestamp) => {
    return { timestamp, run: program.run, stepId, path, step: taskId }
  })
  const emit: StepChannel["emit"] = (event) => Effect.flatMap(about, (base) => program.publish({ ...base, ...event }))
  return { run: program.run, stepId, path, emit, about }
}

/** Says that a journal could not be read or written; the run goes on. */
export const storageTrouble = (message: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { program } = yield* currentPlace
    const timestamp = yield* Clock.currentTimeMillis
    yield* Effect.logWarning(message)
    yield* program.publish({ _tag: "StorageTrouble", timestamp, run: program.run, message })
  })

/**
 * Runs an effect as one program: `RunStarted` first, the events of its steps, and at its end `MetricsUpdated` and
 * `RunCompleted`, or `RunCancelled` when it was interrupted (spec/engine.md, "Events").
 */
export const program: {
  (options: ProgramOptions): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, options: ProgramOptions): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, options: ProgramOptions): Effect.Effect<A, E, R> => {
  const start = Effect.gen(function* () {
    const outer = yield* CurrentPlace
    const root = yield* newRoot(options)
    const { program } = root
    const started = { workflow: options.name, parent: outer?.program.run ?? null, dryRun: false }
    yield* program.publish({ ...(yield* about(program)), _tag: "RunStarted", ...started })
    return root
  })
  const run = Effect.acquireUseRelease(
    start,
    (root) => Effect.provideService(self, CurrentPlace, root),
    ({ program }, exit) => ended(program, exit)
  )
  return Effect.withSpan(run, "orchestration.program", { attributes: { name: options.name } })
})

const about = (program: Program) =>
  Effect.map(Clock.currentTimeMillis, (timestamp) => ({ timestamp, run: program.run }))

const ended = (program: Program, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.flatMap(about(program), (base) =>
    Effect.zipRight(
      program.publish({ ...base, _tag: "MetricsUpdated", totals: program.totals }),
      program.publish({ ...base, ...endOf(exit) })
    )
  )

const endOf = (exit: Exit.Exit<unknown, unknown>) => {
  if (Exit.isInterrupted(exit)) return { _tag: "RunCancelled", reason: "interrupted" } as const
  const succeeded = Exit.isSuccess(exit)
  const error = succeeded ? null : (thrownText(Cause.squash(exit.cause)) ?? "unknown")
  return { _tag: "RunCompleted", succeeded, status: succeeded ? "completed" : "failed", error } as const
}
