import { join, relative } from "node:path"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** The examples import the package by its name, as everybody does. */
const alias = Object.entries({
  "millrace/orchestration": "orchestration/index.ts",
  "millrace/sqlite": "sqlite.ts",
  "millrace/testing": "testing/index.ts",
  millrace: "index.ts"
}).map(([name, file]) => ({ find: new RegExp(`^${name}$`), replacement: join(import.meta.dirname, "src", file) }))

/** The files that take longest, the longest first: begun early, none of them is what all others have to wait for. */
const longest = [
  "examples/Agents",
  "cli/Trouble",
  "cli/Work",
  "cli/Pause",
  "docs/Guides",
  "cli/Commands",
  "cli/Gates",
  "engine/durability/WalPrefix",
  "engine/durability/Pause",
  "engine/durability/Crash",
  "cli/Prune",
  "cli/Terminal",
  "cli/Secrets",
  "cli/Completions",
  "cli/WorkCrash",
  "examples/Orders",
  "engine/durability/MoreCrashes",
  "simulation/Seeds",
  "lsp/Server",
  "torture/Torture",
  "types/Types"
].map((name) => `test/${name}.test.ts`)

class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const place = ({ moduleId }: TestSpecification): number => {
      const index = longest.indexOf(relative(import.meta.dirname, moduleId))
      return index === -1 ? longest.length : index
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/cli/globalSetup.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Many tests wait for processes of their own: one worker more than the two cores of a small machine uses them both.
    maxWorkers: 3,
    // As many from the first to the last: ending one that is idle while others are at work fails the whole run. (Other
    // numbers on the command line: both.)
    minWorkers: 3,
    // No file changes what others see, and importing Effect anew for each of them took a sixth of the whole time.
    poolOptions: { forks: { isolate: false } },
    sequence: { sequencer: LongestFirst }
  }
})
