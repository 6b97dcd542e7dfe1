/** The files of a SQLite database as they are at a moment: what a process that is killed then leaves. */
import * as NodeFs from "node:fs"

/** The database and its log; nothing of what is not there. */
export type DatabaseFiles = ReadonlyArray<Buffer | undefined>

const parts = ["", "-wal"]

export const filesOf = (filename: string): DatabaseFiles =>
  parts.map((part) => (NodeFs.existsSync(filename + part) ? NodeFs.readFileSync(filename + part) : undefined))

/** Opening it then recovers the database. */
export const putFiles = (files: DatabaseFiles, filename: string): void => {
  NodeFs.rmSync(`${filename}-shm`, { force: true })
  for (const [index, part] of parts.entries()) {
    const content = files[index]
    if (content === undefined) NodeFs.rmSync(filename + part, { force: true })
    else NodeFs.writeFileSync(filename + part, content)
  }
}
