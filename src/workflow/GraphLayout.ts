/**
 * Where the boxes of a graph stand: blocks are boxes around boxes, steps stand below each other, the branches of a
 * parallel block side by side, in rows. Boxes of one block never overlap, because each takes its own part of it.
 */
import type { Graph, GraphContainer, GraphMember } from "./Graph.ts"
import { toCells, widthOf } from "./TerminalText.ts"

export interface Box {
  readonly member: GraphMember
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  /** The texts in it, from its top; cut where they are long. */
  readonly lines: ReadonlyArray<string>
}

export interface Layout {
  readonly width: number
  readonly height: number
  /** A container in front of its members. */
  readonly boxes: ReadonlyArray<Box>
}

/** Width of a column and height of a line, in pixels, for a monospaced font of 12 px. */
export const column = 7.3
export const lineHeight = 16
/** Between the border of a box and its text, and around the whole picture. */
export const padding = 10
/** Between two boxes below each other: room for an arrow. */
const gap = 28
/** Between two boxes side by side. */
const aisle = 18
/** At a loop's right side, for the way back. */
export const lane = 30
/** Boxes of a parallel block in one row. */
const maxInRow = 6
/** Columns of a label that are shown. */
const maxColumns = 44
const minWidth = 90

/** Further lines of a box, such as its state. */
export type MoreLines = (member: GraphMember) => ReadonlyArray<string>

export const layOut = (graph: Graph, more: MoreLines = () => []): Layout => {
  const arranged = stack(graph.members.map((member) => measure(member, more)))
  const boxes: Array<Box> = []
  place(arranged, padding, padding, boxes)
  return { width: arranged.width + 2 * padding, height: arranged.height + 2 * padding, boxes }
}

/** Boxes with their places inside of a rectangle. */
interface Arranged {
  readonly width: number
  readonly height: number
  readonly items: ReadonlyArray<{ readonly x: number; readonly y: number; readonly measured: Measured }>
}

interface Measured {
  readonly member: GraphMember
  readonly width: number
  readonly height: number
  readonly lines: ReadonlyArray<string>
  /** Absent in a node. */
  readonly inner?: { readonly x: number; readonly y: number; readonly arranged: Arranged }
}

const measure = (member: GraphMember, more: MoreLines): Measured => {
  const lines = [member.label, ...member.details, ...more(member)].map(cut)
  const text = Math.max(...lines.map((line) => columns(line) * column))
  if (member._tag === "Container") return measureContainer(member, lines, text, more)
  // The slanted sides of a decision's, a gate's and a script's shape need room too.
  const slant = member.kind === "call" || member.kind === "workflow" ? 0 : lineHeight
  const width = Math.max(
    member.kind === "start" || member.kind === "end" ? 0 : minWidth,
    text + 2 * padding + 2 * slant
  )
  return { member, lines, width, height: lines.length * lineHeight + 2 * padding }
}

const measureContainer = (
  member: GraphContainer,
  lines: ReadonlyArray<string>,
  text: number,
  more: MoreLines
): Measured => {
  const members = member.members.map((inner) => measure(inner, more))
  const arranged = member.kind === "parallel" ? rows(members) : stack(members)
  const side = member.kind === "while" || member.kind === "do-while" ? lane : 0
  const head = lines.length * lineHeight + 1.5 * padding
  const width = Math.max(minWidth, text + 2 * padding, arranged.width + 2 * (padding + side))
  const foot = arranged.height === 0 ? 0 : padding
  const inner = { x: (width - arranged.width) / 2, y: head, arranged }
  return { member, lines, width, height: head + arranged.height + foot, inner }
}

/** One below the other, in the middle. */
const stack = (members: ReadonlyArray<Measured>): Arranged => {
  const width = Math.max(0, ...members.map((member) => member.width))
  let y = 0
  const items = members.map((measured) => {
    const item = { x: (width - measured.width) / 2, y, measured }
    y += measured.height + gap
    return item
  })
  return { width, height: Math.max(0, y - gap), items }
}

/** Side by side, a few in a row. */
const rows = (members: ReadonlyArray<Measured>): Arranged => {
  const count = Math.ceil(members.length / maxInRow)
  const perRow = Math.ceil(members.length / Math.max(1, count))
  const lines = Array.from({ length: count }, (_, index) => row(members.slice(index * perRow, (index + 1) * perRow)))
  const width = Math.max(0, ...lines.map((line) => line.width))
  let top = 0
  const items = lines.flatMap((line) => {
    const left = (width - line.width) / 2
    const placed = line.items.map((item) => ({ ...item, x: item.x + left, y: item.y + top }))
    top += line.height + aisle
    return placed
  })
  return { width, height: Math.max(0, top - aisle), items }
}

const row = (members: ReadonlyArray<Measured>): Arranged => {
  let x = 0
  const items = members.map((measured) => {
    const item = { x, y: 0, measured }
    x += measured.width + aisle
    return item
  })
  return { width: Math.max(0, x - aisle), height: Math.max(0, ...members.map(({ height }) => height)), items }
}

const place = (arranged: Arranged, x: number, y: number, boxes: Array<Box>): void => {
  for (const { measured, x: left, y: top } of arranged.items) {
    const { height, inner, lines, member, width } = measured
    const box = { member, x: x + left, y: y + top, width, height, lines }
    boxes.push(box)
    if (inner !== undefined) place(inner.arranged, box.x + inner.x, box.y + inner.y, boxes)
  }
}

const columns = (text: string): number => widthOf(toCells(text, 0))

/** A text on one line, as much of it as a box may show. */
const cut = (text: string): string => {
  const line = text.replace(/\s+/g, " ").trim()
  if (columns(line) <= maxColumns) return line
  let shown = ""
  let width = 0
  for (const char of line) {
    width += columns(char)
    if (width >= maxColumns) break
    shown += char
  }
  return `${shown}…`
}
