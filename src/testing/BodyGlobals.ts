/**
 * What `Date` and `Math.random` give to a body under test: another time and other numbers in another execution, as they
 * would in production. What the body decides by them then shows.
 *
 * - All others, handlers and what else the process does, get what they would get without a test: who asks is looked up
 *   at each call, as the fiber that runs just then. What a body does in a promise is none of a fiber.
 * - The globals are replaced while a process under test is alive, and then put back.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { RunContext } from "../engine/RunContext.ts"
import { branchOfClock } from "../program/BodyServices.ts"
import { Seeded } from "./Seeded.ts"

/** Of a process that executes bodies. */
export interface Execution {
  /** By what `Date` is ahead of the process's clock, ms. */
  readonly ahead: number
  /** What a body draws first: numbers close to 0, or close to 1. The further ones are drawn by this seed. */
  readonly chance: "low" | "high"
}

/** To another day, and to another half of it; ms. */
const step = 37 * 3_600_000

/** The n-th execution, from 0: the first one is on time, the others at other hours and on other days. */
export const nthExecution = (n: number): Execution => ({ ahead: n * step, chance: n === 0 ? "low" : "high" })

/** How many numbers are close to a border: a loop that draws until one fits has to come to an end. */
const extremes = 3

/** By the clock of their processes. */
const executions = new WeakMap<Clock.Clock, Execution>()

/** Runs an effect while the bodies of a process, which has this clock, get what an execution gives. */
export const duringExecution =
  (clock: Clock.Clock, execution: Execution) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        executions.set(clock, execution)
        replaced.enter()
      }),
      () => effect,
      () => Effect.sync(() => replaced.leave())
    )

interface Body {
  readonly run: RunContext
  readonly execution: Execution
}

/** The body that asks. */
const asking = (): Body | undefined => {
  const fiber = Option.getOrUndefined(Fiber.getCurrentFiber())
  if (fiber === undefined) return undefined
  const services = fiber.getFiberRef(DefaultServices.currentServices)
  const run = branchOfClock(Context.get(services, Clock.Clock))?.run
  const execution = run === undefined ? undefined : executions.get(run.host.clock)
  return run === undefined || execution === undefined ? undefined : { run, execution }
}

/** ms since the epoch; undefined: no body asks. */
const timeOfBody = (): number | undefined => {
  const body = asking()
  return body && body.run.host.clock.unsafeCurrentTimeMillis() + body.execution.ahead
}

/** Each execution of a run draws from the start. */
const draws = new WeakMap<RunContext, { count: number; readonly further: Seeded }>()

const drawOfBody = (): number | undefined => {
  const body = asking()
  if (body === undefined) return undefined
  const { chance } = body.execution
  const drawn = draws.get(body.run) ?? { count: 0, further: new Seeded(chance === "low" ? 1 : 2) }
  draws.set(body.run, drawn)
  drawn.count += 1
  if (drawn.count > extremes) return drawn.further.next()
  return chance === "low" ? drawn.count / 10_000 : 1 - drawn.count / 10_000
}

/** In place of those that were there: a real `Date`, but for what it takes for now. */
const dateInPlaceOf = (original: DateConstructor): DateConstructor => {
  const now = () => timeOfBody() ?? original.now()
  return new Proxy(original, {
    construct: (target, given: ReadonlyArray<unknown>, made) => {
      const time = given.length === 0 ? timeOfBody() : undefined
      return Reflect.construct(target, time === undefined ? [...given] : [time], made)
    },
    apply: (target) => {
      const time = timeOfBody()
      return time === undefined ? target() : String(new target(time))
    },
    get: (target, key, receiver) => (key === "now" ? now : Reflect.get(target, key, receiver))
  })
}

class Replaced {
  #processes = 0
  #putBack: () => void = () => undefined

  enter(): void {
    this.#processes += 1
    if (this.#processes === 1) this.#putBack = replace()
  }

  leave(): void {
    this.#processes -= 1
    if (this.#processes === 0) this.#putBack()
  }
}

const replaced = new Replaced()

/** Gives what puts them back; one that somebody else replaced meanwhile is theirs. */
const replace = (): (() => void) => {
  const { Date: date } = globalThis
  const { random } = Math
  const [ownDate, ownRandom] = [dateInPlaceOf(date), () => drawOfBody() ?? random()]
  globalThis.Date = ownDate
  Math.random = ownRandom
  return () => {
    if (globalThis.Date === ownDate) globalThis.Date = date
    if (Math.random === ownRandom) Math.random = random
  }
}
