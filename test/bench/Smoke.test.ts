/**
 * The workloads of `bench/`, small and once: that each works, and writes exactly what it should. What they take is not
 * looked at: a shared machine says nothing about that.
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { expect, it } from "vitest"

const root = join(import.meta.dirname, "../..")

it("every workload works, with one commit a sequential step and two a run of one call", { timeout: 120_000 }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/bench.mjs", "--smoke"], {
    cwd: root,
    encoding: "utf8"
  })
  expect(stderr).toBe("")
  expect(stdout).toContain("ok  one run of 20 calls, FULL")
  expect(stdout).toContain("ok  20 runs of one call, one after another, FULL")
  expect(stdout).not.toContain("WRONG")
  expect(status).toBe(0)
})
