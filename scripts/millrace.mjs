/**
 * `npm run -s millrace -- …`: the command line of this checkout, built anew when the sources changed, for somebody who
 * stands elsewhere: npm changes to the package's folder and leaves the user's in INIT_CWD.
 */
import { spawnSync } from "node:child_process"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const build = spawnSync(process.execPath, [join(root, "scripts", "build.mjs"), "--cli-only", "--if-stale"], {
  stdio: ["ignore", 2, 2]
})
if (build.status !== 0) process.exit(1)
if (process.env["INIT_CWD"] !== undefined) process.chdir(process.env["INIT_CWD"])
await import(join(root, "dist", "cli", "bin.js"))
