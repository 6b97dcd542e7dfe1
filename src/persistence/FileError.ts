/** What the file system reports, as the store's error. */
import { PersistenceError } from "./Persistence.ts"

const reasons: Readonly<Record<string, PersistenceError["reason"]>> = {
  EACCES: "ReadOnly",
  EPERM: "ReadOnly",
  EROFS: "ReadOnly",
  ENOSPC: "Full",
  EDQUOT: "Full",
  EIO: "Io"
}

/** The message of a file system's error names the file. */
export const fileError = (cause: unknown): PersistenceError => {
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : ""
  const message = cause instanceof Error ? cause.message : String(cause)
  return new PersistenceError({ reason: reasons[code] ?? "Other", message })
}
