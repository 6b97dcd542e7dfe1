import { join } from "node:path"
import { defineConfig } from "vitest/config"

/** The examples import the package by its name, as everybody does. */
const alias = Object.entries({
  "millrace/orchestration": "orchestration/index.ts",
  "millrace/sqlite": "sqlite.ts",
  "millrace/testing": "testing/index.ts",
  millrace: "index.ts"
}).map(([name, file]) => ({ find: new RegExp(`^${name}$`), replacement: join(import.meta.dirname, "src", file) }))

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/cli/globalSetup.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2
  }
})
