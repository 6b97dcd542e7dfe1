/**
 * Limits and intervals of an engine. Times in ms. Everything that can grow has its limit here.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

export interface EngineSettings {
  /** How long other engines leave this engine's runs alone without hearing from it. */
  readonly leaseTtl: number
  readonly leaseRefresh: number
  /** How long an attempt that was interrupted may go on before it is abandoned. */
  readonly interruptGrace: number
  /** How long `always` may take after a cancellation. */
  readonly alwaysLimit: number
  /** A run that waits stays resident this long, for an answer that comes at once. */
  readonly linger: number
  /** Waiting runs beyond this number are let go without lingering. */
  readonly maxResident: number
  /** Claims after a lost owner, without progress between them, before the run is parked. */
  readonly maxRecoveries: number
  /** Runs that a watchdog has going at once. */
  readonly maxConcurrentRuns: number
  /** Runs claimed in one query. */
  readonly claimBatch: number
  /** Whether the engine looks for runs that nobody runs; off: only those it was given and their children. */
  readonly watchdog: boolean
  /** At most this long between two looks for such runs. */
  readonly watchdogInterval: number
  /** A heartbeat's details are written at most this often. */
  readonly heartbeatInterval: number
  /** Between two questions to a gate's resolver. */
  readonly resolverInterval: number
  /** Of calls and scripts that have none of their own. */
  readonly stepTimeout: number
  /** Workflows in a chain of calls, the root included. */
  readonly maxDepth: number
  readonly maxAttempts: number
  readonly maxIterations: number
  readonly maxFanOut: number
  /** Values that a run hides, those of its children included. */
  readonly maxSecrets: number
  /**
   * Rows of a run's journal, superseded ones included; a run that needs more is parked. Compensation and always are
   * not held up by it. A warning comes at four fifths.
   */
  readonly maxJournalRows: number
  /** Bytes of a step's structured output, as JSON. */
  readonly maxOutputBytes: number
  /** Events that a slow subscriber may lag behind before it misses some. */
  readonly eventCapacity: number
  /** Compare the store with live state after every commit (I6): for tests. */
  readonly checkInvariants: boolean
}

export const defaults: EngineSettings = {
  leaseTtl: 30_000,
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
  eventCapacity: 4_096,
  checkInvariants: false
}

export class EngineConfig extends Context.Reference<EngineConfig>()("millrace/EngineConfig", {
  defaultValue: () => defaults
}) {
  static readonly layerWith = (settings: Partial<EngineSettings>): Layer.Layer<never> =>
    Layer.succeed(EngineConfig, { ...defaults, ...settings })
}
