/**
 * Runs a program of this repository, bundled as users' programs are bundled.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** `entryPoints`: the first is run, the others lie beside it. Its exit code becomes this process's. */
export const runBundled = async ({ entryPoints, args, nodeOptions = [] }) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-run-"))
  try {
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
    await build({
      absWorkingDir: root,
      entryPoints,
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
    const outfile = join(folder, `${basename(entryPoints[0], ".ts")}.mjs`)
    const { status } = spawnSync(process.execPath, [...nodeOptions, outfile, ...args], { cwd: root, stdio: "inherit" })
    process.exitCode = status ?? 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
