/**
 * Plays seeds of the simulation (`src/testing/simulation`).
 *
 *     npm run simulate -- --seeds 10000            so many, from 1 on
 *     npm run simulate -- --seeds 500 --seed 2000  so many, from this one on
 *     npm run simulate -- --seed 17                this one alone, with all that happens
 */
import { parseArgs } from "node:util"
import { describeFailure, emptySummary, simulateAll, type Summary } from "../../src/testing/simulation/Report.ts"
import { simulate } from "../../src/testing/simulation/Simulation.ts"

/** Seeds between two lines about how far it is. */
const batch = 250
/** Failures that are shown in full. */
const mostShown = 5

const numberOf = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  console.error(`--${name} takes a whole number from 1 on, not '${text}'`)
  return process.exit(2)
}

const playOne = (seed: number): number => {
  const report = simulate(seed)
  console.log(report.log.join("\n"))
  console.log(`\n${report.tally.lines.filter((line) => !/^ +0 /.test(line)).join("\n")}`)
  console.log(`\nseed ${seed}: ${report.failure ?? "nothing was wrong"}`)
  return report.failure === undefined ? 0 : 1
}

const playMany = (first: number, count: number): number => {
  const began = performance.now()
  let summary: Summary = emptySummary
  for (let next = first; next < first + count; next += batch) {
    const length = Math.min(batch, first + count - next)
    const known = summary.failures.length
    summary = simulateAll(
      Array.from({ length }, (_, index) => next + index),
      summary
    )
    for (const report of summary.failures.slice(known, mostShown)) console.error(`${describeFailure(report) ?? ""}\n`)
    console.error(`${summary.seeds} of ${count} seeds, ${summary.failures.length} failed`)
  }
  const seconds = ((performance.now() - began) / 1_000).toFixed(1)
  const days = (summary.time / 86_400_000).toFixed(1)
  console.log(summary.tally.lines.join("\n"))
  console.log(`\n${count} seeds in ${seconds} s: ${summary.events} events in ${days} virtual days`)
  if (summary.failures.length === 0) return 0
  console.log(`failed: ${summary.failures.map(({ seed }) => seed).join(" ")}`)
  return 1
}

const { values } = parseArgs({ options: { seeds: { type: "string" }, seed: { type: "string" } } })
const seed = numberOf("seed", values.seed)
const count = numberOf("seeds", values.seeds)
process.exitCode = seed !== undefined && count === undefined ? playOne(seed) : playMany(seed ?? 1, count ?? 1_000)
