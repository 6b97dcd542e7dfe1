/**
 * Kills processes at work: `test/torture/main.ts`.
 *
 *     npm run torture -- [--kills N] [--seed S]
 */
import { spawnSync } from "node:child_process"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { runBundled } from "./bundled.mjs"

const build = join(dirname(fileURLToPath(import.meta.url)), "build.mjs")
const { status } = spawnSync(process.execPath, [build, "--cli-only", "--if-stale"], { stdio: "inherit" })
if (status !== 0) process.exit(1)
await runBundled({
  entryPoints: ["test/torture/main.ts", "test/torture/people.ts"],
  args: process.argv.slice(2)
})
