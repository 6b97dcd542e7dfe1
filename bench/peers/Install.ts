/**
 * The peers' packages, installed when they are first needed: they are no dependencies of the project.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/**
 * Installs what `package-lock.json` names into `bench/peers/node_modules`, unless that was done already. Not by `npm ci`,
 * which refuses a lock that was made where optional packages of other platforms were left out.
 */
export const install = (root: string): void => {
  const folder = join(root, "bench", "peers")
  const lock = readFileSync(join(folder, "package-lock.json"), "utf8")
  const stamp = join(folder, "node_modules", ".installed")
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return
  console.log("installing the peers into bench/peers/node_modules (some minutes) …")
  const { status, error } = spawnSync("npm", ["install", "--no-save", "--no-audit", "--no-fund"], {
    cwd: folder,
    stdio: ["ignore", "inherit", "inherit"]
  })
  if (status !== 0)
    throw new Error(`the peers' packages could not be installed: ${error ?? `npm install ended with ${status}`}`)
  writeFileSync(stamp, lock)
}
