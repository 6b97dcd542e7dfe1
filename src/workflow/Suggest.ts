/**
 * The nearest right name for a misspelt one (spec/language.md, "Diagnostics").
 */

/** Longer words are compared no further: a name that long is not a typing mistake of another. */
const maxLength = 64

/**
 * The candidate that `word` most likely meant, or undefined when none is near: at most a third of the word's letters
 * (at least one) may be missing, added, wrong, or swapped with their neighbour. Case and `-` against `_` do not count.
 * Of equally near ones the first wins; a candidate equal to the word itself is no suggestion.
 */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  if (word.length > maxLength) return undefined
  const wanted = fold(word)
  let limit = Math.max(1, Math.floor(word.length / 3))
  let best: string | undefined
  for (const candidate of candidates) {
    if (candidate === word || Math.abs(candidate.length - word.length) > limit) continue
    const distance = editDistance(wanted, fold(candidate))
    if (distance > limit || distance >= Math.max(word.length, candidate.length)) continue
    if (best !== undefined && distance === limit) continue
    best = candidate
    limit = distance
    if (distance === 0) break
  }
  return best
}

const fold = (word: string): string => word.toLowerCase().replaceAll("-", "_")

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
export const editDistance = (a: string, b: string): number => {
  let beforeLast: ReadonlyArray<number> = []
  let last: ReadonlyArray<number> = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1)
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1)
      }
      current.push(cost)
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}
