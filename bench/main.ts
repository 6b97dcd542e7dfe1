/**
 * Measures all workloads beside their yardsticks, each in a process of its own.
 *
 *     npm run bench                         all of them, as a table; writes bench-results.json and docs/performance.md with --write
 *     npm run bench -- --only foreach       those whose name contains a text
 *     npm run bench -- --rounds 3           fewer or more rounds than the 7 of each
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { line, type Result, resultOf, table } from "./Report.ts"
import { page } from "./Page.ts"
import { measure, type Workload } from "./Workload.ts"
import { manyRuns } from "./workloads/Runs.ts"
import { start } from "./workloads/Start.ts"
import { responsive, steps } from "./workloads/Steps.ts"
import { waiting } from "./workloads/Waiting.ts"

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "7" },
    write: { type: "boolean", default: false },
    json: { type: "string" },
    /** Internal: measure this one here, and print the result as JSON. */
    one: { type: "string" }
  }
})

const root = process.cwd()
const workloads: ReadonlyArray<Workload> = [...steps, responsive, ...manyRuns, ...waiting, ...start(root)]
const rounds = Number(options.rounds)

const measureHere = async (name: string): Promise<void> => {
  const workload = workloads.find((it) => it.name.startsWith(name))
  if (workload === undefined) throw new Error(`no workload '${name}'`)
  const measured = await measure(workload, Math.min(rounds, workload.rounds ?? rounds))
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
  if (options.write) writeFileSync(join(root, "docs", "performance.md"), page(results))
}

if (options.one === undefined) measureAll()
else await measureHere(options.one)
