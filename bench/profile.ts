/**
 * Profiles a workload: leaves a CPU profile for a browser's developer tools, and prints where most of the time went.
 *
 *     npm run profile -- "one run of 1000 calls, FULL"     the workload whose name begins so
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const name = process.argv[2] ?? ""
const folder = mkdtempSync(join(tmpdir(), "millrace-profile-"))
const main = (process.argv[1] ?? "").replace(/profile\.mjs$/, "main.mjs")
const flags = [
  "--enable-source-maps",
  "--expose-gc",
  "--cpu-prof",
  `--cpu-prof-dir=${folder}`,
  "--cpu-prof-interval=200"
]
const { status } = spawnSync(process.execPath, [...flags, main, "--one", name, "--rounds", "5"], {
  stdio: ["ignore", "ignore", "inherit"]
})
const [file] = readdirSync(folder)
if (status !== 0 || file === undefined) {
  console.error(`no workload begins with '${name}'`)
  process.exit(1)
}

const path = join(folder, file)
// SAFETY: what Node writes for --cpu-prof.
const profile = JSON.parse(readFileSync(path, "utf8")) as Profile
const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]))
const self = new Map<string, number>()
profile.samples.forEach((id, at) => {
  const frame = frames.get(id)
  const place = frame === undefined ? "?" : `${frame.functionName || "(anonymous)"}:${frame.lineNumber + 1}`
  self.set(place, (self.get(place) ?? 0) + (profile.timeDeltas[at] ?? 0))
})
const all = [...self.values()].reduce((sum, time) => sum + time, 0)
for (const [place, time] of [...self].sort(([, a], [, b]) => b - a).slice(0, 60)) {
  console.log(`${((time / all) * 100).toFixed(1).padStart(5)} %  ${place}`)
}
console.log(`\n${path}`)
