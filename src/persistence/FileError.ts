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
  const reason = reasons[code] ?? "Other"
  const path = cause instanceof Error && "path" in cause && typeof cause.path === "string" ? cause.path : "the file"
  return new PersistenceError({
    reason,
    message: reason === "ReadOnly" ? `${path} cannot be written: it is read-only, or not yours (${code})` : message
  })
}
