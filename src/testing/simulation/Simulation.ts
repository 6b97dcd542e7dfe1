/**
 * A seed played through: engines on one store, runs, people, and what befalls them; then peace, in which every run has
 * to end or to wait for a stated reason; then the end of what still waits, and of the engines.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Host } from "../../engine/Host.ts"
import * as MemoryPersistence from "../../persistence/MemoryPersistence.ts"
import { Persistence } from "../../persistence/Persistence.ts"
import { type BlockedOn, isEnded, isTerminal, type StepRecord } from "../../persistence/Records.ts"
import { readTree, recordDifference, type RunTree } from "../RecordComparison.ts"
import type { KnownProgram, TestProgram } from "../TestProgram.ts"
import { noFaults, type StoreWeather } from "./FaultyStore.ts"
import { Judge } from "./Judge.ts"
import type { KnownRun } from "./Ledger.ts"
import { Mischief } from "./Mischief.ts"
import { People } from "./People.ts"
import { type PlannedRun, type Scenario, scenarioOf, undisturbed } from "./Scenario.ts"
import { SimulatedEngine } from "./SimulatedEngine.ts"
import { SimulatedProcess } from "./SimulatedProcess.ts"
import { Tally } from "./Tally.ts"
import { World } from "./World.ts"

export interface SimulationReport {
  readonly seed: number
  readonly tally: Tally
  /** What happened, one line each: the same for the same seed. */
  readonly log: ReadonlyArray<string>
  /** What was wrong first; undefined if nothing was. */
  readonly failure: string | undefined
  /** Virtual ms. */
  readonly time: number
  /** Turns of fibers and timers. */
  readonly steps: number
}

/** Plays one seed. */
export const simulate = (seed: number): SimulationReport => new Simulation(scenarioOf(seed)).play()

/** The records of a run that nothing befalls. */
const recordsOf = (run: PlannedRun): RunTree => {
  const simulation = new Simulation(undisturbed(run))
  const { failure, log } = simulation.play()
  const tree = simulation.trees[0]
  if (failure !== undefined || tree === undefined) {
    throw new Error(`${run.key} does not end undisturbed: ${failure ?? "no run"}\n${log.join("\n")}`)
  }
  return tree
}

/** What waits for a time that is nearer than this, ms, does not rest: programs wait for seconds, or for people. */
const soon = 3_600_000
/** Virtual ms after the last mischief within which every run ends or waits. */
const longestRest = 900_000
/** Turns of a simulation, at most. */
const mostSteps = 400_000
/** Turns between two looks at whether all is at rest. */
const lookEvery = 40

export class Simulation {
  readonly #world: World
  readonly #tally = new Tally()
  readonly #weather: StoreWeather
  readonly #store: MemoryPersistence.MemoryPersistence
  readonly #judge: Judge
  readonly #people: People
  readonly #engines: Array<SimulatedEngine> = []
  readonly #program: KnownProgram
  readonly #trees: Array<RunTree> = []

  constructor(private readonly scenario: Scenario) {
    const world = new World(scenario.seed, scenario.isInOrder)
    this.#world = world
    this.#weather = { faults: scenario.faults, trouble: undefined }
    this.#store = Effect.runSync(MemoryPersistence.make())
    const programs = scenario.runs.flatMap(({ work }) => (work._tag === "Definition" ? [work.program] : []))
    this.#program = together(programs)
    const definitions = programs.flatMap((program) => [program.definition, ...program.workflows])
    const alwaysIn = new Set(definitions.filter(({ always }) => always.length > 0).map(({ name }) => name))
    this.#judge = new Judge({
      world,
      tally: this.#tally,
      hasAlways: ({ journal }) => alwaysIn.has(journal.run.workflow),
      changed: (run, changes) => this.#people.changed(run, changes)
    })
    this.#people = new People({
      world,
      store: this.#store.service,
      weather: this.#weather,
      tally: this.#tally,
      judge: this.#judge,
      runs: scenario.runs,
      turn: scenario.turn,
      anEngine: () => this.#pick((engine) => engine.isUp)
    })
  }

  /** Of the runs as they came to rest. */
  get trees(): ReadonlyArray<RunTree> {
    return this.#trees
  }

  play(): SimulationReport {
    const roots = Fiber.unsafeRoots().length
    for (let n = 0; n < this.scenario.engines; n++) this.#addEngine()
    for (const run of this.scenario.runs) {
      this.#world.after(this.#world.random.between(0, 300), () => this.#people.start(run))
    }
    this.#disturb()
    this.#rest()
    this.#bury()
    const left = Fiber.unsafeRoots().length - roots
    if (left > 0) this.#world.violated(`${left} fibers are left behind`)
    this.#world.note("the end:", String(this.#world.random.next()))
    const { log, now, steps, violations } = this.#world
    return { seed: this.scenario.seed, tally: this.#tally, log, failure: violations[0], time: now, steps }
  }

  #addEngine(): void {
    const { random } = this.#world
    const number = this.#engines.length + 1
    const host: Host = {
      host: random.chance(0.8) ? "one" : "two",
      boot: "boot",
      pid: 100 + number,
      processStart: String(this.#world.now)
    }
    const skew = this.scenario.skew === 0 ? 0 : random.between(-this.scenario.skew, this.scenario.skew)
    const { turn, settings } = this.scenario
    const process = new SimulatedProcess(this.#world, { name: `engine ${number}`, host, turn, skew })
    this.#engines.push(
      new SimulatedEngine({
        world: this.#world,
        process,
        store: this.#store.service,
        weather: this.#weather,
        tally: this.#tally,
        judge: this.#judge,
        program: this.#program,
        settings,
        isGone: (engine) => this.#isGone(process.host, engine)
      })
    )
  }

  /** As a process on this host would tell. */
  #isGone(here: Host, host: Host): boolean {
    if (host.host !== here.host) return false
    const found = this.#engines.find(({ process }) => process.host.pid === host.pid)
    return found === undefined || !found.process.isAlive
  }

  #pick(fits: (engine: SimulatedEngine) => boolean): SimulatedEngine | undefined {
    const fitting = this.#engines.filter(fits)
    return fitting[this.#world.random.between(0, Math.max(0, fitting.length - 1))]
  }

  // ---- the phases

  #disturb(): void {
    const { mischiefs, pace } = this.scenario
    const mischief = new Mischief({
      world: this.#world,
      tally: this.#tally,
      weather: this.#weather,
      leaseTtl: this.scenario.settings.leaseTtl,
      most: 3,
      living: () => this.#engines.filter((engine) => engine.isLiving),
      add: () => this.#addEngine()
    })
    for (let n = 0; n < mischiefs && !this.#isOver; n++) {
      const until = this.#world.steps + this.#world.random.between(1, pace)
      while (this.#world.steps < until && !this.#isOver && this.#world.step());
      mischief.happens()
    }
    this.#world.note("peace:", "nothing befalls anybody any more")
    mischief.end()
    this.#people.calmDown()
    this.#weather.faults = noFaults
    if (!this.#engines.some((engine) => engine.isLiving)) this.#addEngine()
  }

  get #isOver(): boolean {
    return this.#world.violations.length > 0
  }

  /** Goes on until all runs have come to rest; ends those that wait then, and waits for their end. */
  #rest(): void {
    if (!this.#goOnUntil(() => this.#areAll((known) => this.#isAtRest(known)), "end, or wait for a reason")) return
    for (const planned of this.scenario.runs) this.#compare(planned)
    for (const { journal } of this.#judge.ledger.runs.values()) {
      if (journal.run.parent === null && !isEnded(journal.run.status)) this.#people.cancel(journal.run.id)
    }
    this.#goOnUntil(() => this.#areAll(({ journal }) => isEnded(journal.run.status)), "end when they are cancelled")
  }

  /** Whether it came to that. */
  #goOnUntil(isSo: () => boolean, what: string): boolean {
    const limit = this.#world.now + longestRest
    for (let n = 1; !this.#isOver; n++) {
      if (n % lookEvery === 0 && isSo()) return true
      const isTooLong = this.#world.now > limit || this.#world.steps > mostSteps
      if (this.#world.step() && !isTooLong) continue
      if (isSo()) return true
      this.#world.violated(`not all runs ${what}: ${this.#open}`)
    }
    return false
  }

  #areAll(fits: (run: KnownRun) => boolean): boolean {
    const { ledger } = this.#judge
    if (this.#people.isBusy) return false
    if (this.scenario.runs.some(({ key }) => ledger.findRoot(key) === undefined)) return false
    return [...ledger.runs.values()].every(fits)
  }

  get #open(): string {
    const open = [...this.#judge.ledger.runs.values()].filter((known) => !this.#isAtRest(known))
    const texts = open.map(({ journal: { run }, name }) => {
      const owner = this.#engines.find(({ id }) => id === this.#judge.ownerOf(run.id))
      return `${name} is ${run.status}, ${owner === undefined ? "nobody's" : `of ${owner.name}, ${owner.holds(run.id)}`}`
    })
    return texts.length === 0 ? "one has not started" : texts.join("; ")
  }

  /**
   * Ended, or waiting for what it says that it waits for, which does not come by itself. A fan-out with items left to
   * dispatch is at work as long as its children wait (spec/engine.md, "gate"); all else is let go.
   */
  #isAtRest({ journal, live }: KnownRun): boolean {
    const { run } = journal
    if (isEnded(run.status)) return true
    if (run.blockedOn.length === 0 || !run.blockedOn.every((on) => this.#isOpen(on))) return false
    if (run.status === "running") return [...live.values()].some((row) => hasItemsLeft(row))
    if (run.status !== "waiting" || this.#judge.ownerOf(run.id) !== undefined) return false
    const { readyAt } = Effect.runSync(this.#store.service.get(run.id))
    return readyAt === null || readyAt > this.#world.wall + soon
  }

  #isOpen(on: BlockedOn): boolean {
    const known: KnownRun | undefined = this.#judge.ledger.get(on.run)
    const row = known?.live.get(on.path)
    return row !== undefined && !isTerminal(row.status) && (on.until === null || on.until > this.#world.wall + soon)
  }

  /** The records of a run, however it fared, are those of one that nothing befell. */
  #compare(planned: PlannedRun): void {
    const root = this.#judge.ledger.findRoot(planned.key)?.journal.run.id
    if (root === undefined) return
    const actual = Effect.runSync(Effect.provideService(readTree(root), Persistence, this.#store.service))
    this.#trees.push(actual)
    if (!planned.isScripted || this.scenario.mischiefs === 0) return
    this.#tally.add("records compared with an undisturbed run")
    const difference = recordDifference(comparable(planned, recordsOf(planned)), comparable(planned, actual))
    if (difference !== undefined) this.#world.violated(`${planned.key} differs from an undisturbed run: ${difference}`)
  }

  /** All processes end; whatever they hold then is held for ever. */
  #bury(): void {
    for (const engine of this.#engines) engine.bury()
    this.#people.process.bury()
    for (let n = 0; n < mostSteps && this.#world.step(); n++);
  }
}

const hasItemsLeft = ({ fanOut, status }: StepRecord): boolean =>
  status === "running" &&
  fanOut !== null &&
  fanOut.total > fanOut.completed + fanOut.failed + fanOut.skipped + fanOut.running

/** Branches of a typed workflow make their rows as they come to them: which one is first is a matter of time. */
const comparable = ({ work }: PlannedRun, tree: RunTree): RunTree => {
  if (work._tag !== "Typed") return tree
  const runs = tree.runs.map(({ items, run, steps }) => ({
    // Which lists the steps in the order of their rows.
    run: { ...run, summary: run.summary === null ? null : run.summary.split("\n").sort().join("\n") },
    steps: steps.map((step) => ({ ...step, position: 0 })),
    items
  }))
  return { ...tree, runs }
}

/** What an engine has to know of programs whose names differ. */
const together = (programs: ReadonlyArray<TestProgram>): KnownProgram => ({
  workflows: programs.flatMap((program) => program.workflows),
  actions: Object.fromEntries(programs.flatMap((program) => Object.entries(program.actions)))
})
