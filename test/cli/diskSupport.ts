/** Disks of their own for a database: small ones, and ones that fail. They need the right to mount. */
import Database from "better-sqlite3"
import { execFileSync, spawnSync } from "node:child_process"
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { onTestFinished } from "vitest"
import { walFrames } from "../../src/testing/WalPrefix.ts"
import { mayMount } from "../persistence/support.ts"
import type { Place } from "./support.ts"

const unmountAfterwards = (folder: string): void => onTestFinished(() => void spawnSync("umount", ["--lazy", folder]))

/** A disk in memory, mounted as the folder `name`. */
export const memoryDisk = (at: Place, name: string, bytes: number): string => {
  const folder = at.path(name)
  mkdirSync(folder)
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder])
  unmountAfterwards(folder)
  return folder
}

/** Takes all the room that a disk has; a function that gives it back. */
export const fill = (disk: string): (() => void) => {
  const ballast = join(disk, "ballast")
  writeFileSync(ballast, "")
  for (const bytes of [65_536, 4_096]) {
    try {
      for (;;) appendFileSync(ballast, Buffer.alloc(bytes))
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error
    }
  }
  return () => rmSync(ballast)
}

/** Takes the room that is kept in the log of a database, so that the next commit needs some of the disk's. */
export const takeLogRoom = (at: Place, db: string): void => {
  const database = new Database(at.path(db))
  try {
    database.exec("BEGIN IMMEDIATE")
    const log = at.path(`${db}-wal`)
    truncateSync(log, walFrames(readFileSync(log)).at(-1)?.end ?? 0)
    database.exec("ROLLBACK")
  } finally {
    database.close()
  }
}

/** A disk that can be made to fail. */
export interface FailingDisk {
  readonly folder: string
  /** The device below cannot take what is written: a sync fails. Gives a function that ends it. */
  readonly refuseWrites: () => () => void
  /** The kernel finds an error on it, and makes it read-only. */
  readonly breakDown: () => void
  /** Unmounts it, when nobody uses it any more, and mounts it again. */
  readonly mountAgain: () => void
}

/** ext4 in a file with holes, on a memory disk that can be filled. */
export const failingDisk = (at: Place, name: string): FailingDisk => {
  const below = memoryDisk(at, `${name}.below`, 16_000_000)
  const image = join(below, "image")
  execFileSync("truncate", ["-s", "32M", image])
  const device = execFileSync("losetup", ["-f", "--show", image], { encoding: "utf8" }).trim()
  onTestFinished(() => void spawnSync("losetup", ["-d", device]))
  execFileSync("mkfs.ext4", ["-q", "-O", "^has_journal", "-E", "nodiscard,lazy_itable_init=0", device])
  const folder = at.path(name)
  mkdirSync(folder)
  const mount = () => execFileSync("mount", ["-o", "errors=remount-ro,discard", device, folder])
  mount()
  unmountAfterwards(folder)
  return {
    folder,
    refuseWrites: () => fill(below),
    breakDown: () => writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, "broken by a test"),
    mountAgain: () => {
      execFileSync("umount", [folder])
      mount()
    }
  }
}

/** Whether there can be a failing disk: that needs loop devices too, which containers often lack. */
export const mayFailDisks =
  mayMount &&
  readdirSync("/dev").includes("loop-control") &&
  readFileSync("/proc/filesystems", "utf8").includes("\text4\n") &&
  spawnSync("losetup", ["-f"]).status === 0 &&
  spawnSync("mkfs.ext4", ["-V"]).status === 0

/** What SQLite finds wrong with a database: `ok`, if nothing. */
export const checked = (at: Place, db: string): unknown => {
  const database = new Database(at.path(db))
  try {
    return database.pragma("integrity_check", { simple: true })
  } finally {
    database.close()
  }
}
