/**
 * A database beside a log that is not its own: the file was replaced by an older copy, and the log that a crash had left
 * stayed. SQLite would write the pages of one over the other; nothing in its format ties the two together.
 *
 * What tells: page 1 counts its changes, and a log begins only when all that was in the one before it is in the file. So
 * the file's count is at most one behind the first in its log. That finds every copy from which at least two processes
 * have made the database grow since; a connection may use a count twice. A log without page 1 (nothing in it made the
 * file grow) tells nothing.
 * Format: https://sqlite.org/fileformat2.html
 */
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import { PersistenceError } from "../Persistence.ts"

export const logHeaderBytes = 32
export const frameHeaderBytes = 24

const magic = Buffer.from("SQLite format 3\0", "latin1")
/** The header of page 1, which begins the file. */
const pageHeaderBytes = 100

/** Fails where the log beside a database cannot be its own. Safe beside others that write: see `firstInLog`. */
export const checkLog = (filename: string): void => {
  // The log is read before the file, whose count only grows: what others write meanwhile cannot mislead.
  const first = firstInLog(`${filename}-wal`)
  const now = first === undefined ? undefined : reading(filename, (fd) => countOf(bytesAt(fd, 0, pageHeaderBytes)))
  if (first === undefined || now === undefined || now >= first - 1) return
  const log = `${NodePath.basename(filename)}-wal`
  throw new PersistenceError({
    reason: "Corrupt",
    message:
      `${filename}: the log beside it, ${log}, belongs to a later state of it: was an older copy put in its place? ` +
      `To go on with that copy, delete ${log} and ${NodePath.basename(filename)}-shm; ` +
      "to go on where the log ended, put the file that it belongs to back"
  })
}

/** The count in the first page 1 of the log's present generation; undefined if there is none. */
const firstInLog = (log: string): number | undefined =>
  reading(log, (fd) => {
    const header = bytesAt(fd, 0, logHeaderBytes)
    // Before its first commit a log may be nothing but the room that is kept in it (`LogRoom`).
    if (header === undefined || !isLog(header)) return undefined
    const size = frameHeaderBytes + header.readUInt32BE(8)
    const salt = header.subarray(16, 24)
    for (let start = logHeaderBytes; ; start += size) {
      const frame = bytesAt(fd, start, frameHeaderBytes + pageHeaderBytes)
      if (frame === undefined || !frame.subarray(8, 16).equals(salt)) return undefined
      const count = frame.readUInt32BE(0) === 1 ? countOf(frame.subarray(frameHeaderBytes)) : undefined
      if (count !== undefined) return count
    }
  })

const isLog = (header: Buffer): boolean => (header.readUInt32BE(0) & ~1) === 0x377f0682

/** Of a header that is whole: the count stands in it twice. A loss of power may have left anything. */
const countOf = (header: Buffer | undefined): number | undefined => {
  if (header === undefined || !header.subarray(0, magic.length).equals(magic)) return undefined
  const count = header.readUInt32BE(24)
  return header.readUInt32BE(92) === count ? count : undefined
}

/** Undefined where there is no file. */
const reading = <A>(file: string, use: (fd: number) => A): A | undefined => {
  if (!NodeFs.existsSync(file)) return undefined
  const fd = NodeFs.openSync(file, "r")
  try {
    return use(fd)
  } finally {
    NodeFs.closeSync(fd)
  }
}

/** Undefined where the file ends before. */
const bytesAt = (fd: number, position: number, length: number): Buffer | undefined => {
  const bytes = Buffer.allocUnsafe(length)
  return NodeFs.readSync(fd, bytes, 0, length, position) === length ? bytes : undefined
}
