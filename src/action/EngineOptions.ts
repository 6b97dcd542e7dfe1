/**
 * The limits and intervals of the engine that a project's configuration may set. Times in ms. What they are where it
 * does not: `engine/EngineConfig`.
 */

export interface EngineOptions {
  /** How long other engines leave this engine's runs alone without hearing from it. */
  readonly leaseTtl?: number
  /** How often it is heard from; absent: a third of `leaseTtl`, at most 10 s. */
  readonly leaseRefresh?: number
  /** How long an attempt that was interrupted may go on before it is abandoned. */
  readonly interruptGrace?: number
  /** How long `always` may take after a cancellation. */
  readonly alwaysLimit?: number
  /** A run that waits stays resident this long, for an answer that comes at once. */
  readonly linger?: number
  /** Waiting runs beyond this number are let go without lingering. */
  readonly maxResident?: number
  /** Claims after a lost owner, without progress between them, before the run is parked. */
  readonly maxRecoveries?: number
  /** Runs that a watchdog has going at once, each with all below it. */
  readonly maxConcurrentRuns?: number
  /** Runs claimed in one query. */
  readonly claimBatch?: number
  /** At most this long between two looks for runs that nobody runs. */
  readonly watchdogInterval?: number
  /** A heartbeat's details are written at most this often. */
  readonly heartbeatInterval?: number
  /** Between two questions to a gate's resolver. */
  readonly resolverInterval?: number
  /** Of calls and scripts that have none of their own. */
  readonly stepTimeout?: number
  /** Workflows in a chain of calls, the root included. */
  readonly maxDepth?: number
  readonly maxAttempts?: number
  readonly maxIterations?: number
  readonly maxFanOut?: number
  /** Values that a run hides, those of its children included. */
  readonly maxSecrets?: number
  /**
   * Rows of a run's journal, superseded ones included; a run that needs more is parked. Compensation and always are
   * not held up by it. A warning comes at four fifths.
   */
  readonly maxJournalRows?: number
  /** Bytes of a step's structured output, as JSON. */
  readonly maxOutputBytes?: number
  /** Bytes of `prior_contexts`; the oldest contexts are left out, and it says so. */
  readonly maxContextBytes?: number
  /** Events that a slow subscriber may lag behind before it misses some. */
  readonly eventCapacity?: number
  /** Subscribers to the engine's events at one time. */
  readonly maxSubscribers?: number
}

export const defaultLeaseTtl = 30_000

/** All of them; the least that each may be. */
export const engineOptions: Readonly<Record<keyof EngineOptions, number>> = {
  leaseTtl: 1_000,
  leaseRefresh: 100,
  interruptGrace: 0,
  alwaysLimit: 0,
  linger: 0,
  maxResident: 0,
  maxRecoveries: 0,
  maxConcurrentRuns: 1,
  claimBatch: 1,
  watchdogInterval: 10,
  heartbeatInterval: 0,
  resolverInterval: 10,
  stepTimeout: 1,
  maxDepth: 1,
  maxAttempts: 1,
  maxIterations: 1,
  maxFanOut: 1,
  maxSecrets: 0,
  maxJournalRows: 1,
  maxOutputBytes: 1,
  maxContextBytes: 1,
  eventCapacity: 1,
  maxSubscribers: 1
}
