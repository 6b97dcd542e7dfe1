/**
 * Builds `dist/`: `dist/lib`, the library with its declarations (tsc), and `dist/cli`, the bundled command line
 * (esbuild). The command line is one script, whose modules are run when a command needs them; what actions import from
 * `effect` and `millrace` is in it too, so that both see the same modules.
 *
 *     node scripts/build.mjs [--cli-only] [--if-stale]
 */
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const cli = join(root, "dist", "cli")
const stamp = join(cli, "built")
/** Where the new one is made, so that there is always a whole one. */
const fresh = `${cli}.${process.pid}`
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

/**
 * `effect/Schema` imports the whole of fast-check for one call within a function that is handed fast-check anyway. The
 * command line never makes arbitraries, and what it does not load it starts faster without.
 */
const lighterSchemaPlugin = {
  name: "lighter-schema",
  setup: (build) => {
    build.onLoad({ filter: /effect\/dist\/esm\/Schema\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8")
      const contents = source
        .replace(/^import \* as fastCheck_ from "\.\/FastCheck\.js";$/m, "")
        .replace("fc => fastCheck_.array(", "fc => fc.array(")
      if (contents.includes("fastCheck_")) throw new Error("effect/Schema uses fast-check in another way than before")
      return { contents, loader: "js" }
    })
  }
}

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

const buildCli = async () => {
  const { build } = await import("esbuild")
  await build({
    absWorkingDir: root,
    entryPoints: { bin: "src/cli/bin.ts", main: "src/cli/Main.ts" },
    outdir: fresh,
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20",
    // The code that is kept between starts is of a script (src/cli/CodeCache.ts), and a script has no `import()`.
    supported: { "dynamic-import": false },
    minify: true,
    legalComments: "none",
    external: ["better-sqlite3", "jiti"],
    define: { MILLRACE_VERSION: JSON.stringify(version), "import.meta.url": "moduleUrl" },
    banner: { js: 'const moduleUrl=require("node:url").pathToFileURL(__filename).href;' },
    plugins: [effectModulesPlugin, lighterSchemaPlugin],
    logLevel: "warning"
  })
  // It is read byte for byte, which is fast: esbuild escapes all but what stands in a regular expression.
  const other = /[^\0-\x7f].{0,40}/.exec(readFileSync(join(fresh, "main.js"), "utf8"))
  if (other !== null) throw new Error(`the bundle must be ASCII: escape '${other[0]}' in the regular expression`)
  writeFileSync(join(fresh, "package.json"), `${JSON.stringify({ type: "commonjs" })}\n`)
  chmodSync(join(fresh, "bin.js"), 0o755)
  writeFileSync(join(fresh, "built"), `${version}\n`)
  const old = `${fresh}.old`
  if (existsSync(cli)) renameSync(cli, old)
  renameSync(fresh, cli)
  rmSync(old, { recursive: true, force: true })
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
