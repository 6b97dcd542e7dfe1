/**
 * Runs the proofs of durability and writes what they came to into docs/guarantees.md.
 *
 *     npm run figures                     runs them
 *     npm run figures -- --from FILE      takes what a whole `npm test` printed, which ran them as well
 */
import { spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs, stripVTControlCharacters } from "node:util"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const page = join(root, "docs/guarantees.md")
const marks = ["<!-- figures -->", "<!-- end of figures -->"]

/** What a proof prints behind its name, and how the page says it. */
const proofs = [
  ["crashes", "`.wf` programs stopped at every write, in memory"],
  ["typed crashes", "typed programs stopped at every write, in memory"],
  ["crashes with scripts", "programs with scripts stopped at every write"],
  ["power losses", "programs on SQLite, the log cut behind and within every frame"],
  ["simulation", "seeds of two or three engines, a store and people"],
  ["torture", "real processes on one file, killed with SIGKILL"],
  ["leaks", "runs in one process, which leave nothing behind"],
  ["waiting", "runs that wait at once, without a fiber or timer"]
]

const files = [
  "test/simulation",
  "test/torture",
  "test/program/GeneratedCrash.test.ts",
  ...["Crash", "MoreCrashes", "ScriptCrash", "WalPrefix", "Leaks", "ManyWaiting"].map(
    (name) => `test/engine/durability/${name}.test.ts`
  )
]

const run = () =>
  new Promise((resolve) => {
    const vitest = join(root, "node_modules/vitest/vitest.mjs")
    const child = spawn(process.execPath, [vitest, "run", ...files], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += String(chunk)
      process.stdout.write(chunk)
    })
    child.once("close", (code) => resolve({ code, output }))
  })

/** `12 programs, 34 writes` of each line of a proof, added up; times and seeds say nothing of it. */
const figuresOf = (output, name) => {
  const sums = new Map()
  for (const line of output.split("\n").filter((line) => line.startsWith(`${name}: `))) {
    for (const [, number, what] of line
      .slice(name.length + 1)
      .matchAll(/(?<!\S)(\d+) ([a-z][a-z ]*[a-z]{2})(?=,| in |$)/g)) {
      sums.set(what, (sums.get(what) ?? 0) + Number(number))
    }
  }
  if (sums.size === 0) throw new Error(`the proof '${name}' printed no figures`)
  return [...sums].map(([what, number]) => `${number.toLocaleString("en-US")} ${what}`).join(", ")
}

const { values } = parseArgs({ options: { from: { type: "string" } } })
/** What else failed in the same run is no matter of these figures. */
const kept = () => {
  const output = stripVTControlCharacters(readFileSync(values.from, "utf8"))
  const failed = output.split("\n").filter((line) => line.trim().startsWith("FAIL"))
  return { code: failed.some((line) => files.some((file) => line.includes(file))) ? 1 : 0, output }
}
const { code, output } = values.from === undefined ? await run() : kept()
if (code !== 0) {
  console.error("a proof failed: the figures stay as they are")
  process.exit(1)
}
const lines = proofs.map(([name, text]) => `| ${text} | ${figuresOf(output, name)} |`)
const section = [marks[0], "| Proof | Figures |", "| --- | --- |", ...lines, marks[1]].join("\n")
const text = readFileSync(page, "utf8")
const [start, end] = [text.indexOf(marks[0]), text.indexOf(marks[1])]
if (start === -1 || end < start) throw new Error(`${page} has no place for the figures`)
writeFileSync(page, text.slice(0, start) + section + text.slice(end + marks[1].length))
console.log(section)
