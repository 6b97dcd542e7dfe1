/**
 * What a seed stands for: how many engines there are, what they run, what people do, and what befalls them.
 */
import { defaults, type EngineSettings } from "../../engine/EngineConfig.ts"
import { generateProgram } from "../ProgramGenerator.ts"
import { Seeded } from "../Seeded.ts"
import type { TestProgram } from "../TestProgram.ts"
import { noFaults, type StoreFaults } from "./FaultyStore.ts"

/** What a run does: a generated definition, or the typed workflow of a seed (`GeneratedWorkflow`). */
export type Work =
  | { readonly _tag: "Definition"; readonly program: TestProgram }
  | { readonly _tag: "Typed"; readonly seed: number }

/** A run that somebody starts. */
export interface PlannedRun {
  /** Its idempotency key. */
  readonly key: string
  readonly work: Work
  /**
   * People do what the program says, and nothing else: whatever befalls the engines, its records are then those of a
   * run that nothing befell. Of others only the rules hold.
   */
  readonly isScripted: boolean
}

export interface Scenario {
  readonly seed: number
  readonly engines: number
  readonly runs: ReadonlyArray<PlannedRun>
  readonly settings: EngineSettings
  /** Node's order of fibers and timers, or any. */
  readonly isInOrder: boolean
  /** Operations of a fiber before it gives way. */
  readonly turn: number
  readonly faults: StoreFaults
  /** Things that befall engines, the store and clocks. */
  readonly mischiefs: number
  /** Steps of the world between two of them, at most. */
  readonly pace: number
  /** How far apart the wall clocks of processes may be, ms. */
  readonly skew: number
}

export const scenarioOf = (seed: number): Scenario => {
  const random = new Seeded(seed)
  const isInOrder = random.chance(0.5)
  const runs = Array.from({ length: random.between(1, 2) }, (_, index): PlannedRun => {
    const key = `run-${index + 1}`
    // In any order, timers may come before what they are to follow: then outcomes depend on it.
    const isScripted = isInOrder && random.chance(0.7)
    return { key, work: workOf(random, `${"xyz"[index] ?? ""}_`, isScripted), isScripted }
  })
  const isRough = random.chance(0.6)
  return {
    seed,
    engines: random.between(2, 3),
    runs,
    settings: settingsOf(random),
    isInOrder,
    turn: random.pick([2_048, 2_048, 200, 30]),
    faults: isRough ? faultsOf(random) : noFaults,
    mischiefs: random.between(2, 10),
    pace: random.pick([30, 150, 600]),
    skew: random.chance(0.2) ? 3_000 : 0
  }
}

/** `prefix`: of the names in it. */
const workOf = (random: Seeded, prefix: string, isScripted: boolean): Work => {
  const seed = random.between(1, 1_000_000)
  if (random.chance(0.35)) return { _tag: "Typed", seed }
  const program = generateProgram(seed, { prefix })
  if (isScripted || !random.chance(0.2)) return { _tag: "Definition", program }
  const settings = { ...program.options.settings, runTimeout: random.between(50, 3_000) }
  return { _tag: "Definition", program: { ...program, options: { ...program.options, settings } } }
}

/** One engine and one run, which nothing befalls. */
export const undisturbed = (run: PlannedRun): Scenario => ({
  seed: 0,
  engines: 1,
  runs: [{ ...run, isScripted: true }],
  settings: { ...defaults, linger: 20, checkInvariants: true },
  isInOrder: true,
  turn: 2_048,
  faults: noFaults,
  mischiefs: 0,
  pace: 1,
  skew: 0
})

const settingsOf = (random: Seeded): EngineSettings => {
  const leaseTtl = random.pick([1_500, 6_000, 30_000])
  return {
    ...defaults,
    leaseTtl,
    leaseRefresh: leaseTtl / 3,
    watchdogInterval: random.pick([300, 1_000, 5_000]),
    linger: random.pick([0, 20, 1_000]),
    maxResident: random.pick([1, 1_000]),
    maxConcurrentRuns: random.pick([2, 100]),
    claimBatch: random.pick([1, 50]),
    interruptGrace: 500,
    alwaysLimit: 60_000,
    maxRecoveries: 1_000,
    checkInvariants: true
  }
}

const faultsOf = (random: Seeded): StoreFaults => {
  const some = () => (random.chance(0.5) ? random.next() * 0.08 : 0)
  return {
    slow: random.chance(0.6) ? random.next() * 0.4 : 0,
    longest: random.pick([20, 300, 4_000]),
    refused: some(),
    unanswered: some(),
    readRefused: some(),
    hintMissed: random.chance(0.5) ? random.next() : 0
  }
}
