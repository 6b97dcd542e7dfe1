/**
 * Whether a file can be run, told before it is tried, so that the reason is clear: the kernel answers "not found"
 * for a missing interpreter, and a shell hides the reason behind exit 126 or 127.
 */
import { accessSync, closeSync, constants, openSync, readSync } from "node:fs"
import { statOf } from "./FileKind.ts"

export type NotExecutable = "NotFound" | "NotAFile" | "NotExecutable" | "BadInterpreter"

export interface Obstacle {
  readonly reason: NotExecutable
  readonly detail: string
}

/** What keeps the file from being run, if anything. */
export const obstacle = (file: string): Obstacle | undefined => {
  const found = statOf(file)
  if (found === undefined) return { reason: "NotFound", detail: "there is no such file" }
  if (!found.isFile()) return { reason: "NotAFile", detail: "it is not a file" }
  if (!isExecutable(file)) return { reason: "NotExecutable", detail: `it is not executable; run: chmod +x ${file}` }
  return interpreterObstacle(file)
}

/** Whether the file has an execute bit for this process. */
export const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    // Every reason for a refusal means the same here.
    return false
  }
}

const interpreterObstacle = (file: string): Obstacle | undefined => {
  const head = readStart(file)
  // A program may be executable without being readable.
  if (head === undefined) return undefined
  const shebang = /^#![ \t]*([^ \t\n]+)/.exec(head)
  if (shebang === null) {
    return head.includes("\0") && !isProgram(head)
      ? { reason: "BadInterpreter", detail: "it is neither a program nor a script" }
      : undefined
  }
  const interpreter = shebang[1] ?? ""
  if (interpreter.endsWith("\r")) {
    return { reason: "BadInterpreter", detail: "its first line ends with a carriage return; save it with Unix lines" }
  }
  return isExecutable(interpreter)
    ? undefined
    : { reason: "BadInterpreter", detail: `its interpreter ${interpreter} is missing or not executable` }
}

const readStart = (file: string): string | undefined => {
  const buffer = Buffer.alloc(256)
  try {
    const fd = openSync(file, "r")
    try {
      return buffer.toString("latin1", 0, readSync(fd, buffer, 0, buffer.length, 0))
    } finally {
      closeSync(fd)
    }
  } catch {
    // Unreadable: left to the kernel to judge.
    return undefined
  }
}

/** ELF, and the forms of Mach-O. */
const isProgram = (head: string): boolean =>
  head.startsWith("\x7fELF") ||
  ["\xfe\xed\xfa", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"].some((magic) => head.startsWith(magic))
