/** What is answered to each request: its parameters, read, and the module that knows the answer. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { completionsAt } from "./Completion.ts"
import { formattingOf } from "./Formatting.ts"
import { definitionAt } from "./GoTo.ts"
import { hoverAt } from "./Hover.ts"
import { ErrorCode, RequestRefused } from "./JsonRpc.ts"
import { DocumentParams, type Position, PositionParams } from "./Protocol.ts"
import { symbolsOf } from "./Symbols.ts"
import type { Subject, Workspace } from "./Workspace.ts"

type Answer = (workspace: Workspace, params: unknown) => Effect.Effect<unknown, RequestRefused>

/** The parameters of a message as their schema has them; others are refused. */
export const readParams = <A, I>(schema: Schema.Schema<A, I>, params: unknown): Effect.Effect<A, RequestRefused> =>
  Effect.mapError(
    Schema.decodeUnknown(schema)(params),
    ({ message }) => new RequestRefused({ code: ErrorCode.invalidParams, detail: message })
  )

const subjectOf = (workspace: Workspace, uri: string): Effect.Effect<Subject, RequestRefused> => {
  const document = workspace.find(uri)
  return document === undefined
    ? Effect.fail(new RequestRefused({ code: ErrorCode.invalidParams, detail: `the document ${uri} is not open` }))
    : workspace.subject(document)
}

const atPosition =
  (answer: (subject: Subject, position: Position) => unknown): Answer =>
  (workspace, params) =>
    Effect.flatMap(readParams(PositionParams, params), ({ position, textDocument }) =>
      Effect.map(subjectOf(workspace, textDocument.uri), (subject) => answer(subject, position))
    )

const ofDocument =
  (answer: (subject: Subject) => unknown): Answer =>
  (workspace, params) =>
    Effect.flatMap(readParams(DocumentParams, params), ({ textDocument }) =>
      Effect.map(subjectOf(workspace, textDocument.uri), answer)
    )

/** The requests that are answered while the server is running. */
export const answers: ReadonlyMap<string, Answer> = new Map([
  ["textDocument/hover", atPosition(hoverAt)],
  ["textDocument/definition", atPosition(definitionAt)],
  [
    "textDocument/completion",
    atPosition((subject, at) => ({ isIncomplete: false, items: completionsAt(subject, at) }))
  ],
  ["textDocument/documentSymbol", ofDocument(({ document }) => symbolsOf(document))],
  ["textDocument/formatting", ofDocument(({ document }) => formattingOf(document))]
])
