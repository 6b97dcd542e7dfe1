/**
 * What befalls engines, the store and clocks, one thing at a time.
 */
import type { PersistenceError } from "../../persistence/Persistence.ts"
import type { StoreWeather } from "./FaultyStore.ts"
import type { SimulatedEngine } from "./SimulatedEngine.ts"
import type { Tally } from "./Tally.ts"
import type { World } from "./World.ts"

export interface MischiefOptions {
  readonly world: World
  readonly tally: Tally
  readonly weather: StoreWeather
  /** ms */
  readonly leaseTtl: number
  /** Engines that live at once, at most. */
  readonly most: number
  readonly living: () => ReadonlyArray<SimulatedEngine>
  readonly add: () => void
}

export class Mischief {
  readonly #frozen = new Set<SimulatedEngine>()
  #isOver = false

  constructor(private readonly options: MischiefOptions) {}

  happens(): void {
    const { options } = this
    const { world } = options
    const living = options.living()
    const engine = living[world.random.between(0, Math.max(0, living.length - 1))]
    const draw = world.random.next()
    if (engine === undefined || draw < 0.15) return this.#add()
    if (draw < 0.4) return this.#crash(engine)
    if (draw < 0.65) return this.#freeze(engine)
    if (draw < 0.8) return this.#stop(engine)
    if (draw < 0.93) return this.#trouble()
    this.#jump(engine)
  }

  /** No trouble is left, and nobody is frozen. */
  end(): void {
    this.#isOver = true
    this.options.weather.trouble = undefined
    for (const engine of this.#frozen) this.#thaw(engine)
  }

  #add(): void {
    if (this.options.living().length < this.options.most) this.options.add()
  }

  #crash(engine: SimulatedEngine): void {
    this.#happened("engine crashed", engine.name)
    engine.crash()
    this.#later(() => this.#add())
  }

  #stop(engine: SimulatedEngine): void {
    this.#happened("engine shut down", engine.name)
    engine.stop()
    this.#later(() => this.#add())
  }

  #freeze(engine: SimulatedEngine): void {
    const { leaseTtl, tally, world } = this.options
    const isLong = world.random.chance(0.6)
    const time = isLong ? leaseTtl + world.random.between(1, leaseTtl) : world.random.between(1, leaseTtl)
    this.#happened("engine frozen", `${engine.name} for ${time} ms`)
    if (isLong) tally.add("engine frozen beyond its lease")
    engine.process.freeze()
    this.#frozen.add(engine)
    world.after(time, () => this.#thaw(engine))
  }

  #thaw(engine: SimulatedEngine): void {
    if (!this.#frozen.delete(engine) || !engine.process.isAlive) return
    this.options.world.note(engine.name, "wakes up")
    engine.process.thaw()
  }

  /** The store fails for a while, for everybody. */
  #trouble(): void {
    const { weather, world } = this.options
    const reason = world.random.pick<PersistenceError["reason"]>(["Busy", "Full", "Io", "ReadOnly"])
    this.#happened("store out of order", reason)
    weather.trouble = reason
    this.#later(() => {
      if (weather.trouble === reason) weather.trouble = undefined
    })
  }

  #jump(engine: SimulatedEngine): void {
    const by = this.options.world.random.between(-4_000, 4_000)
    this.#happened("clock set", `${engine.name} by ${by} ms`)
    engine.process.jump(by)
  }

  #later(act: () => void): void {
    const { world } = this.options
    const delay = world.random.chance(0.5) ? world.random.between(0, 100) : world.random.between(0, 5_000)
    world.after(delay, () => {
      if (!this.#isOver) act()
    })
  }

  #happened(what: Parameters<Tally["add"]>[0], text: string): void {
    this.options.tally.add(what)
    this.options.world.note("mischief:", `${what}: ${text}`)
  }
}
