import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Esbuild from "esbuild"
import * as NodeChild from "node:child_process"
import * as NodeFs from "node:fs"
import * as NodeOs from "node:os"
import * as NodePath from "node:path"
import { sqlite } from "../../src/persistence/sql/Dialect.ts"
import { applicationId, migrate } from "../../src/persistence/sql/Migrations.ts"

/** A folder that is deleted when the scope closes. */
export const temporaryFolder = <A>(use: (folder: string) => A): Effect.Effect<A, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => NodeFs.mkdtempSync(NodePath.join(NodeOs.tmpdir(), "millrace-test-"))),
      (folder) => Effect.sync(() => NodeFs.rmSync(folder, { recursive: true, force: true }))
    ),
    use
  )

export const temporaryDatabase = temporaryFolder((folder) => NodePath.join(folder, "runs.db"))

/** Whether this process may mount file systems, as full and read-only disks need. */
export const mayMount = (() => {
  if (process.getuid?.() !== 0) return false
  const folder = NodeFs.mkdtempSync(NodePath.join(NodeOs.tmpdir(), "millrace-mount-"))
  const mounted = NodeChild.spawnSync("mount", ["-t", "tmpfs", "tmpfs", folder]).status === 0
  if (mounted) NodeChild.spawnSync("umount", [folder])
  NodeFs.rmdirSync(folder)
  return mounted
})()

/** A disk of its own of this many bytes. */
export const smallDisk = (bytes: number): Effect.Effect<string, never, Scope.Scope> =>
  Effect.flatMap(
    temporaryFolder((folder) => folder),
    (folder) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          NodeChild.execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder])
          return folder
        }),
        () => Effect.sync(() => NodeChild.execFileSync("umount", ["--lazy", folder]))
      )
  )

export const makeReadOnly = (disk: string): void => {
  NodeChild.execFileSync("mount", ["-o", "remount,ro", disk])
}

/** Makes of a database what an older version would have written: its tables, with the rows that fit into them. */
export const asOfVersion = (filename: string, older: number): void => {
  const newer = `${filename}.newer`
  NodeFs.renameSync(filename, newer)
  const database = new Database(filename)
  const tables = migrate(sqlite, 0, older)
  for (let next = tables.next(); next.done !== true; next = tables.next([])) database.exec(next.value.sql)
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${older}`)
  database.prepare("ATTACH ? AS newer").run(newer)
  const texts = (sql: string) => database.prepare(sql).pluck().all().map(String)
  for (const table of texts("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")) {
    const columns = texts(`SELECT name FROM pragma_table_info('${table}', 'main')`).join(", ")
    database.exec(`INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM newer.${table}`)
  }
  database.close()
  NodeFs.rmSync(newer)
}

/** Another process, killed with the scope: a plain script that gets better-sqlite3 as `Database`. */
export const scriptProcess = (script: string, ...args: ReadonlyArray<string>) =>
  spawn(["--input-type=module", "-e", `import Database from "better-sqlite3"\n${script}`, "--", ...args])

const built = new Map<string, string>()

/** Another process with our code: `processes/<name>.ts`, bundled, since Node 20 runs no TypeScript. */
export const programProcess = (name: string, ...args: ReadonlyArray<string>) => {
  const outfile = NodePath.resolve(`node_modules/.cache/millrace-test/${process.pid}-${name}.mjs`)
  if (!built.has(name)) {
    const entry = NodePath.join(import.meta.dirname, "processes", `${name}.ts`)
    Esbuild.buildSync({
      entryPoints: [entry],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external"
    })
    built.set(name, outfile)
  }
  return spawn([outfile, ...args])
}

export interface OtherProcess {
  /** Waits for its first output. */
  readonly ready: Effect.Effect<void>
  readonly exit: Effect.Effect<{
    readonly code: number | null
    readonly signal: string | null
    readonly stderr: string
  }>
}

const spawn = (args: ReadonlyArray<string>): Effect.Effect<OtherProcess, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => NodeChild.spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => {
      const stderr: Array<string> = []
      child.stderr.on("data", (chunk) => stderr.push(String(chunk)))
      const output = new Promise<void>((resolve) => child.stdout.once("data", () => resolve()))
      const exit = new Promise<{ code: number | null; signal: string | null; stderr: string }>((resolve) =>
        child.once("close", (code, signal) => resolve({ code, signal, stderr: stderr.join("") }))
      )
      return {
        ready: Effect.promise(() => Promise.race([output, exit.then(() => undefined)])),
        exit: Effect.promise(() => exit)
      }
    }
  )
