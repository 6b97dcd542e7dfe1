/**
 * A process in a simulation: its fibers, its clock, and the ways in which it stops.
 *
 * - A frozen process does nothing and hears nothing; its clocks go on. It wakes up to what was due meanwhile.
 * - A dead one does nothing ever again. What it holds is ended when the simulation is over (`bury`), on a store that
 *   answers nothing: an effect that stays behind then would stay behind in a process that lives, too.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { RuntimeFiber } from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import type { Scheduler, Task } from "effect/Scheduler"
import type { Host } from "../../engine/Host.ts"
import type { World, WorldTimer } from "./World.ts"

export interface ProcessOptions {
  readonly name: string
  readonly host: Host
  /** Operations of a fiber before it gives way to others. */
  readonly turn: number
  /** ms by which its wall clock is ahead. */
  readonly skew: number
}

interface Ready {
  readonly task: Task
  readonly fiber: RuntimeFiber<unknown, unknown> | undefined
}

export class SimulatedProcess {
  readonly name: string
  readonly host: Host
  /** Since when it has been awake, ms. */
  awakeSince: number
  #skew: number
  #state: "awake" | "frozen" | "dead" | "buried" = "awake"
  readonly #ready: Array<Ready> = []
  readonly #overdue = new Set<WorldTimer>()
  readonly #scheduler: Scheduler
  readonly #runtime: Runtime.Runtime<never>

  constructor(
    private readonly world: World,
    options: ProcessOptions
  ) {
    this.name = options.name
    this.host = options.host
    this.awakeSince = world.now
    this.#skew = options.skew
    this.#scheduler = {
      shouldYield: (fiber) => (fiber.currentOpCount > options.turn ? 0 : false),
      scheduleTask: (task, _priority, fiber) => void this.#ready.push({ task, fiber })
    }
    this.#runtime = Effect.runSync(
      Effect.runtime<never>().pipe(
        Effect.withClock(clockOf(world, this)),
        Effect.withRandom(Random.make(world.random.next())),
        Effect.locally(FiberRef.currentLoggers, HashSet.make(this.#logger)),
        Effect.locally(FiberRef.currentMinimumLogLevel, LogLevel.Warning)
      )
    )
    world.join(this)
  }

  /** Wall-clock time as this process has it, ms since the epoch. */
  get wall(): number {
    return this.world.wall + this.#skew
  }

  get isAwake(): boolean {
    return this.#state === "awake"
  }

  /** Whether it still is a process, awake or not. */
  get isAlive(): boolean {
    return this.#state === "awake" || this.#state === "frozen"
  }

  get isBuried(): boolean {
    return this.#state === "buried"
  }

  /** Whether a fiber of it could go on now. */
  get isReady(): boolean {
    return this.#ready.length > 0 && (this.#state === "awake" || this.#state === "buried")
  }

  /** Runs an effect on this process's scheduler, clock and random numbers. */
  run<A, E>(effect: Effect.Effect<A, E>, ended: (exit: Exit.Exit<A, E>) => void): RuntimeFiber<A, E> {
    const fiber = Runtime.runFork(this.#runtime)(effect, { scheduler: this.#scheduler, immediate: false })
    fiber.addObserver(ended)
    return fiber
  }

  /**
   * Lets a fiber go on; `choice`, from 0 to 1, says which. What concerns one fiber keeps its order, and what concerns
   * none in particular (children of a concurrent effect that are to begin) is not overtaken.
   */
  goOn(choice: number): void {
    const barrier = this.#ready.findIndex(({ fiber }) => fiber === undefined)
    const chosen = Math.floor(choice * (barrier === -1 ? this.#ready.length : barrier + 1))
    const fiber = this.#ready[chosen]?.fiber
    const first = this.#ready.findIndex((ready) => ready.fiber === fiber)
    const [next] = this.#ready.splice(first, 1)
    next?.task()
  }

  /** A timer of its clock is due. */
  due(timer: WorldTimer): void {
    if (this.#state === "awake" || this.#state === "buried") timer.fire()
    else this.#overdue.add(timer)
  }

  forget(timer: WorldTimer): void {
    this.#overdue.delete(timer)
  }

  freeze(): void {
    if (this.#state === "awake") this.#state = "frozen"
  }

  thaw(): void {
    if (this.#state !== "frozen") return
    this.#state = "awake"
    this.#wake()
  }

  die(): void {
    if (this.isAlive) this.#state = "dead"
  }

  /** Sets its wall clock, by so many ms. */
  jump(by: number): void {
    this.#skew += by
  }

  /** What is left of it runs out; nothing that it does counts any more. */
  bury(): void {
    this.#state = "buried"
    this.#wake()
  }

  #wake(): void {
    this.awakeSince = this.world.now
    for (const timer of this.#overdue) this.world.restore(timer)
    this.#overdue.clear()
  }

  get #logger(): Logger.Logger<unknown, void> {
    return Logger.make(({ message }) => {
      if (!this.isBuried) this.world.note(this.name, `warns: ${String(message)}`)
    })
  }
}

const clockOf = (world: World, process: SimulatedProcess): Clock.Clock => {
  const millis = () => Math.floor(process.wall)
  const nanos = () => BigInt(Math.round(world.now * 1_000)) * 1_000n
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: millis,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.async<void>((resume) => {
        const cancel = world.after(Duration.toMillis(duration), () => resume(Effect.void), process)
        return Effect.sync(cancel)
      })
  }
}
