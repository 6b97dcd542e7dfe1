/** A graph as the text of a Mermaid flowchart, for Markdown pages. */
import type { Graph, GraphContainer, GraphMember, GraphNode, NodeKind } from "./Graph.ts"
import { graphStatuses, type GraphStates, type GraphStatus, stateText } from "./GraphStates.ts"

/** The flowchart's text, ending with a line's end; with `states` the boxes have the colours of what became of them. */
export const toMermaid = (graph: Graph, states: GraphStates = new Map()): string => {
  const lines = ["flowchart TD"]
  const colored = new Map<GraphStatus, Array<string>>()
  writeMembers(graph.members, "  ", states, lines, colored)
  for (const { from, kind, to } of graph.edges) {
    lines.push(kind === "next" ? `  ${from} --> ${to}` : `  ${from} -. again .-> ${to}`)
  }
  for (const status of graphStatuses) {
    const ids = colored.get(status)
    if (ids === undefined) continue
    lines.push(`  classDef ${status} ${styles[status]}`, `  class ${ids.join(",")} ${status}`)
  }
  return `${lines.join("\n")}\n`
}

const writeMembers = (
  members: ReadonlyArray<GraphMember>,
  indent: string,
  states: GraphStates,
  lines: Array<string>,
  colored: Map<GraphStatus, Array<string>>
): void => {
  for (const member of members) {
    const state = states.get(member.path)
    if (state !== undefined) colored.set(state.status, [...(colored.get(state.status) ?? []), member.id])
    const label = labelOf(member, state === undefined ? [] : [stateText(state)])
    if (member._tag === "Node") lines.push(`${indent}${nodeText(member, label)}`)
    else {
      lines.push(`${indent}subgraph ${member.id}["${label}"]`)
      writeMembers(member.members, `${indent}  `, states, lines, colored)
      lines.push(`${indent}end`)
    }
  }
}

const shapes: Readonly<Record<NodeKind, readonly [string, string]>> = {
  start: ["([", "])"],
  end: ["([", "])"],
  call: ["[", "]"],
  workflow: ["[[", "]]"],
  gate: ["{{", "}}"],
  script: ["[/", "/]"],
  condition: ["{", "}"]
}

const nodeText = ({ id, kind }: GraphNode, label: string): string => {
  const [open, close] = shapes[kind]
  return `${id}${open}"${label}"${close}`
}

const labelOf = (member: GraphNode | GraphContainer, more: ReadonlyArray<string>): string =>
  [member.label, ...member.details, ...more].map(escapeMermaid).join("<br/>")

/**
 * Letters, digits and marks that neither Mermaid nor HTML nor Markdown reads anything into. A colon is none of them:
 * Mermaid takes `style…:…#…;` on a line for a style and drops its last semicolon.
 */
const plain = /[^\p{L}\p{M}\p{N}\p{So} _.,()/+\u2026-]/gu

/** A text as it stands in a quoted label: other characters by their numbers, what cannot be shown as U+FFFD. */
export const escapeMermaid = (text: string): string =>
  text.replace(plain, (char) => {
    const code = char.codePointAt(0) ?? 0
    if (code === 0x0a || code === 0x0d || code === 0x09) return " "
    const isShown = code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !(code >= 0xd800 && code < 0xe000)
    return `#${isShown ? code : 0xfffd};`
  })

const styles: Readonly<Record<GraphStatus, string>> = {
  running: "fill:#dbeafe,stroke:#1d4ed8,color:#172554",
  waiting: "fill:#fef3c7,stroke:#b45309,color:#451a03",
  failed: "fill:#fee2e2,stroke:#b91c1c,color:#450a0a",
  timed_out: "fill:#ffedd5,stroke:#c2410c,color:#431407",
  cancelled: "fill:#ede9fe,stroke:#6d28d9,color:#2e1065",
  pending: "fill:#ffffff,stroke:#94a3b8,color:#475569",
  completed: "fill:#dcfce7,stroke:#15803d,color:#052e16",
  skipped: "fill:#f1f5f9,stroke:#94a3b8,color:#64748b,stroke-dasharray:4 3"
}
