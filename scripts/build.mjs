/**
 * Builds `dist/`: `dist/lib`, the library with its declarations (tsc), and `dist/cli`, the bundled command line
 * (esbuild). The command line is split into chunks that are loaded when a command needs them; what actions import
 * from `effect` and `millrace` are the same chunks, so that both see the same modules.
 *
 *     node scripts/build.mjs [--cli-only] [--if-stale]
 */
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const cli = join(root, "dist", "cli")
const stamp = join(cli, "built")
const require = createRequire(import.meta.url)

/** When the newest of what the command line is made from was changed. */
const newest = (path) => {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((entry) => newest(join(path, entry))))
}

const isStale = () => {
  if (!existsSync(stamp)) return true
  const inputs = ["src", "scripts", "package.json", "node_modules/.package-lock.json"].map((path) => join(root, path))
  return Math.max(...inputs.filter((path) => existsSync(path)).map(newest)) > statSync(stamp).mtimeMs
}

/** `effect`'s modules by the names that they are imported by, for actions (src/cli/SharedModules.ts). */
const effectModules = () => {
  const { exports } = JSON.parse(readFileSync(require.resolve("effect/package.json"), "utf8"))
  const names = Object.keys(exports).map((path) => path.slice(2))
  const modules = names.filter((name) => /^[A-Z]\w*$/.test(name))
  const imports = modules.map((name) => `import * as ${name}_ from "effect/${name}"`)
  const entries = modules.map((name) => `"effect/${name}": ${name}_`)
  return `import * as effect from "effect"\n${imports.join("\n")}\nexport default { effect, ${entries.join(", ")} }\n`
}

const effectModulesPlugin = {
  name: "effect-modules",
  setup: (build) => {
    build.onResolve({ filter: /^virtual:effect-modules$/ }, ({ path }) => ({ path, namespace: "effect-modules" }))
    build.onLoad({ filter: /.*/, namespace: "effect-modules" }, () => ({
      contents: effectModules(),
      loader: "js",
      resolveDir: root
    }))
  }
}

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

const buildCli = async () => {
  const { build } = await import("esbuild")
  rmSync(cli, { recursive: true, force: true })
  await build({
    absWorkingDir: root,
    entryPoints: { bin: "src/cli/bin.ts" },
    outdir: cli,
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    external: ["better-sqlite3", "jiti"],
    define: { MILLRACE_VERSION: JSON.stringify(version) },
    // What is CommonJS among the bundled packages calls `require` for Node's own modules.
    banner: { js: 'import{createRequire as createRequire_}from"node:module";const require=createRequire_(import.meta.url);' },
    plugins: [effectModulesPlugin],
    logLevel: "warning"
  })
  chmodSync(join(cli, "bin.js"), 0o755)
  writeFileSync(stamp, `${version}\n`)
}

const buildLibrary = () => {
  rmSync(join(root, "dist", "lib"), { recursive: true, force: true })
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc")
  const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

const isInstalled = (name) => {
  try {
    require.resolve(`${name}/package.json`)
    return true
  } catch {
    return false
  }
}

const flags = process.argv.slice(2)
if (!isInstalled("esbuild") || !isInstalled("typescript")) {
  // Installed without the tools to build with (`--omit=dev`): whoever did has, or does not want, `dist`.
  console.error("not built: the development dependencies are not installed")
} else if (!flags.includes("--if-stale") || isStale()) {
  await buildCli()
  if (!flags.includes("--cli-only")) buildLibrary()
}
