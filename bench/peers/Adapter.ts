/**
 * What an engine has to do to be measured beside the others: the same work for all of them.
 */

/** What a commit survives: SQLite's `synchronous` on the connection that writes. */
export type Synchronous = "FULL" | "NORMAL"

/** So many runs, so many of them at once, each of the same steps. */
export interface Work {
  readonly runs: number
  readonly atOnce: number
  /** Of each run. */
  readonly steps: number
  /** One after another, or all at once. */
  readonly shape: "sequence" | "block"
  /** What each step waits, ms; 0: it ends at once. */
  readonly wait: number
}

export interface OpenOptions {
  /** Of a database that is not there yet. */
  readonly file: string
  readonly synchronous: Synchronous
}

/** An engine at work on a database. */
export interface Opened {
  /** Makes ready what the work needs, and gives what is timed: it ends when the runs have, and fails if one does. */
  readonly prepare: (work: Work) => Promise<() => Promise<void>>
  /**
   * What `PRAGMA synchronous` says on each of its connections: 1 is NORMAL, 2 FULL. An engine that has it as a setting
   * of its own need not say.
   */
  readonly synchronous?: () => Promise<ReadonlyArray<number>>
  readonly close: () => Promise<void>
}

export interface Adapter {
  readonly open: (options: OpenOptions) => Promise<Opened>
  /** Queries of its database that count what has ended well, as `count`. */
  readonly recorded: { readonly runs: string; readonly steps: string }
}
