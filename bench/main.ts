/**
 * Measures all workloads beside their yardsticks, each in a process of its own.
 *
 *     npm run bench                         all of them, as a table
 *     npm run bench -- --write              and into docs/performance.md; --json FILE: and as JSON
 *     npm run bench -- --only foreach       those whose name contains a text
 *     npm run bench -- --rounds 3           fewer or more rounds than the 7 of each
 *     npm run bench -- --smoke              once, a fiftieth of the size, for what does not depend on the machine:
 *                                           that all of them work, and write what they should
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { workloadsSection, writeSection } from "./Page.ts"
import { line, type Result, resultOf, table, wrongWrites } from "./Report.ts"
import { measure, type Scale, type Workload } from "./Workload.ts"
import { manyRuns } from "./workloads/Runs.ts"
import { start } from "./workloads/Start.ts"
import { steps } from "./workloads/Steps.ts"
import { waiting } from "./workloads/Waiting.ts"

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "7" },
    write: { type: "boolean", default: false },
    json: { type: "string" },
    smoke: { type: "boolean", default: false },
    /** Used between processes: measure the one whose name begins so here, and print the result as JSON. */
    one: { type: "string" },
    /** And without its yardstick: for a profile. */
    alone: { type: "boolean", default: false }
  }
})

const root = process.cwd()
const size: Scale = (full) => (options.smoke ? Math.max(2, Math.round(full / 50)) : full)
const workloads: ReadonlyArray<Workload> = [...steps(size), ...manyRuns(size), ...waiting(size), ...start(size, root)]
const rounds = Number(options.rounds)

const measureHere = async (name: string): Promise<void> => {
  const workload = workloads.find((it) => it.name.startsWith(name))
  if (workload === undefined) throw new Error(`no workload '${name}'`)
  const { yardstick: _, ...alone } = workload
  const measured = await measure(options.alone ? alone : workload, Math.min(rounds, workload.rounds ?? rounds))
  console.log(JSON.stringify(resultOf(workload, measured)))
}

const measureApart = ({ name }: Workload): Result => {
  const args = ["--expose-gc", process.argv[1] ?? "", "--one", name, "--rounds", options.rounds]
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })
  if (status !== 0) throw new Error(`the workload '${name}' failed`)
  // SAFETY: printed by `measureHere`.
  const result = JSON.parse(stdout) as Result
  console.log(line(result))
  return result
}

const measureAll = (): void => {
  const results = workloads.filter(({ name }) => name.includes(options.only)).map(measureApart)
  console.log(`\n${table(results)}`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`)
  if (options.write) writeSection(root, "bench", workloadsSection(results))
}

const smoke = async (): Promise<void> => {
  const wrong: Array<string> = []
  for (const workload of workloads.filter(({ name }) => name.includes(options.only))) {
    const sample = await workload.run()
    await workload.yardstick?.run()
    const problem = wrongWrites(workload, sample)
    console.log(`${problem === undefined ? "ok" : "WRONG"}  ${workload.name}`)
    if (problem !== undefined) wrong.push(`${workload.name}: ${problem}`)
  }
  for (const problem of wrong) console.error(problem)
  process.exitCode = wrong.length === 0 ? 0 : 1
}

if (options.one !== undefined) await measureHere(options.one)
else if (options.smoke) await smoke()
else measureAll()
