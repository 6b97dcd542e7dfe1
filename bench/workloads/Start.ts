/**
 * What comes before the first step: reading a file, starting the program.
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "../../src/workflow/Parser.ts"
import { inFolder } from "../Bed.ts"
import { type Sample, type Scale, timed, type Workload } from "../Workload.ts"

const textOf = (calls: number): string => `workflow long {\n${"  call instant\n".repeat(calls)}}\n`

const parsed = (source: string, times: number): Promise<Sample> =>
  timed(async () => {
    for (let n = 0; n < times; n++) {
      const { diagnostics } = parse({ file: "long.wf", text: source })
      if (diagnostics.length > 0) throw new Error("not a workflow")
    }
  })

const node = async (args: ReadonlyArray<string>, cwd: string): Promise<Sample> => {
  const started = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" })
  if (status !== 0) throw new Error(stderr)
  return { took: performance.now() - started }
}

const oneStep = 'workflow one { script hello { run = "true" } }\n'

const program = (root: string): string => join(root, "dist", "cli", "bin.js")

export const start = (size: Scale, root: string): ReadonlyArray<Workload> => [
  {
    name: `parsing ${size(10_000)} calls`,
    unit: "ms",
    count: 1,
    rounds: 15,
    target: { _tag: "AtMost", value: 15, unit: "ms" },
    run: () => parsed(textOf(size(10_000)), 1)
  },
  {
    // Ten times, so that neither the compiler's warming up nor one collection of garbage decides.
    name: `parsing ${size(10_000)} calls in one file, by two of half`,
    unit: "ms",
    count: 1,
    rounds: 15,
    target: { _tag: "AtLeast", ratio: 0.8 },
    run: () => parsed(textOf(size(10_000)), 10),
    yardstick: { name: "two files of half", run: () => parsed(textOf(size(5_000)), 20) }
  },
  {
    name: "a one-step workflow by the command line, cold start to exit",
    unit: "ms",
    count: 1,
    rounds: 7,
    target: { _tag: "TimeAtMost", ratio: 5 },
    run: () =>
      inFolder((folder) => {
        writeFileSync(join(folder, "one.wf"), oneStep)
        return node([program(root), "run", "one.wf"], folder)
      }),
    yardstick: { name: "node -e 0", run: () => inFolder((folder) => node(["-e", "0"], folder)) }
  }
]
