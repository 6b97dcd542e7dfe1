/** What a process of the command line ends with; docs/cli.md has the table. */
export const ExitCode = {
  /** Completed, valid, or done as asked. */
  done: 0,
  /** The run failed; or the database, a file or the ownership of a run stood in the way. */
  failed: 1,
  /** Wrong usage, or an invalid workflow. */
  usage: 2,
  /** The run waits for an answer. */
  waiting: 3,
  needsResume: 4,
  cancelled: 130,
  /** By SIGTERM; the run can be resumed. */
  shutDown: 143
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]
