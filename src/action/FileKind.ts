/**
 * What stands at a path that a user or a workflow wrote. A path at which nothing can stand is no reason to die: to all
 * who ask, there is nothing, and they say what they looked for.
 */
import { type Stats, statSync } from "node:fs"

/** Links in a circle; a name that no file can have; a folder that this process may not look into; below a file. */
const unreachable: ReadonlySet<string> = new Set(["ELOOP", "ENAMETOOLONG", "EACCES", "ENOTDIR"])

/** What a look at a path gives; undefined: there is nothing that can be reached. */
export const ifReachable = <A>(look: () => A): A | undefined => {
  try {
    return look()
  } catch (error) {
    if (error instanceof Error && "code" in error && unreachable.has(String(error.code))) return undefined
    throw error
  }
}

/** What is there, behind symbolic links. */
export const statOf = (path: string): Stats | undefined => ifReachable(() => statSync(path, { throwIfNoEntry: false }))

export const isFolder = (path: string): boolean => statOf(path)?.isDirectory() === true

export const isFile = (path: string): boolean => statOf(path)?.isFile() === true
