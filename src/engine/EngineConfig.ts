/**
 * The settings of an engine: its limits and intervals (`action/EngineOptions`), and what a host decides. Everything
 * that can grow has its limit here.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import { defaultLeaseTtl, type EngineOptions } from "../action/EngineOptions.ts"

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
  static readonly layerWith = (settings: Partial<EngineSettings>): Layer.Layer<never> =>
    Layer.succeed(EngineConfig, settingsOf(settings))
}

/** A lease that is short is renewed often enough, also where only its length is given. */
const settingsOf = (settings: Partial<EngineSettings>): EngineSettings => {
  const leaseTtl = settings.leaseTtl ?? defaults.leaseTtl
  return { ...defaults, leaseRefresh: Math.min(defaults.leaseRefresh, leaseTtl / 3), ...settings }
}
