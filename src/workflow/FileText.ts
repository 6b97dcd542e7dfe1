/** Bytes to source text: what makes a file unfit to be parsed at all. */
import * as Either from "effect/Either"
import type { Diagnostic } from "./Diagnostic.ts"
import type { Source } from "./Source.ts"
import type { SyntaxCode } from "./SyntaxCodes.ts"

/** The largest workflow file that is read, in bytes: 1 MiB. */
export const maxFileBytes = 1_048_576

/**
 * The text of a file, or why it has none: too large, not UTF-8, binary, empty. A byte order mark is dropped.
 */
export const decodeSource = (file: string, bytes: Uint8Array): Either.Either<Source, ReadonlyArray<Diagnostic>> => {
  const refuse = (code: SyntaxCode, message: string, hint: string) =>
    Either.left([{ severity: "error", code, message, source: { file, text: "" }, hint } as const])
  if (bytes.length > maxFileBytes) return refuse("file-too-large", tooLarge(bytes.length), tooLargeHint)
  if (isUtf16(bytes)) return refuse("not-utf8", "the file is UTF-16, not UTF-8", "save it as UTF-8")
  if (bytes.includes(0)) return refuse("binary-file", "the file is binary", "a workflow file is UTF-8 text")
  const text = decodeUtf8(bytes)
  if (text === undefined) return refuse("not-utf8", "the file is not UTF-8", "save it as UTF-8")
  const source = { file, text }
  const problems = checkText(source)
  return problems.length === 0 ? Either.right(source) : Either.left(problems)
}

/** What is wrong with a text before any of it is read: too large, NUL characters, empty. */
export const checkText = (source: Source): ReadonlyArray<Diagnostic> => {
  const { text } = source
  const refuse = (code: SyntaxCode, message: string, hint: string, start: number): ReadonlyArray<Diagnostic> => [
    { severity: "error", code, message, source, span: { start, end: start }, hint }
  ]
  if (text.length > maxFileBytes) return refuse("file-too-large", tooLarge(text.length), tooLargeHint, 0)
  const nul = text.indexOf("\0")
  if (nul !== -1) return refuse("binary-file", "the file is binary", "a workflow file is UTF-8 text", nul)
  return text.trim() === "" ? refuse("empty-file", "the file is empty", "write `workflow NAME { … }`", 0) : []
}

const tooLarge = (size: number): string => `the file has ${size} bytes, but a workflow file has at most ${maxFileBytes}`
const tooLargeHint = "divide the workflow into several that call each other"

const isUtf16 = (bytes: Uint8Array): boolean =>
  (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)

const decodeUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
