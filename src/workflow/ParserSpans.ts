/** Records where nodes and their options stand, and answers `SpanTable`'s questions from that. */
import type { Entry, Raw } from "./ParserValues.ts"
import type { Span, SpanTable } from "./Source.ts"

interface Placed {
  readonly start: number
  readonly end: number
  readonly nameStart: number
  readonly nameEnd: number
  readonly entries: ReadonlyArray<Entry>
}

export class SpanRecorder implements SpanTable {
  private readonly places = new Map<object, Placed>()

  add(node: object, start: number, end: number, nameStart: number, nameEnd: number, entries: ReadonlyArray<Entry>) {
    this.places.set(node, { start, end, nameStart, nameEnd, entries })
  }

  readonly node = (node: object): Span | undefined => {
    const place = this.places.get(node)
    return place && { start: place.start, end: place.end }
  }

  readonly name = (node: object): Span | undefined => {
    const place = this.places.get(node)
    return place && { start: place.nameStart, end: place.nameEnd }
  }

  /** `inputs.NAME` and `with.0` ask for one entry of a map and one item of a list. */
  readonly option = (node: object, option: string): Span | undefined => {
    const entries = this.places.get(node)?.entries
    if (entries === undefined) return undefined
    const whole = last(entries, option)
    if (whole !== undefined) return { start: whole.start, end: whole.end }
    const dot = option.indexOf(".")
    if (dot === -1) return undefined
    const part = partOf(entries, option.slice(0, dot), option.slice(dot + 1))
    return part && { start: part.start, end: part.end }
  }
}

const last = (entries: ReadonlyArray<Entry>, key: string): Raw | undefined =>
  entries.findLast((entry) => entry.key === key)?.value

/** Of several maps (`inputs { }` and `inputs = { }`) the last that has the key. */
const partOf = (entries: ReadonlyArray<Entry>, option: string, key: string): Raw | undefined => {
  for (let index = entries.length - 1; index >= 0; index--) {
    const entry = entries[index]
    if (entry === undefined || entry.key !== option) continue
    if (entry.value.kind === "list") return entry.value.items[Number(key)]
    const part = entry.value.kind === "map" ? last(entry.value.entries, key) : undefined
    if (part !== undefined) return part
  }
  return undefined
}
