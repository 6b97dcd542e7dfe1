/**
 * What came of simulations, in words.
 */
import { type SimulationReport, simulate } from "./Simulation.ts"
import { Tally } from "./Tally.ts"

/** Events shown of a simulation that failed. */
const lastEvents = 40

/** The seed, what was wrong, what happened before, and how to see it again; undefined if nothing was wrong. */
export const describeFailure = ({ failure, log, seed }: SimulationReport): string | undefined => {
  if (failure === undefined) return undefined
  const found = log.findIndex((line) => line.includes(" violation: "))
  const before = log.slice(Math.max(0, found - lastEvents), found)
  const again = `npm run simulate -- --seed ${seed}`
  return [`seed ${seed}: ${failure}`, "", ...before, "", `once more, with all events: ${again}`].join("\n")
}

/** What many simulations came to. */
export interface Summary {
  readonly seeds: number
  readonly tally: Tally
  /** Lines of their logs. */
  readonly events: number
  /** Virtual ms. */
  readonly time: number
  readonly failures: ReadonlyArray<SimulationReport>
}

export const emptySummary: Summary = { seeds: 0, tally: new Tally(), events: 0, time: 0, failures: [] }

/** Plays seeds one after the other, and adds what they came to. */
export const simulateAll = (seeds: Iterable<number>, before: Summary = emptySummary): Summary => {
  const tally = new Tally()
  tally.addAll(before.tally)
  let summary: Summary = { ...before, tally }
  for (const seed of seeds) {
    const report = simulate(seed)
    tally.addAll(report.tally)
    summary = {
      ...summary,
      seeds: summary.seeds + 1,
      events: summary.events + report.log.length,
      time: summary.time + report.time,
      failures: report.failure === undefined ? summary.failures : [...summary.failures, report]
    }
  }
  return summary
}
