/**
 * Profiles a workload: leaves a CPU profile for a browser's developer tools, and prints where most of the time went, by
 * part and by function.
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
const { status } = spawnSync(process.execPath, [...flags, main, "--one", name, "--rounds", "5", "--alone"], {
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

/** Of each line of the program the file that it comes from: esbuild says so in a comment above its part. */
const lines = readFileSync(main, "utf8").split("\n")
const files: Array<string> = []
for (const line of lines)
  files.push(/^\/\/ ((?:\.\.\/)*(?:src|bench|node_modules)\/\S+)$/.exec(line)?.[1] ?? files.at(-1) ?? "")

/** What a place is a part of. Statements are native code, and count for the module that has them run. */
const partOf = ({ functionName, lineNumber, url }: Profile["nodes"][number]["callFrame"]): string => {
  if (functionName === "(garbage collector)") return "garbage collection"
  const isMain = url.endsWith("main.mjs")
  const file = (isMain ? files[lineNumber] : url) ?? ""
  if (/better-sqlite3|SqliteWriter|SqliteClient|bench\/Raw/.test(file)) return "SQLite"
  const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? []
  if (name !== undefined) return name
  return isMain ? file.split("/").slice(0, 2).join("/") : "Node"
}

const total = profile.timeDeltas.reduce((sum, time) => sum + time, 0)
const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]))

/** Prints how much of the time went where, the most first. */
const print = (title: string, name: (frame: Profile["nodes"][number]["callFrame"]) => string, most: number): void => {
  const times = new Map<string, number>()
  profile.samples.forEach((id, at) => {
    const frame = frames.get(id)
    const place = frame === undefined ? "?" : name(frame)
    times.set(place, (times.get(place) ?? 0) + (profile.timeDeltas[at] ?? 0))
  })
  console.log(title)
  for (const [place, time] of [...times].sort(([, a], [, b]) => b - a).slice(0, most)) {
    console.log(`${((time / total) * 100).toFixed(1).padStart(5)} %  ${place}`)
  }
}

print("by part", partOf, 20)
print("by function", ({ functionName, lineNumber }) => `${functionName || "(anonymous)"}:${lineNumber + 1}`, 60)
console.log(`\n${path}`)
