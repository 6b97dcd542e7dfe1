/**
 * Durable time and messages in code workflows: the run may be let go meanwhile, and costs nothing then.
 */
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { durableWait } from "../engine/DurableWait.ts"
import type { RunContext } from "../engine/RunContext.ts"
import { type AnySchema, decode } from "./Codec.ts"
import { durableSleep, unlessCancelled } from "./DurableSleep.ts"
import { currentBranch, type WorkflowRun } from "./WorkflowRun.ts"

/** Sleeps for a time that counts from the first execution, across restarts. */
export const sleep = (duration: Duration.DurationInput): Effect.Effect<void, never, WorkflowRun> =>
  sleepFor((now) => now + Duration.toMillis(duration))

/** Sleeps until a time; not at all if it has passed. */
export const sleepUntil = (time: DateTime.DateTime): Effect.Effect<void, never, WorkflowRun> =>
  sleepFor(() => DateTime.toEpochMillis(time))

const sleepFor = (until: (now: number) => number): Effect.Effect<void, never, WorkflowRun> =>
  Effect.flatMap(currentBranch("sleep"), (branch) => durableSleep(branch, until))

/** No signal came in time. */
export class SignalTimedOut extends Schema.TaggedError<SignalTimedOut>()("SignalTimedOut", { signal: Schema.String }) {}

/** What waiting for a signal fails with; without a time it does not. */
type TimedOut<T> = [T] extends [never] ? never : SignalTimedOut

// SAFETY: a wait times out where it has a time, and T is its type then.
const late = <T>(signal: string) => Effect.fail(new SignalTimedOut({ signal }) as TimedOut<T>)

export interface Signal<P extends AnySchema> {
  readonly name: string
  readonly payload: P
}

/** Declares a signal: a typed message that a run waits for, and that anyone may send. */
export const signal = <P extends AnySchema>(name: string, payload: P): Signal<P> => ({ name, payload })

/**
 * Takes the oldest signal of this name that the run has not taken; waits for one if there is none. One that was sent
 * early is kept. One whose value the schema cannot read is passed over with a warning, and kept for code that can. Fails with `SignalTimedOut` when a `timeout` passes first, and without one not at all.
 */
export const awaitSignal = <P extends AnySchema, T extends Duration.DurationInput = never>(
  signal: Signal<P>,
  options: { readonly timeout?: T } = {}
): Effect.Effect<P["Type"], TimedOut<T>, WorkflowRun> =>
  Effect.gen(function* () {
    const { name } = signal
    const branch = yield* currentBranch(name)
    const { run } = branch
    const { timeout } = options
    const mail = new Mail(run, signal)
    const row = yield* durableWait({
      branch,
      path: branch.next(name),
      kind: "signal",
      name,
      until: () => (timeout === undefined ? null : run.now() + Duration.toMillis(timeout)),
      topics: [`signal:${name}`],
      find: () => mail.find(),
      look: mail.look
    })
    yield* unlessCancelled(row)
    if (row.status === "timed_out") {
      if (timeout === undefined) return yield* run.misfit(`the wait for ${row.path} timed out, and has no timeout now`)
      return yield* late<T>(name)
    }
    const unreadable = (error: { readonly message: string }) =>
      run.misfit(`signal '${name}' carries a value that its schema cannot read: ${error.message}`)
    return yield* Effect.catchAll(decode(signal.payload, row.value), unreadable)
  })

/** The signals of one name in a run's inbox, for one wait. */
class Mail<P extends AnySchema> {
  /** What is wrong with each that was looked at, by id; undefined: nothing. */
  readonly #problems = new Map<number, string | undefined>()

  constructor(
    private readonly run: RunContext,
    private readonly signal: Signal<P>
  ) {}

  get #all(): ReadonlyArray<{ readonly id: number; readonly value: unknown }> {
    return this.run.inbox.flatMap(({ id, message }) =>
      message._tag === "Signal" && message.name === this.signal.name ? [{ id, value: message.value }] : []
    )
  }

  /** The oldest that can be read. */
  find(): { readonly id: number; readonly value: unknown } | undefined {
    return this.#all.find(({ id, value }) => this.#problemOf(id, value) === undefined)
  }

  #problemOf(id: number, value: unknown): string | undefined {
    if (!this.#problems.has(id)) this.#problems.set(id, problemOf(this.signal.payload, value))
    return this.#problems.get(id)
  }

  /** Warns of those that cannot be read, once each. */
  readonly look: Effect.Effect<void> = Effect.suspend(() => {
    const news = this.#all.filter(
      ({ id, value }) => !this.#problems.has(id) && this.#problemOf(id, value) !== undefined
    )
    return Effect.forEach(news, ({ id }) => this.#warn(this.#problems.get(id) ?? ""), { discard: true })
  })

  #warn(problem: string): Effect.Effect<void> {
    const { name } = this.signal
    const text = `a signal '${name}' is passed over, and kept: its value cannot be read by the schema of '${name}': ${problem}`
    return Effect.annotateLogs(Effect.logWarning(this.run.shown(text)), { run: this.run.id })
  }
}

/** Undefined also where it takes time to find out: it is read once more when it is taken. */
const problemOf = (schema: AnySchema, value: unknown): string | undefined => {
  const read = Effect.runSyncExit(decode(schema, value))
  if (Exit.isSuccess(read)) return undefined
  const failure = Cause.failureOption(read.cause)
  return Option.isSome(failure) ? failure.value.message : undefined
}
