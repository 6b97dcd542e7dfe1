/**
 * Durable time and messages in code workflows: the run may be let go meanwhile, and costs nothing then.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { durableWait } from "../engine/DurableWait.ts"
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
 * early is kept. Fails with `SignalTimedOut` when a `timeout` passes first, and without one not at all.
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
    const row = yield* durableWait({
      branch,
      path: branch.next(name),
      kind: "signal",
      name,
      until: () => (timeout === undefined ? null : run.now() + Duration.toMillis(timeout)),
      topics: [`signal:${name}`],
      find: () => {
        const found = run.find("Signal", (message) => message.name === name)
        return found && { id: found.id, value: found.message.value }
      }
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
