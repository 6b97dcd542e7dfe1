/**
 * A graph as an SVG picture that stands on its own: no scripts, no fonts of its own, readable without colours (each
 * state is written in its box too).
 */
import type { ContainerKind, Graph, GraphMember, NodeKind } from "./Graph.ts"
import { type Box, lane, layOut, lineHeight, padding } from "./GraphLayout.ts"
import {
  type GraphState,
  graphStatuses,
  type GraphStates,
  type GraphStatus,
  stateText,
  statusText
} from "./GraphStates.ts"

/** The picture; with `states` the boxes have the colours of what became of them, explained at the bottom. */
export const toSvg = (graph: Graph, states: GraphStates = new Map()): string => {
  const { boxes, height, width } = layOut(graph, ({ path }) => stateLines(states.get(path)))
  const statuses = graphStatuses.filter((status) => [...states.values()].some((state) => state.status === status))
  const legend = statuses.length === 0 ? [] : drawLegend(statuses, height)
  const right = Math.ceil(Math.max(width, statuses.length === 0 ? 0 : statuses.length * legendWidth + 2 * padding))
  const bottom = Math.ceil(height + (statuses.length === 0 ? 0 : 2 * lineHeight))
  const title = graph.title ?? graph.name
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${right}" height="${bottom}" viewBox="0 0 ${right} ${bottom}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${style}</style>`,
    arrowHead,
    `<rect width="${right}" height="${bottom}" fill="#ffffff"/>`,
    ...boxes.map((box) => drawBox(box, states.get(box.member.path))),
    ...drawEdges(graph, boxes),
    ...legend,
    "</svg>",
    ""
  ].join("\n")
}

const stateLines = (state: GraphState | undefined): ReadonlyArray<string> =>
  state === undefined ? [] : [stateText(state)]

/** A text between tags or in an attribute; characters that no XML may hold become U+FFFD. */
export const escapeXml = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => entities[char] ?? char).replace(forbidden, "\ufffd")

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** Control characters, surrogates without a partner and non-characters. */
const forbidden = /(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu

const number = (value: number): string => String(Math.round(value * 10) / 10)

const drawBox = (box: Box, state: GraphState | undefined): string => {
  const { lines, member, x, y } = box
  const classes = [
    member._tag === "Node" ? "node" : "block",
    member.kind,
    ...(state === undefined ? [] : [state.status])
  ]
  const whole = [member.label, ...member.details].join("\n")
  const middle = x + box.width / 2
  const texts = lines.map((line, index) => {
    const at = y + padding + index * lineHeight + lineHeight * 0.75
    const kind = index === 0 ? "name" : "detail"
    return member._tag === "Node"
      ? `<text class="${kind}" x="${number(middle)}" y="${number(at)}" text-anchor="middle">${escapeXml(line)}</text>`
      : `<text class="${kind}" x="${number(x + padding)}" y="${number(at)}">${escapeXml(line)}</text>`
  })
  const open = `<g class="${classes.join(" ")}" data-path="${escapeXml(member.path)}">`
  return `${open}<title>${escapeXml(whole)}</title>${outline(box)}${texts.join("")}</g>`
}

type Points = ReadonlyArray<readonly [x: number, y: number]>

/** The shape says what a step is: round ends, decisions, gates, scripts, workflows with double sides. */
const outline = (box: Box): string => {
  const { member } = box
  if (member._tag === "Container") return rectangle(box, 6)
  switch (member.kind) {
    case "start":
    case "end":
      return rectangle(box, box.height / 2)
    case "call":
      return rectangle(box, 4)
    case "workflow":
      return `${rectangle(box, 0)}${sides(box)}`
    default:
      return polygon(corners(box, member.kind))
  }
}

const rectangle = ({ height, width, x, y }: Box, radius: number): string => {
  const place = `x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}"`
  return `<rect ${place} rx="${number(radius)}"/>`
}

const sides = ({ height, width, x, y }: Box): string => {
  const line = (at: number) => `M${number(at)} ${number(y)}v${number(height)}`
  return `<path d="${line(x + 5)}${line(x + width - 5)}"/>`
}

const polygon = (points: Points): string =>
  `<polygon points="${points.map(([x, y]) => `${number(x)},${number(y)}`).join(" ")}"/>`

const corners = (
  { height, width, x, y }: Box,
  kind: Exclude<NodeKind, "start" | "end" | "call" | "workflow">
): Points => {
  const [right, bottom, slant] = [x + width, y + height, lineHeight * 0.75]
  const script: Points = [
    [x + slant, y],
    [right, y],
    [right - slant, bottom],
    [x, bottom]
  ]
  const hexagon: Points = [
    [x, y + height / 2],
    [x + slant, y],
    [right - slant, y],
    [right, y + height / 2],
    [right - slant, bottom],
    [x + slant, bottom]
  ]
  return kind === "script" ? script : hexagon
}

const drawEdges = (graph: Graph, boxes: ReadonlyArray<Box>): ReadonlyArray<string> => {
  const byId = new Map(boxes.map((box) => [box.member.id, box]))
  const rights = new Map(
    boxes.flatMap((box) => membersOf(box.member).map(({ id }) => [id, box.x + box.width] as const))
  )
  return graph.edges.flatMap(({ from, kind, to }) => {
    const [source, target] = [byId.get(from), byId.get(to)]
    if (source === undefined || target === undefined) return []
    return [kind === "next" ? straight(source, target) : wayBack(source, target, rights.get(from) ?? 0)]
  })
}

const membersOf = (member: GraphMember): ReadonlyArray<GraphMember> =>
  member._tag === "Container" ? member.members : []

const straight = (from: Box, to: Box): string => {
  const x = number(from.x + from.width / 2)
  return `<path class="edge" marker-end="url(#arrow)" d="M${x} ${number(from.y + from.height)}V${number(to.y - 2)}"/>`
}

/** From the last box of a loop along its right border to its first. */
const wayBack = (from: Box, to: Box, border: number): string => {
  const start = `M${number(from.x + from.width)} ${number(from.y + from.height / 2)}`
  const way = `H${number(border - lane / 2)}V${number(to.y + to.height / 2)}H${number(to.x + to.width + 2)}`
  return `<path class="edge again" marker-end="url(#arrow)" d="${start}${way}"/>`
}

const legendWidth = 100

const drawLegend = (statuses: ReadonlyArray<GraphStatus>, top: number): ReadonlyArray<string> =>
  statuses.map((status, index) => {
    const x = padding + index * legendWidth
    const swatch = `<rect x="${number(x)}" y="${number(top)}" width="14" height="14" rx="3"/>`
    const text = `<text class="detail" x="${number(x + 20)}" y="${number(top + 11)}">${statusText(status)}</text>`
    return `<g class="legend ${status}">${swatch}${text}</g>`
  })

const arrowHead =
  '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">' +
  '<path d="M0 0L10 5L0 10z" fill="#64748b"/></marker></defs>'

/** Fill, border and further properties of the boxes in a state. */
const stateStyles: Readonly<Record<GraphStatus, string>> = {
  running: "fill:#dbeafe;stroke:#1d4ed8;stroke-width:2",
  waiting: "fill:#fef3c7;stroke:#b45309;stroke-width:2",
  failed: "fill:#fee2e2;stroke:#b91c1c;stroke-width:2",
  timed_out: "fill:#ffedd5;stroke:#c2410c;stroke-width:2",
  cancelled: "fill:#ede9fe;stroke:#6d28d9",
  pending: "fill:#ffffff;stroke:#94a3b8",
  completed: "fill:#dcfce7;stroke:#15803d",
  skipped: "fill:#f1f5f9;stroke:#94a3b8;stroke-dasharray:4 3"
}

const blockFills: Readonly<Partial<Record<ContainerKind, string>>> = { always: "#fafaf9", workflow: "#f0f9ff" }

const style = [
  'text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#0f172a}',
  ".name{font-weight:600}.detail{fill:#475569}",
  ".node>rect,.node>polygon,.node>path{fill:#f8fafc;stroke:#475569}.node>path{fill:none}",
  ".block>rect{fill:#ffffff;stroke:#cbd5e1}",
  ...Object.entries(blockFills).map(([kind, fill]) => `.${kind}.block>rect{fill:${fill}}`),
  ".edge{fill:none;stroke:#64748b;stroke-width:1.2}.again{stroke-dasharray:5 3}",
  ...graphStatuses.map((status) => {
    const shapes = `.node.${status}>rect,.node.${status}>polygon,.legend.${status}>rect{${stateStyles[status]}}`
    return `${shapes}.block.${status}>rect{${stateStyles[status].replace(/fill:[^;]*;/, "")}}`
  })
].join("")
