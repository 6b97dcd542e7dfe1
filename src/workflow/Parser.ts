/**
 * A `.wf` file to its definition, its positions and everything that is wrong with it (spec/language.md, "Grammar").
 * Recursive descent over the tokens, with recovery; it never throws, whatever the text.
 *
 * Lexer makes the tokens, ParserCursor steps through them, ParserValues reads `key = value`, ParserCoerce and
 * ParserOptions say what an option means, ParserNodes, ParserCalls and ParserLeaves make nodes, this module the file.
 */
import * as Effect from "effect/Effect"
import type { Node, WorkflowDefinition } from "./Definition.ts"
import { type Diagnostic, hasErrors, sort } from "./Diagnostic.ts"
import { checkText } from "./FileText.ts"
import { InvalidWorkflow } from "./InvalidWorkflow.ts"
import { Kind, tokenize } from "./Lexer.ts"
import { readBlock, readOptions } from "./ParserBlocks.ts"
import { type Mutable, put } from "./ParserCalls.ts"
import * as Coerce from "./ParserCoerce.ts"
import { Cursor, Mark, shown } from "./ParserCursor.ts"
import { type Input, readInputs } from "./ParserInputs.ts"
import { readName } from "./ParserNames.ts"
import { readAlwaysBody, readNodeInto } from "./ParserNodes.ts"
import { Options } from "./ParserOptions.ts"
import { type Entry, readEntry } from "./ParserValues.ts"
import type { Source, SpanTable } from "./Source.ts"
import { nearest } from "./Suggest.ts"

export { checkText, decodeSource, maxFileBytes } from "./FileText.ts"
export { InvalidWorkflow } from "./InvalidWorkflow.ts"
export { maxNesting, maxProblems } from "./ParserCursor.ts"

export interface ParsedFile {
  readonly source: Source
  /**
   * Always there if `diagnostics` has no error. With errors it is what could be read, for an editor, if the file
   * begins with `workflow NAME`; what could not be read is missing, or `unknown`, or the least possible number.
   */
  readonly definition: WorkflowDefinition | undefined
  readonly spans: SpanTable
  /** All problems, sorted by position. */
  readonly diagnostics: ReadonlyArray<Diagnostic>
}

/** Reads a file; never fails. Size and NUL characters are `decodeSource`'s to refuse. */
export const parse = (source: Source): ParsedFile => parseWith(source, false).file

/** A file without errors, or `InvalidWorkflow` with all of them. */
export const parseEffect = (source: Source): Effect.Effect<ParsedFile, InvalidWorkflow> =>
  Effect.suspend(() => {
    const file = parse(source)
    return hasErrors(file.diagnostics)
      ? Effect.fail(InvalidWorkflow.fromDiagnostics(source.file, file.diagnostics))
      : Effect.succeed(file)
  })

/** `parse`, with what the formatter needs beside it. */
export const parseWith = (
  source: Source,
  withMarks: boolean
): { readonly file: ParsedFile; readonly cursor: Cursor } => {
  const cursor = new Cursor(source, tokenize(source.text), withMarks)
  const definition = readFile(cursor)
  const empty = checkText(source).filter(({ code }) => code === "empty-file")
  const diagnostics = empty.length > 0 ? empty : sort(cursor.diagnostics)
  return { file: { source, definition, spans: cursor.spans, diagnostics }, cursor }
}

/** What the members of a workflow's block add up to. */
interface Parts {
  readonly meta: Array<Entry>
  readonly inputs: Array<Input>
  readonly body: Array<Node>
  readonly always: Array<Node>
}

const readFile = (cursor: Cursor): WorkflowDefinition | undefined => {
  while (cursor.kind() === Kind.Unknown) cursor.advance()
  const start = cursor.start()
  cursor.mark(Mark.Item)
  if (cursor.isWord("workflow")) cursor.advance()
  else if (!misspeltHeader(cursor)) return undefined
  const name = readName(cursor, "the workflow's name")
  const parts: Parts = { meta: [], inputs: [], body: [], always: [] }
  readWorkflowBlock(cursor, parts)
  const end = cursor.lastEnd
  readTrailing(cursor)
  if (name === undefined) return undefined
  const definition = assemble(cursor, name.name, parts)
  cursor.spans.add(definition, start, end, name.start, name.end, parts.meta)
  return definition
}

/** Anything else than `workflow`: passed if a workflow's name and block follow, else the file is none. */
const misspeltHeader = (cursor: Cursor): boolean => {
  const isNear = cursor.kind() === Kind.Identifier && nearest(cursor.text(), ["workflow"]) !== undefined
  cursor.unexpected("`workflow`", isNear ? "did you mean `workflow`?" : "a file is one `workflow NAME { … }`")
  if (cursor.kind() !== Kind.Identifier) return false
  const isHeader = cursor.kind(1) === Kind.Identifier && cursor.kind(2) === Kind.LeftBrace
  if (isHeader) cursor.advance()
  return isHeader || cursor.kind(1) === Kind.LeftBrace
}

const readWorkflowBlock = (cursor: Cursor, parts: Parts): void =>
  readBlock(
    cursor,
    "the workflow's name",
    Mark.Block,
    () => readMember(cursor, parts),
    () => cursor.kind() === Kind.Identifier
  )

const readMember = (cursor: Cursor, parts: Parts): boolean => {
  if (cursor.isEntry()) return strayOption(cursor)
  if (cursor.kind() === Kind.Identifier) {
    switch (cursor.text()) {
      case "meta":
        return readMeta(cursor, parts)
      case "inputs":
        cursor.mark(Mark.Item)
        cursor.advance()
        readInputs(cursor, parts.inputs)
        return true
      case "always":
        cursor.mark(Mark.Item)
        for (const node of readAlwaysBody(cursor)) parts.always.push(node)
        return true
    }
  }
  readNodeInto(cursor, parts.body)
  return true
}

const readMeta = (cursor: Cursor, parts: Parts): true => {
  cursor.mark(Mark.Item)
  cursor.advance()
  for (const entry of readOptions(cursor, "`meta`", Mark.Block, "no inputs")) parts.meta.push(entry)
  return true
}

const metaKeys: ReadonlySet<string> = new Set(["title", "description", "trigger", "targets", "group"])

const strayOption = (cursor: Cursor): true => {
  const key = cursor.text()
  cursor.report({
    code: "misplaced-option",
    message: `the option ${shown(key)} stands directly in the workflow`,
    start: cursor.start(),
    end: cursor.end(),
    hint: metaKeys.has(key)
      ? `write \`meta { ${key} = … }\``
      : "options stand in the braces of a step, such as `call name { … }`"
  })
  readEntry(cursor)
  return true
}

/** Text behind the workflow: one problem, and what of it can be read is searched for more. */
const readTrailing = (cursor: Cursor): void => {
  while (cursor.kind() === Kind.Unknown || cursor.kind() === Kind.Semicolon) {
    cursor.mark(Mark.Separator)
    cursor.advance()
  }
  if (cursor.kind() === Kind.End) return
  const second = cursor.isWord("workflow")
  cursor.report({
    code: "trailing-text",
    message: second ? "a file holds one workflow only" : "the workflow has ended before this",
    start: cursor.start(),
    end: cursor.end(),
    hint: second ? "move it to a file of its own" : "there may be a `}` too many above"
  })
  if (second) return
  const parts: Parts = { meta: [], inputs: [], body: [], always: [] }
  while (cursor.kind() !== Kind.End) {
    const before = cursor.at
    if (cursor.kind() === Kind.RightBrace || cursor.kind() === Kind.Unknown) cursor.advance()
    else readMember(cursor, parts)
    if (cursor.at === before) cursor.recover()
  }
}

const assemble = (cursor: Cursor, name: string, parts: Parts): WorkflowDefinition => {
  const meta = Options.check(cursor, "meta", parts.meta)
  const definition: Mutable<WorkflowDefinition> = {
    name,
    trigger: meta.read("trigger", Coerce.text) ?? "manual",
    targets: meta.read("targets", Coerce.textOrTexts) ?? [],
    inputs: parts.inputs,
    body: parts.body,
    always: parts.always
  }
  put(definition, "title", meta.read("title", Coerce.text))
  put(definition, "description", meta.read("description", Coerce.text))
  put(definition, "group", meta.read("group", Coerce.text))
  return definition
}
