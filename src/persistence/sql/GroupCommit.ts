/**
 * The queue of all writes: what is enqueued in one turn of the event loop travels in one transaction (design.md,
 * "Group commit").
 *
 * Owns: order, priority, the waiting for a busy database. Neighbours: `Batch` (what happens in a transaction) and the
 * backend's `Transact` (how one is executed).
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { PersistenceError } from "../Persistence.ts"
import type { RunId } from "../Records.ts"
import type { Exits, Writer } from "./Batch.ts"

/** Executes all writers in one transaction, at once; a failure means that nothing was written. */
export type Transact = (writers: ReadonlyArray<Writer<unknown, unknown>>) => Effect.Effect<Exits, PersistenceError>

export interface Request<A, E> extends Writer<A, E> {
  /** A lease, a cancellation or a pause: these go first. */
  readonly urgent?: boolean
  /** Runs that it creates: no later write to one of those may overtake it. */
  readonly creates?: ReadonlyArray<RunId>
}

export interface GroupCommit {
  /** Enqueues at once and waits for the commit; neither can be interrupted. */
  readonly submit: <A, E>(request: Request<A, E>) => Effect.Effect<A, E | PersistenceError>
}

export interface GroupCommitOptions {
  readonly transact: Transact
  /** How long a write waits for a database that others hold, ms. */
  readonly busyTimeout: number
  /** Writers in one transaction. */
  readonly maxBatch: number
}

interface Waiting {
  readonly request: Request<unknown, unknown>
  readonly urgent: boolean
  /** On the monotonic clock, ms. */
  readonly since: number
  readonly resume: (exit: Exit.Exit<unknown, unknown>) => void
}

interface Queue {
  urgent: Array<Waiting>
  normal: Array<Waiting>
  /** Tells the writer that there is work; absent while it is not waiting. */
  wake: (() => void) | undefined
  /** Times in a row that the database was busy. */
  busy: number
  closing: boolean
}

/** What is left of a busy timeout once the scope closes, ms. */
const closeTimeout = 5_000
const maxBackOff = 50

/**
 * Closing the scope writes what is enqueued by then, and refuses what comes later. Waits are on the real clock: what
 * holds the database is another process, whatever clock the engine runs on.
 */
export const make = (options: GroupCommitOptions): Effect.Effect<GroupCommit, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue: Queue = { urgent: [], normal: [], wake: undefined, busy: 0, closing: false }
    const writer = yield* Effect.forkDaemon(Effect.withClock(drain(queue, options), Clock.make()))
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        queue.closing = true
        queue.wake?.()
        return Fiber.join(writer)
      })
    )
    return { submit: (request) => submit(queue, request) }
  })

const submit = <A, E>(queue: Queue, request: Request<A, E>): Effect.Effect<A, E | PersistenceError> =>
  Effect.uninterruptible(
    Effect.async<A, E | PersistenceError>((resume) => {
      if (queue.closing) return resume(Exit.fail(closed))
      const since = performance.now()
      // SAFETY: a request is answered with the exit of its own write, or with a PersistenceError.
      const answer = resume as Waiting["resume"]
      enqueue(queue, { request, urgent: overtakes(queue, request), since, resume: answer })
      queue.wake?.()
    })
  )

export const closed = new PersistenceError({ reason: "Other", message: "the database has been closed" })

const overtakes = (queue: Queue, { urgent, run }: Request<unknown, unknown>): boolean =>
  urgent === true && !queue.normal.some((it) => run !== undefined && it.request.creates?.includes(run))

const enqueue = (queue: Queue, waiting: Waiting): void => {
  if (waiting.urgent) queue.urgent.push(waiting)
  else queue.normal.push(waiting)
}

const isEmpty = (queue: Queue): boolean => queue.urgent.length === 0 && queue.normal.length === 0

const drain = (queue: Queue, options: GroupCommitOptions): Effect.Effect<void> =>
  Effect.whileLoop({
    while: () => !(queue.closing && isEmpty(queue)),
    body: () => Effect.zipRight(endOfTurn(queue), flush(queue, options)),
    step: () => {}
  })

/** Resumes once there is work and all that this turn enqueues is in the queue. */
const endOfTurn = (queue: Queue): Effect.Effect<void> =>
  Effect.async((resume) => {
    const wake = () => {
      queue.wake = undefined
      setImmediate(() => resume(Effect.void))
    }
    if (isEmpty(queue) && !queue.closing) queue.wake = wake
    else wake()
  })

const flush = (queue: Queue, options: GroupCommitOptions): Effect.Effect<void> =>
  Effect.suspend(() => {
    const batch = take(queue, options.maxBatch)
    if (batch.length === 0) return Effect.void
    return Effect.flatMap(Effect.exit(options.transact(batch.map((it) => it.request))), (result) => {
      if (Exit.isFailure(result)) return failed(queue, options, batch, result.cause)
      queue.busy = 0
      batch.forEach((it, index) => it.resume(result.value[index] ?? unanswered))
      return Effect.void
    })
  })

const unanswered = Exit.die(new Error("a batch must answer every writer"))

const take = (queue: Queue, max: number): ReadonlyArray<Waiting> => {
  const urgent = queue.urgent.splice(0, max)
  return [...urgent, ...queue.normal.splice(0, max - urgent.length)]
}

/** All writers have the failure, except that those who may still wait for a busy database stay in front. */
const failed = (
  queue: Queue,
  options: GroupCommitOptions,
  batch: ReadonlyArray<Waiting>,
  cause: Cause.Cause<PersistenceError>
): Effect.Effect<void> => {
  const busy = cause._tag === "Fail" && cause.error.reason === "Busy"
  const timeout = queue.closing ? Math.min(closeTimeout, options.busyTimeout) : options.busyTimeout
  const now = performance.now()
  const stays = (it: Waiting) => busy && now - it.since < timeout
  for (const it of batch) if (!stays(it)) it.resume(Exit.failCause(cause))
  queue.urgent.unshift(...batch.filter((it) => stays(it) && it.urgent))
  queue.normal.unshift(...batch.filter((it) => stays(it) && !it.urgent))
  if (!busy) return Effect.void
  queue.busy += 1
  return Effect.sleep(backOff(queue.busy))
}

/** Grows to 50 ms and is drawn anew each time, so that processes that wait for each other do not march in step. */
export const backOff = (attempt: number): number =>
  Math.min(maxBackOff, 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2)
