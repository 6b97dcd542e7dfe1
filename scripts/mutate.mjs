/**
 * Mutation testing of the engine: alters it at seeded places, one at a time, in a copy of the project, and tells whether
 * the tests notice.
 *
 *   npm run mutate -- [--seed 1] [--count 50] [--only N] [--trust]
 *
 * Each line of the report is a mutation: its number, caught or survived, where it is and what it does. `--only N` tries the
 * N-th of the seed alone and prints what the tests said. The tests have to pass without a mutation, which is tried first;
 * `--trust` leaves that out.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { drawMutations } from "./mutations.mjs"
import { runTests, testsOf } from "./mutationTests.mjs"

const project = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    count: { type: "string" },
    only: { type: "string" },
    trust: { type: "boolean", default: false }
  }
})
const seed = Number(values.seed ?? 1)
const count = Number(values.count ?? 50)
const only = values.only === undefined ? undefined : Number(values.only)

const copy = mkdtempSync(join(tmpdir(), "millrace-mutate-"))
process.on("exit", () => rmSync(copy, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130))
for (const name of ["src", "test", "examples", "package.json", "tsconfig.json", "vitest.config.ts"]) {
  cpSync(join(project, name), join(copy, name), { recursive: true })
}
// No test that is run here runs the command line: it need not be built.
const config = join(copy, "vitest.config.ts")
writeFileSync(config, readFileSync(config, "utf8").replace(/^ *globalSetup: .*$/m, ""))
symlinkSync(join(project, "node_modules"), join(copy, "node_modules"))

if (!values.trust) {
  const all = new Set(["src/engine/", "src/persistence/", "src/program/"].flatMap((file) => testsOf(copy, file).flat()))
  const { output, verdict } = await runTests(copy, [[...all]])
  if (verdict !== "survived") {
    console.log(output)
    console.error("the tests fail without any mutation: mend them first")
    process.exit(1)
  }
}

let caught = 0
let tried = 0
for (const [index, mutation] of drawMutations(project, seed, count).entries()) {
  if (only !== undefined && only !== index + 1) continue
  const file = join(copy, mutation.file)
  const original = readFileSync(file, "utf8")
  writeFileSync(file, mutation.apply(original))
  const { output, verdict } = await runTests(copy, testsOf(copy, mutation.file))
  writeFileSync(file, original)
  tried += 1
  if (verdict !== "survived") caught += 1
  console.log(
    `${String(index + 1).padStart(3)} ${verdict.padEnd(8)} ${mutation.file}:${mutation.line} ${mutation.what}`
  )
  if (only !== undefined) console.log(output)
}
console.log(`${caught} of ${tried} mutations caught (seed ${seed})`)
