/**
 * What a loss of power leaves of a SQLite database: the file as last checkpointed, and a prefix of its write-ahead log,
 * cut at any byte. (kill -9 does not show this: the page cache survives it.)
 *
 * Write with `walAutocheckpoint: 0`, and cut while the database is still open: closing it copies the log and deletes
 * it. Format: https://sqlite.org/fileformat2.html#walformat
 */
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as NodeFs from "node:fs"
import { frameHeaderBytes, logHeaderBytes } from "../persistence/sql/StaleLog.ts"

export interface WalFrame {
  /** Offsets in the log, bytes. */
  readonly start: number
  readonly end: number
  /** The last frame of a transaction. */
  readonly commits: boolean
}

export interface WalCut {
  /** How many bytes of the log are left. */
  readonly bytes: number
  /** Whole transactions in them. */
  readonly commits: number
  /** Whether the last frame is incomplete. */
  readonly torn: boolean
}

/** The frames of the log's present generation; what an earlier one left behind them does not count. */
export const walFrames = (wal: Buffer): ReadonlyArray<WalFrame> => {
  if (wal.length < logHeaderBytes) return []
  const size = frameHeaderBytes + wal.readUInt32BE(8)
  const salt = wal.subarray(16, 24)
  const frames: Array<WalFrame> = []
  for (let start = logHeaderBytes; start + size <= wal.length; start += size) {
    if (!wal.subarray(start + 8, start + 16).equals(salt)) break
    frames.push({ start, end: start + size, commits: wal.readUInt32BE(start + 4) !== 0 })
  }
  return frames
}

/** No log at all; then, for each frame, a cut in its middle and one behind it. */
export const walCuts = (filename: string): Effect.Effect<ReadonlyArray<WalCut>> =>
  Effect.sync(() => {
    let commits = 0
    const cuts: Array<WalCut> = [{ bytes: 0, commits, torn: false }]
    for (const { start, end, commits: last } of walFrames(NodeFs.readFileSync(`${filename}-wal`))) {
      cuts.push({ bytes: Math.floor((start + end) / 2), commits, torn: true })
      if (last) commits += 1
      cuts.push({ bytes: end, commits, torn: false })
    }
    return cuts
  })

/** Copies the database with its log cut there; opening the copy recovers it. */
export const copyCut = (filename: string, cut: WalCut, copy: string): Effect.Effect<void> =>
  Effect.sync(() => {
    NodeFs.copyFileSync(filename, copy)
    NodeFs.writeFileSync(`${copy}-wal`, NodeFs.readFileSync(`${filename}-wal`).subarray(0, cut.bytes))
  })

/** What SQLite finds wrong with a file; nothing, if all is well. */
export const integrityCheck = (filename: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Database(filename)),
    (database) =>
      Effect.sync(() => {
        const problems = database.prepare("PRAGMA integrity_check").pluck().all().map(String)
        return problems.filter((problem) => problem !== "ok")
      }),
    (database) => Effect.sync(() => database.close())
  )
