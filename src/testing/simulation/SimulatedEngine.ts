/**
 * A real engine in a simulated process, on its own view of the store.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RuntimeFiber } from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { BrokenInvariant } from "../../engine/BrokenInvariant.ts"
import { Engine } from "../../engine/Engine.ts"
import type { EngineSettings } from "../../engine/EngineConfig.ts"
import type { EngineEvent } from "../../engine/Events.ts"
import { HostProcesses, type Host } from "../../engine/Host.ts"
import { WorkflowFiles } from "../../engine/interpreter/WorkflowFiles.ts"
import type { RunId } from "../../persistence/Records.ts"
import { Persistence, type PersistenceError, type PersistenceService } from "../../persistence/Persistence.ts"
import { programServices } from "../ProgramRunner.ts"
import type { Execution, KnownProgram } from "../TestProgram.ts"
import { FaultyStore, type StoreWeather } from "./FaultyStore.ts"
import type { Judge } from "./Judge.ts"
import { observed } from "./ObservedStore.ts"
import type { SimulatedProcess } from "./SimulatedProcess.ts"
import type { Tally } from "./Tally.ts"
import { registerGenerated } from "./GeneratedWorkflow.ts"
import type { World } from "./World.ts"

export type EngineServices = Context.Context<Engine | WorkflowFiles | Persistence>

export interface SimulatedEngineOptions {
  readonly world: World
  readonly process: SimulatedProcess
  readonly store: PersistenceService
  readonly weather: StoreWeather
  readonly tally: Tally
  readonly judge: Judge
  readonly program: KnownProgram
  readonly settings: EngineSettings
  readonly isGone: (host: Host) => boolean
}

/** ms before an engine that could not start is started again. */
const startAgain = 500

export class SimulatedEngine {
  readonly name: string
  /** Empty until it has started. */
  id = ""
  /** When the lease ends that it knows to have, ms since the beginning. */
  leaseEnds = Number.NEGATIVE_INFINITY
  /** Undefined while it is not up. */
  services: EngineServices | undefined
  #state: "starting" | "up" | "stopping" | "stopped" = "starting"
  /** While it is starting. */
  #starting: RuntimeFiber<unknown, unknown> | undefined
  #scope: Scope.CloseableScope | undefined
  readonly #view: FaultyStore

  constructor(private readonly options: SimulatedEngineOptions) {
    const { judge, process, store, tally, weather, world } = options
    this.name = process.name
    const told = observed(store, (write) => {
      if (write._tag === "Renew") this.id = write.engine.id
      judge.wrote(this.name, this.id, write)
    })
    this.#view = new FaultyStore(told, process, world, weather, tally)
    this.#start()
  }

  get process(): SimulatedProcess {
    return this.options.process
  }

  /** Whether it could do something for somebody who asks now. */
  get isUp(): boolean {
    return this.#state === "up" && this.process.isAwake
  }

  /** Neither crashed nor stopped, nor about to be. */
  get isLiving(): boolean {
    return this.process.isAlive && (this.#state === "starting" || this.#state === "up")
  }

  /** In words: whether it runs a run. */
  holds(run: RunId): string {
    if (!this.isUp || this.services === undefined) return "which is not up"
    const residents = Effect.runSync(Context.get(this.services, Engine).resident)
    return residents.includes(run) ? "where it is resident" : "where it is not resident"
  }

  crash(): void {
    this.process.die()
    this.#view.cutOff()
  }

  /** A clean shutdown, which takes its time. */
  stop(): void {
    if (this.#state === "starting" || this.#state === "stopped") return
    this.#close()
  }

  /** Runs out what a process holds that is over; `stopped` when that is done. */
  bury(): void {
    this.process.bury()
    if (this.#state === "stopping") return
    if (this.#starting === undefined) this.#close()
    else this.#starting.addObserver(() => this.#close())
  }

  #close(): void {
    const scope = this.#scope
    this.#state = "stopping"
    this.services = undefined
    if (scope === undefined) return this.#stopped()
    this.process.run(Scope.close(scope, Exit.void), () => this.#stopped())
  }

  #stopped(): void {
    if (this.process.isAlive) this.options.world.note(this.name, "has stopped")
    this.#state = "stopped"
  }

  #start(): void {
    const { world } = this.options
    const started = Effect.gen(this, function* () {
      const scope = yield* Scope.make()
      this.#scope = scope
      const services = yield* this.#build(scope)
      // Its filter sees each event at the moment of its publication; the stream itself is not read.
      const engine = Context.get(services, Engine)
      yield* Scope.extend(
        engine.events((event) => this.#published(event)),
        scope
      )
      return services
    })
    this.#starting = this.process.run(started, (exit) => {
      this.#starting = undefined
      if (this.process.isBuried || this.#state !== "starting") return
      if (Exit.isSuccess(exit)) {
        this.services = exit.value
        this.#state = "up"
        return world.note(this.name, "is up")
      }
      world.note(this.name, `could not start: ${String(exit.cause)}`)
      world.after(startAgain, () => this.#startAgain(), this.process)
    })
  }

  #startAgain(): void {
    if (this.#state !== "starting" || this.process.isBuried) return
    const scope = this.#scope
    this.#scope = undefined
    if (scope === undefined) return this.#start()
    this.process.run(Scope.close(scope, Exit.void), () => this.#start())
  }

  #published(event: EngineEvent): boolean {
    if (!this.process.isBuried) this.options.judge.published(this, event)
    return false
  }

  /** As layers are built, one after the other: composing them would take longer than most of a simulation. */
  #build(scope: Scope.Scope): Effect.Effect<EngineServices, PersistenceError> {
    const { isGone, judge, process, program, settings, world } = this.options
    const told = (tell: (execution: Execution) => void) => (execution: Execution) => {
      if (!process.isBuried) tell(execution)
    }
    const surroundings = Context.make(HostProcesses, { own: process.host, isGone }).pipe(
      Context.add(BrokenInvariant, (message) => world.violated(message))
    )
    const observer = {
      began: told((execution) => judge.began(this, execution)),
      ended: told((execution) => judge.ended(this, execution))
    }
    const services = programServices(program, { store: this.#store, settings, surroundings, ...observer })
    return Effect.gen(function* () {
      const engine = yield* Effect.provide(Layer.buildWithScope(Engine.layer, scope), services)
      const all = Context.merge(services, engine)
      const files = yield* Effect.provide(Layer.buildWithScope(WorkflowFiles.layer, scope), all)
      yield* Effect.provide(registerGenerated(observer, scope), all)
      return Context.merge(all, files)
    })
  }

  /** Its view of the store, which also knows what the engine knows of its lease. */
  get #store(): PersistenceService {
    const { service } = this.#view
    const { settings, world } = this.options
    return Persistence.of({
      ...service,
      renewEngine: (engine) =>
        Effect.suspend(() => {
          const ends = world.now + settings.leaseTtl
          return Effect.map(service.renewEngine(engine), () => {
            this.leaseEnds = ends
          })
        }),
      commit: (commit) => {
        this.#checkLease()
        return service.commit(commit)
      },
      createWith: (run, changes) => {
        this.#checkLease()
        return service.createWith(run, changes)
      }
    })
  }

  /** When a commit is asked for. */
  #checkLease(): void {
    const { world } = this.options
    if (this.process.isBuried || world.now < this.leaseEnds) return
    world.violated(`${this.name} asks for a commit after the end of its lease`)
  }
}
