/**
 * Whether a path still names the file that was opened: one that was deleted or replaced lives on, unseen, as long as it
 * is open.
 */
import { statSync } from "node:fs"
import * as Effect from "effect/Effect"

/** Device and inode; undefined: there is no file. */
export type FileIdentity = string | undefined

export const identityOf = (path: string): FileIdentity => {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
}

/** Between two looks at a file, ms. */
const interval = 1_000

const untilTrue = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (holds() ? Effect.void : Effect.zipRight(Effect.sleep(interval), untilTrue(holds))))

/** Waits until the path names another file, or none. */
export const untilReplaced = (path: string, opened: FileIdentity): Effect.Effect<void> =>
  untilTrue(() => identityOf(path) !== opened)

/** Waits until there is a file. */
export const untilThere = (path: string): Effect.Effect<void> => untilTrue(() => identityOf(path) !== undefined)
