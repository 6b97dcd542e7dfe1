/** The outline of a document: its workflow, the inputs, and the steps in their blocks. */
import type { BranchCall, InputDeclaration, Node } from "../workflow/Definition.ts"
import type { Span } from "../workflow/Source.ts"
import { nodeKey } from "../workflow/StepNames.ts"
import type { OpenDocument } from "./Document.ts"
import { type DocumentSymbol, SymbolKind } from "./Protocol.ts"

/** The outline; empty where there is no workflow yet. */
export const symbolsOf = (document: OpenDocument): ReadonlyArray<DocumentSymbol> => {
  const { definition } = document.file
  if (definition === undefined) return []
  const children = [
    ...definition.inputs.map((input) => inputSymbol(document, input)),
    ...definition.body.map((node) => nodeSymbol(document, node)),
    ...definition.always.map((node) => nodeSymbol(document, node, "always"))
  ]
  return [symbol(document, definition, definition.name, SymbolKind.module, definition.title, children)]
}

const inputSymbol = (document: OpenDocument, input: InputDeclaration): DocumentSymbol => {
  const kind = input.boolean ? SymbolKind.boolean : SymbolKind.variable
  return symbol(document, input, input.name, kind, input.description, [])
}

const nodeSymbol = (document: OpenDocument, node: Node | BranchCall, detail?: string): DocumentSymbol => {
  const inner: ReadonlyArray<Node | BranchCall> = "body" in node ? node.body : "calls" in node ? node.calls : []
  const children = inner.map((child) => nodeSymbol(document, child))
  return symbol(document, node, nodeKey(node), kindOf(node), detail, children)
}

const kindOf = (node: Node | BranchCall): number => {
  switch (node._tag) {
    case "Call":
      return SymbolKind.function
    case "Script":
      return SymbolKind.method
    case "CallWorkflow":
      return SymbolKind.module
    case "Gate":
    case "QualityGate":
      return SymbolKind.event
    case "Foreach":
    case "Pipeline":
    case "Parallel":
      return SymbolKind.array
    case "If":
    case "Unless":
    case "While":
    case "DoWhile":
      return SymbolKind.operator
    case "Do":
    case "Always":
      return SymbolKind.namespace
  }
}

/** Editors refuse a symbol without a name, which half-typed text may have. */
const unnamed = "(unnamed)"

const symbol = (
  { file, lines }: OpenDocument,
  place: object,
  name: string,
  kind: number,
  detail: string | undefined,
  children: ReadonlyArray<DocumentSymbol>
): DocumentSymbol => {
  const whole = file.spans.node(place) ?? { start: 0, end: 0 }
  return {
    name: name === "" ? unnamed : name,
    kind,
    range: lines.rangeOf(whole),
    selectionRange: lines.rangeOf(within(file.spans.name(place) ?? whole, whole)),
    children,
    ...(detail === undefined ? {} : { detail })
  }
}

/** Editors refuse a name that is not inside of its range. */
const within = (name: Span, whole: Span): Span => {
  const start = Math.min(Math.max(name.start, whole.start), whole.end)
  return { start, end: Math.min(Math.max(name.end, start), whole.end) }
}
