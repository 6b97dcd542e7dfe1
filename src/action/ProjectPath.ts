/**
 * Paths that a workflow writes: below a given folder, whatever dots and symbolic links they hold
 * (spec/language.md, "Actions given as text"; spec/engine.md, "script").
 */
import { realpathSync } from "node:fs"
import { isAbsolute, join, sep } from "node:path"
import { statOf } from "./FileKind.ts"

export type ResolvedPath =
  /** Absolute; symbolic links in it are kept. */
  | { readonly _tag: "Found"; readonly file: string }
  /** The path may not be used, whatever there is. */
  | { readonly _tag: "Refused"; readonly reason: string }
  | { readonly _tag: "Missing"; readonly searched: ReadonlyArray<string> }

/** Looks a relative path up below each of the folders; the first that has it decides. */
export const resolveBelow = (path: string, folders: ReadonlyArray<string>): ResolvedPath => {
  const reason = refusal(path)
  if (reason !== undefined) return { _tag: "Refused", reason }
  const searched: Array<string> = []
  for (const folder of folders) {
    const file = join(folder, path)
    if (statOf(file) === undefined) {
      searched.push(file)
      continue
    }
    return isBelow(realpathSync(file), realpathSync(folder))
      ? { _tag: "Found", file }
      : { _tag: "Refused", reason: `${file} leads out of ${folder} through a symbolic link` }
  }
  return { _tag: "Missing", searched }
}

/** Why no folder may be searched for a path. */
export const refusal = (path: string): string | undefined => {
  if (path.includes("\0")) return "a path cannot hold a NUL character"
  if (isAbsolute(path)) return `'${path}' is absolute; write it relative to the project`
  return path.split(/[/\\]/).includes("..") ? `'${path}' leads out of the project with '..'` : undefined
}

const isBelow = (file: string, folder: string): boolean =>
  file.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`)
