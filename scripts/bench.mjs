/**
 * Runs a benchmark: bundles `bench/NAME.ts` as users' programs are bundled, and runs it.
 *
 *     npm run bench -- [NAME]
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const name = process.argv[2] ?? "responsiveness"
const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"))
try {
  const outfile = join(folder, "bench.mjs")
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  await build({
    absWorkingDir: root,
    entryPoints: [`bench/${name}.ts`],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["better-sqlite3", "jiti"],
    banner: {
      js: 'import{createRequire as createRequire_}from"node:module";const require=createRequire_(import.meta.url);'
    },
    logLevel: "warning"
  })
  const { status } = spawnSync(process.execPath, [outfile, ...process.argv.slice(3)], { cwd: root, stdio: "inherit" })
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
