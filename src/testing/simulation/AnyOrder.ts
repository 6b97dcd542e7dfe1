/**
 * An effect with all its fibers, in an order that a seed draws: what holds in each of many orders does not rest on the
 * one that a scheduler happens to have.
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { SimulatedProcess } from "./SimulatedProcess.ts"
import { World } from "./World.ts"

export interface AnyOrderOptions {
  /** Operations of a fiber before it gives way to others; default 30. */
  readonly turn?: number
  /** Turns of fibers and timers after which it is not going to end; default 100,000. */
  readonly mostSteps?: number
}

/** How the effect ended; undefined if it did not. Everything that it does has to be an effect: no promises. */
export const inAnyOrder = <A, E>(
  seed: number,
  effect: Effect.Effect<A, E>,
  { mostSteps = 100_000, turn = 30 }: AnyOrderOptions = {}
): Exit.Exit<A, E> | undefined => {
  const world = new World(seed, false)
  const host = { host: "host", boot: "boot", pid: 1, processStart: "1" }
  const process = new SimulatedProcess(world, { name: "process", host, turn, skew: 0 })
  const ended: Array<Exit.Exit<A, E>> = []
  process.run(effect, (exit) => ended.push(exit))
  while (ended.length === 0 && world.steps < mostSteps && world.step());
  return ended[0]
}
