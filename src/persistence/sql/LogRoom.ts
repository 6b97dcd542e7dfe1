/**
 * Room in the write-ahead log for commits to come (docs/decisions/0009-room-in-the-log.md).
 *
 * A commit that makes the log longer waits for the file system to record that, too: with `synchronous=FULL` it takes
 * about twice as long as one that is written where the log has bytes already. So the log is kept longer than what is in
 * it, by zeros, which SQLite takes for the end of the log.
 *
 * Nobody else appends meanwhile, in this process or another: it is done only by who holds the right to write. SQLite
 * takes no locks on the log, which closing another descriptor of it would give up.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import type { PersistenceError } from "../Persistence.ts"
import { errorOf } from "./SqliteFile.ts"

/** What is added at once, bytes: as much as there is, within limits. */
const least = 128 * 1024
const most = 1024 * 1024

const zeros = Buffer.alloc(most)

export class LogRoom {
  /** How long the log was when it was last seen to. */
  #length = -1

  private constructor(private readonly fd: number) {}

  /** For the log of a database that has been opened; it stays the same file until that is closed. */
  static readonly make = (filename: string): Effect.Effect<LogRoom, PersistenceError, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.try({
        try: () => new LogRoom(NodeFs.openSync(`${filename}-wal`, "r+")),
        catch: (cause) => errorOf(filename, cause)
      }),
      ({ fd }) => Effect.sync(() => NodeFs.closeSync(fd))
    )

  /**
   * To be called in a transaction that writes, before its COMMIT: makes the log longer, where commits have come to its
   * end. Where the file system refuses, as a full disk does, the log is left as it is: whether that is trouble the
   * commit itself tells.
   */
  extend(): void {
    try {
      const { size } = NodeFs.fstatSync(this.fd)
      if (size !== this.#length) this.#length = size + append(this.fd, size)
    } catch (cause) {
      if (!(cause instanceof Error && "syscall" in cause)) throw cause
    }
  }
}

/** How many zeros were added: all or none. */
const append = (fd: number, size: number): number => {
  const more = Math.min(Math.max(size, least), most)
  try {
    if (NodeFs.writeSync(fd, zeros, 0, more, size) === more) return more
  } catch (cause) {
    NodeFs.ftruncateSync(fd, size)
    throw cause
  }
  NodeFs.ftruncateSync(fd, size)
  return 0
}
