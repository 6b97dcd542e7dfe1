/**
 * Kills processes at work (`Torture.ts`).
 *
 *     npm run torture -- [--kills N] [--seed S]
 *
 * The seed draws the moments; what a process does then is up to the machine.
 */
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { torture } from "./Torture.ts"

const wholeNumber = (name: string, text: string): number => {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  console.error(`--${name} takes a whole number from 1 on, not '${text}'`)
  return process.exit(2)
}

const { values } = parseArgs({
  options: { kills: { type: "string", default: "50" }, seed: { type: "string", default: "1" } }
})
const kills = wholeNumber("kills", values.kills)
const seed = wholeNumber("seed", values.seed)
const began = performance.now()
const here = dirname(process.argv[1] ?? "")
const report = await torture({
  kills,
  seed,
  bin: join(process.cwd(), "dist/cli/bin.js"),
  people: join(here, "people.mjs")
})
const seconds = ((performance.now() - began) / 1_000).toFixed(1)
const { executions, problems, repeated, runs } = report
console.log(
  `torture: ${report.kills} kills, ${runs} runs, ${executions} executions of steps, ${repeated} of them repeated, ` +
    `${problems.length} problems, seed ${seed}, ${seconds} s`
)
for (const problem of problems) console.log(`problem: ${problem}`)
process.exitCode = problems.length === 0 ? 0 : 1
