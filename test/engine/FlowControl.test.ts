import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fc from "fast-check"
import type { FlowLimits } from "../../src/action/FlowLimits.ts"
import { problemOf } from "../../src/action/FlowLimits.ts"
import { FlowControl, type LaneClock } from "../../src/engine/FlowControl.ts"
import type { AttemptFailure } from "../../src/engine/StepSpec.ts"
import { TimerQueue } from "../../src/testing/TimerQueue.ts"

/** Lets fibers go on that have been resumed. */
const settle = Effect.promise(() => new Promise((done) => setImmediate(done))).pipe(Effect.repeatN(3), Effect.asVoid)

/** Time that passes when it is told to. */
class HandClock implements LaneClock {
  readonly #timers = new TimerQueue<{ readonly at: number; readonly order: number; readonly fire: () => void }>()
  #now = 0
  #order = 0

  now(): number {
    return this.#now
  }

  arm(delay: number, fire: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delay), order: this.#order++, fire }
    this.#timers.add(timer)
    return () => this.#timers.remove(timer)
  }

  /** Timers that are armed. */
  get armed(): number {
    return this.#timers.size
  }

  /** Whoever a timer wakes goes on at its time. */
  pass(ms: number): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const end = this.#now + ms
      for (let { next } = this.#timers; next !== undefined && next.at <= end; next = this.#timers.next) {
        this.#timers.take()
        this.#now = next.at
        next.fire()
        yield* settle
      }
      this.#now = end
    })
  }
}

interface Entered {
  readonly key: string | null
  readonly at: number
}

/** Attempts of one action: who is at work, and when each began. */
class Action {
  readonly clock = new HandClock()
  readonly flow = new FlowControl(this.clock)
  readonly begun: Array<Entered & { readonly number: number }> = []
  readonly #fibers: Array<Fiber.RuntimeFiber<void, AttemptFailure>> = []
  readonly #finish: Array<(() => void) | undefined> = []
  readonly atWork = new Map<number, Entered>()

  constructor(private readonly limits: FlowLimits<never>) {}

  ask(key: string | null = null): Effect.Effect<void> {
    return Effect.sync(() => {
      const number = this.#fibers.length
      const turn = { name: "a", limits: this.limits, ...(key === null ? {} : { key: () => key }) }
      const work = Effect.flatMap(this.flow.enter(turn), (leave) => {
        const entered = { key, at: this.clock.now() }
        this.begun.push({ ...entered, number })
        this.atWork.set(number, entered)
        const end = Effect.sync(() => {
          this.atWork.delete(number)
          leave()
        })
        return Effect.async<void>((resume) => {
          this.#finish[number] = () => resume(Effect.void)
        }).pipe(Effect.ensuring(end))
      })
      this.#fibers.push(Effect.runFork(work))
    })
  }

  finish(number: number): Effect.Effect<void> {
    return Effect.sync(() => this.#finish[number]?.())
  }

  interrupt(number: number): Effect.Effect<void> {
    const fiber = this.#fibers[number]
    return fiber === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(fiber))
  }

  get count(): number {
    return this.#fibers.length
  }
}

const keyOf = () => ""

const run = <A>(effect: Effect.Effect<A>): Promise<A> => Effect.runPromise(effect)

describe("flow control", () => {
  it("lets so many attempts of an action go on at once, in the order in which they came", () =>
    run(
      Effect.gen(function* () {
        const action = new Action({ concurrency: 2 })
        for (let at = 0; at < 4; at++) yield* action.ask()
        yield* settle
        expect([...action.atWork.keys()]).toEqual([0, 1])
        yield* action.finish(1)
        yield* settle
        expect([...action.atWork.keys()]).toEqual([0, 2])
        yield* action.finish(0)
        yield* action.finish(2)
        yield* settle
        expect([...action.atWork.keys()]).toEqual([3])
      })
    ))

  it("lets nobody of another key wait for a key that is in use", () =>
    run(
      Effect.gen(function* () {
        const action = new Action({ concurrency: 3, perKey: { key: keyOf, concurrency: 1 } })
        for (const key of ["x", "x", "x", "y", "z", "y"]) yield* action.ask(key)
        yield* settle
        expect(action.begun.map(({ number }) => number)).toEqual([0, 3, 4])
        yield* action.finish(3)
        yield* settle
        expect(action.begun.at(-1)).toMatchObject({ number: 5, key: "y" })
        yield* action.finish(0)
        yield* settle
        expect(action.begun.at(-1)).toMatchObject({ number: 1, key: "x" })
        for (const number of [1, 2, 4, 5]) {
          yield* action.finish(number)
          yield* settle
        }
        expect(action.atWork.size).toBe(0)
        expect(action.flow.keys).toBe(0)
      })
    ))

  it("lets so many begin within any interval, and has no timer while nobody waits", () =>
    run(
      Effect.gen(function* () {
        const action = new Action({ rate: { limit: 2, interval: "1 second" } })
        const { clock } = action
        yield* action.ask()
        yield* clock.pass(600)
        for (let at = 0; at < 3; at++) yield* action.ask()
        yield* settle
        expect(action.begun.map(({ at }) => at)).toEqual([0, 600])
        expect(clock.armed).toBe(1)
        yield* clock.pass(399)
        yield* settle
        expect(action.begun).toHaveLength(2)
        yield* clock.pass(1)
        yield* settle
        expect(action.begun.map(({ at }) => at)).toEqual([0, 600, 1_000])
        yield* clock.pass(10_000)
        yield* settle
        expect(action.begun.map(({ at }) => at)).toEqual([0, 600, 1_000, 1_600])
        expect(clock.armed).toBe(0)
      })
    ))

  it("passes the turn of somebody who was interrupted to the next, waiting or at work", () =>
    run(
      Effect.gen(function* () {
        const action = new Action({ concurrency: 1 })
        for (let at = 0; at < 4; at++) yield* action.ask()
        yield* settle
        yield* action.interrupt(1)
        yield* action.interrupt(0)
        yield* settle
        expect([...action.atWork.keys()]).toEqual([2])
        // It has its turn, and is interrupted before it could hear of that.
        yield* action.finish(2)
        yield* action.interrupt(3)
        yield* action.ask()
        yield* settle
        expect([...action.atWork.keys()]).toEqual([4])
      })
    ))

  it("never allows more than the limits, and in the end everybody has had a turn who was not interrupted", async () => {
    const limits = fc.record(
      {
        concurrency: fc.integer({ min: 1, max: 3 }),
        perKey: fc.record({ key: fc.constant(keyOf), concurrency: fc.integer({ min: 1, max: 2 }) }),
        rate: fc.record({ limit: fc.integer({ min: 1, max: 3 }), interval: fc.constant(100) })
      },
      { requiredKeys: [] }
    )
    const moves = fc.array(
      fc.oneof(
        fc.record({ _tag: fc.constant("ask" as const), key: fc.constantFrom("x", "y", "z") }),
        fc.record({ _tag: fc.constantFrom("finish" as const, "interrupt" as const), at: fc.nat(20) }),
        fc.record({ _tag: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 150 }) })
      ),
      { maxLength: 40 }
    )
    const check = (action: Action, { concurrency = 1e9, perKey, rate }: FlowLimits<never>): void => {
      expect(action.atWork.size).toBeLessThanOrEqual(concurrency)
      for (const key of ["x", "y", "z"]) {
        const ofKey = [...action.atWork.values()].filter((entered) => entered.key === key)
        expect(ofKey.length).toBeLessThanOrEqual(perKey?.concurrency ?? 1e9)
      }
      if (rate === undefined) return
      for (const { at } of action.begun) {
        const within = action.begun.filter((other) => other.at >= at && other.at < at + 100)
        expect(within.length).toBeLessThanOrEqual(rate.limit)
      }
    }
    await fc.assert(
      fc.asyncProperty(limits, moves, (limits, moves) =>
        run(
          Effect.gen(function* () {
            const action = new Action(limits)
            const interrupted = new Set<number>()
            for (const move of moves) {
              if (move._tag === "ask") yield* action.ask(limits.perKey === undefined ? null : move.key)
              else if (move._tag === "finish") yield* action.finish(move.at)
              else if (move._tag === "pass") yield* action.clock.pass(move.ms)
              else if (move.at < action.count) {
                interrupted.add(move.at)
                yield* action.interrupt(move.at)
              }
              yield* settle
              check(action, limits)
            }
            for (let round = 0; round < 2 * action.count; round++) {
              yield* action.clock.pass(100)
              yield* settle
              for (const number of [...action.atWork.keys()]) yield* action.finish(number)
              yield* settle
              check(action, limits)
            }
            const had = new Set([...action.begun.map(({ number }) => number), ...interrupted])
            expect(had.size).toBe(action.count)
            expect(action.atWork.size).toBe(0)
            expect(action.flow.keys).toBe(0)
            expect(action.clock.armed).toBe(0)
          })
        )
      ),
      { numRuns: 300 }
    )
  }, 60_000)

  it.each([
    [{ concurrency: 0 }, "`concurrency` has to be an integer of at least 1"],
    [{ concurrency: 1.5 }, "`concurrency` has to be an integer of at least 1"],
    [{ perKey: { key: keyOf, concurrency: -1 } }, "`perKey.concurrency` has to be an integer of at least 1"],
    [{ rate: { limit: Number.NaN, interval: "1 second" } }, "`rate.limit` has to be an integer of at least 1"],
    [{ rate: { limit: 1, interval: 0 } }, '`rate.interval` has to be a time above 0, such as "1 minute"'],
    [
      { rate: { limit: 1, interval: Duration.infinity } },
      '`rate.interval` has to be a time above 0, such as "1 minute"'
    ],
    [{ rate: { limit: 1, interval: "1 second" }, concurrency: 3, perKey: { key: keyOf, concurrency: 1 } }, undefined],
    [{}, undefined]
  ] satisfies ReadonlyArray<readonly [FlowLimits<never>, string | undefined]>)(
    "finds what is wrong with limits: %j",
    (limits, problem) => expect(problemOf(limits)).toBe(problem)
  )
})
