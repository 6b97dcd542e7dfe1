/**
 * The text that `parse` and `fmt` read: a workflow's file, or the standard input for `-`.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type FileUnreadable, readWorkflow } from "../action/ProjectFiles.ts"
import { decodeSource, InvalidWorkflow, maxFileBytes, parse, type ParsedFile } from "../workflow/Parser.ts"
import { locateWorkflow, type NotLocated } from "./Check.ts"

export interface SourceFile {
  /** Undefined: the standard input. */
  readonly file: string | undefined
  readonly parsed: ParsedFile
}

export const readSource = (
  name: string,
  home: string | undefined
): Effect.Effect<SourceFile, NotLocated | FileUnreadable | InvalidWorkflow> =>
  Effect.gen(function* () {
    if (name === "-") return { file: undefined, parsed: yield* readInput }
    const { file } = yield* locateWorkflow(name, home)
    return { file, parsed: yield* Effect.suspend(() => readWorkflow(file)) }
  })

const inputName = "<stdin>"

const readInput: Effect.Effect<ParsedFile, InvalidWorkflow> = Effect.gen(function* () {
  const bytes = yield* Effect.promise(readAll)
  const source = decodeSource(inputName, bytes)
  if (Either.isLeft(source)) return yield* InvalidWorkflow.fromDiagnostics(inputName, source.left)
  return parse(source.right)
})

/** No more than is needed to say that it is too much. */
const readAll = async (): Promise<Uint8Array> => {
  const chunks: Array<Buffer> = []
  let size = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    chunks.push(bytes)
    size += bytes.length
    if (size > maxFileBytes) break
  }
  return Buffer.concat(chunks)
}
