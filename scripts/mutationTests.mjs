/** Which tests look at a folder, and running them: caught as soon as one fails, or when they do not end in time. */
import { spawn } from "node:child_process"
import { readdirSync } from "node:fs"
import { join } from "node:path"

/** Longest time of a group of tests, ms: a hang is a mutation caught. */
const limit = 300_000

const laws = ["test/laws/"]
const durability = [
  "AnyOrder",
  "Cancellation",
  "Fork",
  "GateNotice",
  "Ownership",
  "PausedRuns",
  "Reopen",
  "RunDeadlines",
  "TakingUp"
].map((name) => `test/engine/durability/${name}.test.ts`)
const waiting = ["test/engine/durability/Waiting.test.ts", "test/engine/durability/Pause.test.ts"]

/** Those directly in a folder. */
const testsIn = (copy, folder) =>
  readdirSync(join(copy, folder))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `${folder}/${name}`)

/** In groups, the quickest first; what takes minutes, or is a matter of real processes, is left out. */
export const testsOf = (copy, file) => {
  const engine = [...testsIn(copy, "test/engine"), ...durability]
  if (file.startsWith("src/engine/interpreter/")) return [laws, engine]
  if (file.startsWith("src/engine/")) return [laws, engine, [...waiting, ...testsIn(copy, "test/program")]]
  if (file.startsWith("src/persistence/")) return [laws, testsIn(copy, "test/persistence"), engine]
  return [testsIn(copy, "test/program")]
}

/** `groups`: the next one runs if the one before passed. */
export const runTests = async (copy, groups) => {
  let output = ""
  for (const files of groups) {
    const ended = await vitest(copy, files)
    output += ended.output
    if (ended.verdict !== "survived") return { verdict: ended.verdict, output }
  }
  return { verdict: "survived", output }
}

const vitest = (copy, files) =>
  new Promise((resolve) => {
    const bin = join(copy, "node_modules", "vitest", "vitest.mjs")
    const child = spawn(process.execPath, [bin, "run", "--bail", "1", "--root", copy, ...files], {
      cwd: copy,
      detached: true,
      env: { ...process.env, LAW_RUNS: process.env.LAW_RUNS ?? "150", NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text))
    let isLate = false
    const kill = () => process.kill(-child.pid, "SIGKILL")
    const timer = setTimeout(() => {
      isLate = true
      kill()
    }, limit)
    process.once("exit", kill)
    child.on("close", (code) => {
      clearTimeout(timer)
      process.off("exit", kill)
      resolve({ verdict: isLate ? "hung" : code === 0 ? "survived" : "caught", output })
    })
  })
