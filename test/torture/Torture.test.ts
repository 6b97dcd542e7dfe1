/**
 * `npm run torture` as far as the test command goes: fifty kills.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { blankAttempt, type StepRecord } from "../../src/persistence/Records.ts"
import { runRecord, stepRecord } from "../../src/testing/SampleRecords.ts"
import { checkEffects, readEffects } from "./Effects.ts"

const root = join(import.meta.dirname, "../..")
const kills = 50

/** Runs the script; what it printed. */
const tortured = (...args: ReadonlyArray<string>): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, "scripts/torture.mjs"), ...args], { cwd: root })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)))
    child.once("close", (code) => resolve({ code, output }))
  })

// Locks that the kernel keeps, and a look at the machine's processes.
const isPossible = existsSync("/proc/self/cwd") && existsSync("/usr/bin/flock")

describe("the judge of effects", () => {
  const run = runRecord("R", { status: "completed" })
  const attempt = { ...blankAttempt, number: 1, startedAt: 100, endedAt: 200, outcome: "completed" } as const
  const lost = { ...attempt, startedAt: 50, outcome: "lost" } as const
  const problemsOf = (attempts: StepRecord["attempts"], lines: ReadonlyArray<string>) => {
    const step = stepRecord("/s", { kind: "script", status: "completed", startedAt: 50, endedAt: 200, attempts })
    const tree = { root: run.id, runs: [{ run, steps: [step], items: [] }] }
    const effects = lines.map((line) => line.replace(" ", " R /s 7 ")).join("\n")
    return checkEffects([tree], readEffects(effects)).problems.map((problem) => problem.replace(/^.*: /, ""))
  }

  it("takes a step that was executed once, and again after its process was lost", () => {
    expect(problemsOf([attempt], ["begin 110", "end 190"])).toEqual([])
    expect(problemsOf([lost, attempt], ["begin 60", "begin 110", "end 190"])).toEqual([])
    expect(problemsOf([lost, attempt], ["begin 110", "end 190"])).toEqual([])
  })

  it("finds executions too many, too few, too late, and beside each other", () => {
    expect(problemsOf([attempt], [])).toEqual([
      "was executed 0 times, and has ended 1 times",
      "was executed 0 times in the attempt that completed",
      "completed, and never came to its end"
    ])
    expect(problemsOf([attempt], ["begin 60", "begin 110", "end 190"])).toEqual(["was executed 2 times in 1 attempts"])
    expect(problemsOf([lost, attempt], ["begin 110", "begin 120", "end 190"])).toEqual([
      "was executed 2 times in the attempt that completed"
    ])
    expect(problemsOf([lost, attempt], ["begin 110", "end 190", "begin 210"])).toContain(
      "was executed 1 times after it had completed"
    )
    expect(problemsOf([lost, attempt], ["begin 60", "beside 110", "begin 110", "end 190"])).toEqual([
      "ran 1 times beside what a killed process had left"
    ])
  })
})

describe("workers and people on one database, killed at random moments", () => {
  it.runIf(isPossible)(
    "end every run as its program says, each completed step executed once, and leave nothing behind",
    { timeout: 400_000 },
    async () => {
      const { code, output } = await tortured("--kills", String(kills), "--seed", process.env["SEED"] ?? "1")
      console.log(output.trim())
      expect(output).toContain(`torture: ${kills} kills`)
      expect({ code, problems: output.split("\n").filter((line) => line.startsWith("problem")) }).toEqual({
        code: 0,
        problems: []
      })
    }
  )
})
