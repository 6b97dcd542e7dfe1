/**
 * Reading a project's text files within limits: what is no file, too large or unreadable is said, not read.
 */
import { readFileSync, statSync } from "node:fs"
import { isAbsolute, relative } from "node:path"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Diagnostic } from "../workflow/Diagnostic.ts"
import { hasErrors } from "../workflow/Diagnostic.ts"
import type { OutputSchema } from "../workflow/OutputSchema.ts"
import * as OutputSchemaYaml from "../workflow/OutputSchemaYaml.ts"
import * as Parser from "../workflow/Parser.ts"
import type { Source } from "../workflow/Source.ts"
import { ifReachable } from "./FileKind.ts"

/** A file that cannot be read at all; what is wrong inside of one is told by diagnostics. */
export class FileUnreadable extends Schema.TaggedError<FileUnreadable>()("FileUnreadable", {
  file: Schema.String,
  reason: Schema.Literal("NotFound", "Directory", "NotAFile", "TooLarge", "NotText", "System"),
  detail: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.detail}`
  }
}

/** A path as messages show it: relative to where the user stands, if it is below. */
export const shownPath = (file: string): string => {
  const path = relative(process.cwd(), file)
  return path === "" || path.startsWith("..") || isAbsolute(path) ? file : path
}

/** Reads and parses a workflow file. Binary, empty and broken ones have diagnostics. */
export const readWorkflow = (file: string): Either.Either<Parser.ParsedFile, FileUnreadable> =>
  Either.map(readSource(file), (source) =>
    Either.match(source, { onLeft: (diagnostics) => unparsed(file, diagnostics), onRight: Parser.parse })
  )

export type ReadSchema =
  | { readonly _tag: "Found"; readonly schema: OutputSchema; readonly warnings: ReadonlyArray<Diagnostic> }
  | { readonly _tag: "Invalid"; readonly diagnostics: ReadonlyArray<Diagnostic> }

/** Reads and parses an output schema; its name is what the step calls it. */
export const readSchema = (name: string, file: string): Either.Either<ReadSchema, FileUnreadable> =>
  Either.map(readSource(file), (source) => {
    if (Either.isLeft(source)) return { _tag: "Invalid", diagnostics: source.left }
    const { diagnostics, schema } = OutputSchemaYaml.parse(name, source.right)
    return schema === undefined || hasErrors(diagnostics)
      ? { _tag: "Invalid", diagnostics }
      : { _tag: "Found", schema, warnings: diagnostics }
  })

/** The text of a prompt file; a byte order mark is dropped. */
export const readText = (file: string): Either.Either<string, FileUnreadable> =>
  Either.flatMap(readSource(file), (source) => {
    if (Either.isRight(source)) return Either.right(source.right.text)
    const problem = source.left[0]
    if (problem === undefined || problem.code === "empty-file") return Either.right("")
    return Either.left(new FileUnreadable({ file: shownPath(file), reason: "NotText", detail: problem.message }))
  })

type Decoded = Either.Either<Source, ReadonlyArray<Diagnostic>>

const readSource = (file: string): Either.Either<Decoded, FileUnreadable> => {
  const shown = shownPath(file)
  const refuse = (reason: FileUnreadable["reason"], detail: string) =>
    Either.left(new FileUnreadable({ file: shown, reason, detail }))
  try {
    const stat = statSync(file, { throwIfNoEntry: false })
    if (stat === undefined) return refuse("NotFound", "there is no such file")
    if (stat.isDirectory()) return refuse("Directory", "it is a directory, not a file")
    if (!stat.isFile()) return refuse("NotAFile", "it is not a file")
    if (stat.size > Parser.maxFileBytes) {
      return refuse("TooLarge", `it has ${stat.size} bytes, but at most ${Parser.maxFileBytes} are read`)
    }
    return Either.right(Parser.decodeSource(shown, readFileSync(file)))
  } catch (error) {
    return refuse("System", error instanceof Error ? error.message : String(error))
  }
}

const unparsed = (file: string, diagnostics: ReadonlyArray<Diagnostic>): Parser.ParsedFile => ({
  source: diagnostics[0]?.source ?? { file: shownPath(file), text: "" },
  definition: undefined,
  spans: { node: () => undefined, name: () => undefined, option: () => undefined },
  diagnostics
})

/** Keeps what was read from a file until the file changes. */
export const cachedByFile = <A>(read: (file: string) => A): ((file: string) => A) => {
  const cache = new Map<string, { readonly version: string; readonly value: A }>()
  return (file) => {
    const version = versionOf(file)
    const before = cache.get(file)
    if (before !== undefined && before.version === version) return before.value
    const value = read(file)
    cache.set(file, { version, value })
    return value
  }
}

const versionOf = (file: string): string => {
  const stat = ifReachable(() => statSync(file, { bigint: true, throwIfNoEntry: false }))
  return stat === undefined ? "none" : `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`
}
