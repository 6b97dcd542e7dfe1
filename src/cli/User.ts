/** Who answers a gate. */
import { userInfo } from "node:os"

/** The user's name; the number, where the system knows no name for it, as in many a container. */
export const userName = (): string => {
  try {
    return userInfo().username
  } catch {
    return process.env["USER"] ?? `user ${process.getuid?.() ?? "unknown"}`
  }
}
