/**
 * Those who start runs, answer gates and cancel, from a process of their own; and who ask again when the store does not
 * answer.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Engine } from "../../engine/Engine.ts"
import { WorkflowFiles } from "../../engine/interpreter/WorkflowFiles.ts"
import { resume } from "../../engine/Resume.ts"
import type { Change } from "../../persistence/Journal.ts"
import { type Persistence, PersistenceError, type PersistenceService } from "../../persistence/Persistence.ts"
import {
  isEnded,
  isUserStep,
  type InboxMessage,
  type RunId,
  type StepRecord,
  stepKey
} from "../../persistence/Records.ts"
import type { ScriptedAnswer } from "../TestProgram.ts"
import { FaultyStore, type StoreWeather } from "./FaultyStore.ts"
import type { KnownRun } from "./Ledger.ts"
import type { Judge } from "./Judge.ts"
import { observed } from "./ObservedStore.ts"
import type { PlannedRun } from "./Scenario.ts"
import type { EngineServices, SimulatedEngine } from "./SimulatedEngine.ts"
import { SimulatedProcess } from "./SimulatedProcess.ts"
import type { Tally } from "./Tally.ts"
import { delayOfSignal, Generated, scriptOfPrompt } from "./GeneratedWorkflow.ts"
import type { World } from "./World.ts"

export interface PeopleOptions {
  readonly world: World
  readonly store: PersistenceService
  readonly weather: StoreWeather
  readonly tally: Tally
  readonly judge: Judge
  readonly runs: ReadonlyArray<PlannedRun>
  readonly turn: number
  /** An engine that is up, if there is one. */
  readonly anEngine: () => SimulatedEngine | undefined
}

/** ms before somebody asks again. */
const askAgain = 200
/** Ends of a run that are opened again, at most. */
const mostResumes = 2

export class People {
  readonly process: SimulatedProcess
  readonly #view: FaultyStore
  readonly #seen = new Set<string>()
  readonly #resumes = new Map<string, number>()
  #isWilful = true
  /** What they have begun or are about to do. */
  #busy = 0

  constructor(private readonly options: PeopleOptions) {
    const { judge, store, tally, turn, weather, world } = options
    const host = { host: "desk", boot: "desk", pid: 1, processStart: "1" }
    this.process = new SimulatedProcess(world, { name: "people", host, turn, skew: 0 })
    this.#view = new FaultyStore(
      observed(store, (write) => judge.wrote("people", "", write)),
      this.process,
      world,
      weather,
      tally
    )
  }

  /** Whether they are about to do something by themselves. */
  get isBusy(): boolean {
    return this.#busy > 0
  }

  /** From now on they only do what the programs say. */
  calmDown(): void {
    this.#isWilful = false
  }

  // ---- starting

  /** Starts a run, in whichever engine is up, until it is there. */
  start(planned: PlannedRun): void {
    const { anEngine, judge, world } = this.options
    if (judge.ledger.findRoot(planned.key) !== undefined || this.process.isBuried) return
    const engine = anEngine()
    const services = engine?.services
    if (engine !== undefined && services !== undefined) this.#startIn(engine, services, planned)
    // Whoever was asked may have died, or failed.
    world.after(askAgain * 5, () => this.start(planned), this.process)
  }

  #startIn(engine: SimulatedEngine, services: EngineServices, planned: PlannedRun): void {
    const started = Effect.provide(startOf(planned), services)
    engine.process.run(started, (exit) => this.#note(engine.name, `starts ${planned.key}`, exit))
  }

  // ---- what runs wait for

  /** Looks at what the store has taken. */
  changed(known: KnownRun, changes: ReadonlyArray<Change>): void {
    const planned = this.#planOf(known)
    if (planned === undefined) return
    for (const change of changes) {
      if (change._tag === "Step" && change.step.status === "waiting") this.#waits(known, planned, change.step)
      if (change._tag === "Run" && change.patch.status !== undefined) this.#became(known, planned, change.patch.status)
    }
  }

  #planOf(known: KnownRun): PlannedRun | undefined {
    const root = this.options.judge.ledger.get(known.journal.run.root)?.journal.run.idempotencyKey
    return this.options.runs.find((planned) => planned.key === root)
  }

  #waits(known: KnownRun, planned: PlannedRun, step: StepRecord): void {
    const key = `${known.journal.run.id} ${stepKey(step)}`
    if (step.superseded || this.#seen.has(key)) return
    this.#seen.add(key)
    const isFree = !planned.isScripted && this.#isWilful
    if (step.kind === "gate") this.#meetGate(known, planned, step, isFree)
    if (step.kind === "signal") this.#meetSignal(known, step, isFree)
  }

  #meetSignal(known: KnownRun, { name }: StepRecord, isFree: boolean): void {
    const { tally, world } = this.options
    const delay = delayOfSignal(name)
    if (delay === undefined) return
    if (isFree && world.random.chance(0.2)) return tally.add("signal never sent")
    this.#later(delay, () => {
      tally.add("signal sent")
      this.#send(known.journal.run.id, { _tag: "Signal", name, value: "go" })
    })
  }

  #meetGate(known: KnownRun, planned: PlannedRun, step: StepRecord, isFree: boolean): void {
    const { world } = this.options
    const script = scriptOf(planned, step.gate?.prompt ?? "")
    const draw = isFree ? world.random.next() : 1
    if (draw < 0.2) return this.options.tally.add("gate left unanswered")
    const scripted = script ?? { approved: world.random.chance(0.5), after: world.random.between(1, 6_000) }
    if (script === undefined && !isFree) return
    const approved = draw < 0.4 ? !scripted.approved : scripted.approved
    this.#answer(known, step, { ...scripted, approved })
    if (draw > 0.6 || !isFree) return
    this.options.tally.add("gate answered twice")
    this.#answer(known, step, { ...scripted, approved: !approved })
  }

  #answer(known: KnownRun, step: StepRecord, script: ScriptedAnswer): void {
    const { approved, feedback = null, selections = [] } = script
    this.#later(script.after, () => {
      this.options.tally.add(approved ? "gate approved" : "gate rejected")
      const at = this.process.wall
      const answer = { approved, feedback, selections, by: "people", at }
      this.#send(known.journal.run.id, { _tag: "Answer", path: step.path, answer })
    })
  }

  #became(known: KnownRun, planned: PlannedRun, status: string): void {
    if (planned.isScripted || !this.#isWilful) return
    const { random } = this.options.world
    if (status === "running" && known.journal.run.epoch === 1) this.#mayCancel(known)
    if (known.journal.run.parent !== null || !isEnded(known.journal.run.status)) return
    const resumes = this.#resumes.get(planned.key) ?? 0
    if (resumes >= mostResumes || !random.chance(0.5)) return
    this.#resumes.set(planned.key, resumes + 1)
    this.#later(random.between(0, 2_000), () => this.#resume(known))
  }

  /** Somebody who sees a run begin may want it to end, at once or later. */
  #mayCancel(known: KnownRun): void {
    const { tally, world } = this.options
    const isRoot = known.journal.run.parent === null
    if (!world.random.chance(isRoot ? 0.3 : 0.05)) return
    const delay = world.random.chance(0.5) ? world.random.between(0, 60) : world.random.between(0, 3_000)
    this.#later(delay, () => {
      tally.add(isRoot ? "run cancelled" : "child run cancelled")
      this.cancel(known.journal.run.id)
    })
  }

  #later(delay: number, act: () => void): void {
    this.#busy += 1
    this.options.world.after(delay, () => {
      this.#busy -= 1
      act()
    })
  }

  cancel(run: RunId): void {
    this.#send(run, { _tag: "Cancel", reason: "user", text: "enough" })
  }

  #send(run: RunId, message: InboxMessage): void {
    const sent = Effect.suspend(() => this.#view.service.send(run, message, this.process.wall))
    this.#busy += 1
    this.process.run(this.#patiently(sent), (exit) => {
      this.#busy -= 1
      this.#note("people", `sent ${message._tag}`, exit)
    })
  }

  /** Asks again as long as the store fails. */
  #patiently<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.catchAll(effect, (error) =>
      error instanceof PersistenceError && !this.process.isBuried
        ? Effect.zipRight(Effect.sleep(askAgain), this.#patiently(effect))
        : Effect.fail(error)
    )
  }

  // ---- runs that ended

  #resume(known: KnownRun): void {
    const { anEngine, tally, world } = this.options
    const { run } = known.journal
    const engine = anEngine()
    const services = engine?.services
    if (engine === undefined || services === undefined || !isEnded(run.status)) return
    const steps = [...known.live.values()].filter((step) => isUserStep(step.kind) && !step.path.startsWith("/@"))
    const step = steps[world.random.between(0, Math.max(0, steps.length - 1))]
    const isPlain = run.status === "failed" && world.random.chance(0.7)
    tally.add(isPlain ? "run resumed" : "run restarted")
    const mode =
      step === undefined || world.random.chance(0.3)
        ? ({ _tag: "Restart" } as const)
        : ({ _tag: "From", step: step.path } as const)
    const resumed = Effect.provide(resume(run.id, isPlain ? undefined : mode), services)
    engine.process.run(resumed, (exit) => this.#note(engine.name, `resumes ${known.name}`, exit))
  }

  #note(who: string, what: string, exit: Exit.Exit<unknown, unknown>): void {
    if (this.process.isBuried) return
    const failure = Exit.isSuccess(exit) ? Option.none() : Cause.failureOption(exit.cause)
    const answer = Exit.isSuccess(exit) ? "" : `: ${String(Option.getOrElse(failure, () => exit.cause))}`
    this.options.world.note(who, what + answer)
    const isDefect = !Exit.isSuccess(exit) && Cause.isDie(exit.cause)
    if (isDefect) this.options.world.violated(`${who} ${what}, and met a defect: ${Cause.pretty(exit.cause)}`)
  }
}

const startOf = ({ key, work }: PlannedRun): Effect.Effect<RunId, unknown, Engine | Persistence | WorkflowFiles> =>
  work._tag === "Typed"
    ? Generated.start({ key, seed: work.seed, depth: 0 })
    : Effect.flatMap(WorkflowFiles, (files) =>
        files.start(work.program.definition, { ...work.program.options, idempotencyKey: key })
      )

const scriptOf = ({ work }: PlannedRun, prompt: string): ScriptedAnswer | undefined =>
  work._tag === "Typed" ? scriptOfPrompt(prompt) : work.program.answers[prompt]
