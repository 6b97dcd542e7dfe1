/** Builds the command line once for all tests that run it. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import type { TestProject } from "vitest/node"

declare module "vitest" {
  interface ProvidedContext {
    /** What the build said, if it failed: only the tests that run the program then fail. */
    readonly buildFailure: string
  }
}

export default (project: TestProject): void => {
  const script = join(import.meta.dirname, "../../scripts/build.mjs")
  const { status, stderr } = spawnSync(process.execPath, [script, "--cli-only", "--if-stale"], { encoding: "utf8" })
  project.provide("buildFailure", status === 0 ? "" : stderr)
}
