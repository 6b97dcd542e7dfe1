/**
 * What a workload is, and what measuring it gives.
 */

/** One execution. */
export interface Sample {
  /** ms, of what is measured: without setting up. */
  readonly took: number
  /** CPU time of this process meanwhile, ms. */
  readonly cpu?: number
  /** Committed, or rolled back. */
  readonly commits?: number
  readonly statements?: number
  /** The event loop's delay at p99, ms. */
  readonly delay?: number
}

/** What a target is about. */
export type Target =
  /** Speed of the workload in parts of its yardstick's: the yardstick's time by the workload's. */
  | { readonly _tag: "AtLeast"; readonly ratio: number }
  /** Time of the workload in parts of its yardstick's. */
  | { readonly _tag: "TimeAtMost"; readonly ratio: number }
  /** The workload's own figure, in its unit. */
  | { readonly _tag: "AtMost"; readonly value: number; readonly unit: string }

export interface Workload {
  readonly name: string
  /** Steps, runs or items: what its speed counts, and how many of them. */
  readonly unit: string
  readonly count: number
  readonly target: Target | undefined
  /** What it writes, exactly: the same in every run of it, on every machine. */
  readonly writes?: { readonly commits: number; readonly statements?: number }
  readonly run: () => Promise<Sample>
  /** What it is held against, and the same amount of work done so. */
  readonly yardstick?: { readonly name: string; readonly run: () => Promise<Sample> }
  /** Fewer where it takes long or is steady. */
  readonly rounds?: number
}

/** How large the workloads are, in parts of their full size: for a smoke test. */
export type Scale = (full: number) => number

export interface Measured {
  readonly samples: ReadonlyArray<Sample>
  readonly yardsticks: ReadonlyArray<Sample>
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** What runs for so long has been compiled as it will be; ms. */
const warmFor = 6_000

const warmUp = async (run: () => Promise<Sample>): Promise<void> => {
  const until = performance.now() + warmFor
  do await run()
  while (performance.now() < until)
}

/** Warmed up, workload and yardstick in turn, so that what else the machine does falls on both. */
export const measure = async (workload: Workload, rounds: number): Promise<Measured> => {
  const samples: Array<Sample> = []
  const yardsticks: Array<Sample> = []
  await warmUp(workload.run)
  if (workload.yardstick !== undefined) await warmUp(workload.yardstick.run)
  for (let round = 0; round < rounds; round++) {
    samples.push(await workload.run())
    if (workload.yardstick !== undefined) yardsticks.push(await workload.yardstick.run())
  }
  return { samples, yardsticks }
}

/** Times what `use` does, in wall and CPU time. */
export const timed = async (use: () => Promise<unknown>): Promise<Sample> => {
  const cpu = process.cpuUsage()
  const started = performance.now()
  await use()
  const took = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  return { took, cpu: (user + system) / 1_000 }
}
