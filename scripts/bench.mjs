/**
 * Runs a benchmark: bundles `bench/NAME.ts` as users' programs are bundled, and runs it.
 *
 *     npm run bench -- [NAME] [OPTIONS]
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [first = "", ...others] = process.argv.slice(2)
/** A word that is no option names the bench; without one it is all workloads. */
const [name, args] = first === "" || first.startsWith("-") ? ["main", process.argv.slice(2)] : [first, others]
const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"))
try {
  const outfile = join(folder, `${name}.mjs`)
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  await build({
    absWorkingDir: root,
    // A profile is one of the workloads of `main`.
    entryPoints: (name === "profile" ? ["profile", "main"] : [name]).map((it) => `bench/${it}.ts`),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
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
  const { status } = spawnSync(process.execPath, ["--expose-gc", outfile, ...args], { cwd: root, stdio: "inherit" })
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
