/**
 * The part of the Language Server Protocol (3.17) that is spoken: schemas for what comes in, types for what goes out.
 */
import * as Schema from "effect/Schema"

/** Lines and UTF-16 code units in them count from 0. */
export const Position = Schema.Struct({ line: Schema.NonNegativeInt, character: Schema.NonNegativeInt })
export type Position = typeof Position.Type

export const Range = Schema.Struct({ start: Position, end: Position })
export type Range = typeof Range.Type

export interface Location {
  readonly uri: string
  readonly range: Range
}

const TextDocument = Schema.Struct({ uri: Schema.String })

export const InitializeParams = Schema.Struct({
  rootUri: Schema.optional(Schema.NullOr(Schema.String)),
  workspaceFolders: Schema.optional(Schema.NullOr(Schema.Array(Schema.Struct({ uri: Schema.String }))))
})
export type InitializeParams = typeof InitializeParams.Type

export const DidOpenParams = Schema.Struct({
  textDocument: Schema.Struct({ uri: Schema.String, version: Schema.Int, text: Schema.String })
})

/** Without a range the text is the whole document's. */
export const ContentChange = Schema.Struct({ range: Schema.optional(Range), text: Schema.String })
export type ContentChange = typeof ContentChange.Type

export const DidChangeParams = Schema.Struct({
  textDocument: Schema.Struct({ uri: Schema.String, version: Schema.NullOr(Schema.Int) }),
  contentChanges: Schema.Array(ContentChange)
})

export const DocumentParams = Schema.Struct({ textDocument: TextDocument })
export const PositionParams = Schema.Struct({ textDocument: TextDocument, position: Position })
export const CancelParams = Schema.Struct({ id: Schema.Union(Schema.Number, Schema.String) })

export const DiagnosticSeverity = { error: 1, warning: 2 } as const

export interface LspDiagnostic {
  readonly range: Range
  readonly severity: number
  readonly code: string
  readonly source: "millrace"
  readonly message: string
  /** Where the finding really stands, if in another file. */
  readonly relatedInformation?: ReadonlyArray<{ readonly location: Location; readonly message: string }>
}

export interface Hover {
  readonly contents: { readonly kind: "markdown"; readonly value: string }
  readonly range: Range
}

export const CompletionKind = {
  method: 2,
  function: 3,
  variable: 6,
  interface: 8,
  module: 9,
  property: 10,
  value: 12,
  keyword: 14,
  file: 17,
  enumMember: 20,
  event: 23
} as const

export interface CompletionItem {
  readonly label: string
  readonly kind: number
  readonly detail?: string
  readonly documentation?: { readonly kind: "markdown"; readonly value: string }
  readonly sortText: string
  readonly filterText: string
  readonly textEdit: TextEdit
}

export interface TextEdit {
  readonly range: Range
  readonly newText: string
}

export const SymbolKind = {
  module: 2,
  namespace: 3,
  method: 6,
  property: 7,
  function: 12,
  variable: 13,
  boolean: 17,
  array: 18,
  event: 24,
  operator: 25
} as const

export interface DocumentSymbol {
  readonly name: string
  readonly detail?: string
  readonly kind: number
  readonly range: Range
  readonly selectionRange: Range
  readonly children: ReadonlyArray<DocumentSymbol>
}

export const capabilities = {
  positionEncoding: "utf-16",
  textDocumentSync: { openClose: true, change: 2, save: { includeText: false } },
  hoverProvider: true,
  definitionProvider: true,
  documentSymbolProvider: true,
  documentFormattingProvider: true,
  completionProvider: { triggerCharacters: [".", "=", '"', "{", "["] },
  workspace: { workspaceFolders: { supported: true } }
} as const
