/**
 * The settings of an engine: its limits and intervals (`action/EngineOptions`), and what a host decides. Everything
 * that can grow has its limit here.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { defaultLeaseTtl, type EngineOptions, engineOptions } from "../action/EngineOptions.ts"

export interface EngineSettings extends Required<EngineOptions> {
  /** Whether the engine looks for runs that nobody runs; off: only those it was given and their children. */
  readonly watchdog: boolean
  /** Compare the store with live state after every commit (I6): for tests. */
  readonly checkInvariants: boolean
}

export const defaults: EngineSettings = {
  leaseTtl: defaultLeaseTtl,
  leaseRefresh: 10_000,
  interruptGrace: 5_000,
  alwaysLimit: 600_000,
  linger: 1_000,
  maxResident: 1_000,
  maxRecoveries: 10,
  maxConcurrentRuns: 100,
  claimBatch: 50,
  watchdog: true,
  watchdogInterval: 5_000,
  heartbeatInterval: 5_000,
  resolverInterval: 5_000,
  stepTimeout: 12 * 3_600_000,
  maxDepth: 5,
  maxAttempts: 1_000,
  maxIterations: 100_000,
  maxFanOut: 100_000,
  maxSecrets: 1_000,
  maxJournalRows: 200_000,
  maxOutputBytes: 16 * 1024 * 1024,
  maxContextBytes: 4 * 1024 * 1024,
  eventCapacity: 4_096,
  maxSubscribers: 1_000,
  checkInvariants: false
}

export class EngineConfig extends Context.Reference<EngineConfig>()("millrace/EngineConfig", {
  defaultValue: () => defaults
}) {
  /** Throws a `RangeError` where a setting is none, or cannot be. */
  static readonly layerWith = (settings: Partial<EngineSettings>): Layer.Layer<never> =>
    Layer.succeed(EngineConfig, settingsOf(settings))
}

/** What is wrong with a setting; undefined: nothing. */
const problemOf = (name: string, value: unknown): string | undefined => {
  const usual: unknown = Object.hasOwn(defaults, name) ? defaults[name as keyof EngineSettings] : undefined
  if (usual === undefined) return "there is no such setting"
  if (typeof usual === "boolean") return typeof value === "boolean" ? undefined : "it is true or false"
  // A time may be none; what is counted, or comes again and again, may not.
  const least = name === "stepTimeout" ? 0 : Math.min(1, engineOptions[name as keyof EngineOptions])
  return typeof value === "number" && value >= least ? undefined : `it has to be a number of at least ${least}`
}

/** A lease that is short is renewed often enough, also where only its length is given. */
const settingsOf = (settings: Partial<EngineSettings>): EngineSettings => {
  for (const [name, value] of Object.entries(settings)) {
    const problem = value === undefined ? undefined : problemOf(name, value)
    if (problem !== undefined) throw new RangeError(`EngineConfig: \`${name}: ${String(value)}\`: ${problem}`)
  }
  const leaseTtl = settings.leaseTtl ?? defaults.leaseTtl
  return { ...defaults, leaseRefresh: Math.min(defaults.leaseRefresh, leaseTtl / 3), ...settings }
}
