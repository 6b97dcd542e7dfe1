/**
 * Source text and positions in it. Offsets count UTF-16 code units from 0; lines and columns count from 1.
 */
export interface Span {
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

export interface Source {
  /** As shown in messages: usually the path that the user typed. */
  readonly file: string
  readonly text: string
}

/** Where a definition's nodes stand in their file: beside the tree, so that definitions stay free of positions. */
export interface SpanTable {
  /** The span of a node, a definition, an input declaration or a branch call, by object identity. */
  readonly node: (node: object) => Span | undefined
  /** The span of the name behind the keyword (`call NAME`, `gate NAME`, …); the node's own where there is none. */
  readonly name: (node: object) => Span | undefined
  /** The span of an option's value, by its name as written in the file (`max_parallel`, `if`, `condition`, …). */
  readonly option: (node: object, option: string) => Span | undefined
}

export interface Position {
  readonly line: number
  readonly column: number
}

/** Offsets at which lines start. */
export const lineStarts = (text: string): ReadonlyArray<number> => {
  const starts = [0]
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1)
  return starts
}

/** Line and column of an offset, by binary search over `lineStarts`. */
export const positionAt = (starts: ReadonlyArray<number>, offset: number): Position => {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
}
