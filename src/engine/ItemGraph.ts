/**
 * Which item waits for which (spec/engine.md, "foreach", `ordered`).
 */
import type { ItemEdge } from "../action/ItemProvider.ts"

export class ItemGraph {
  readonly #blockers = new Map<string, Set<string>>()
  readonly #dependents = new Map<string, Set<string>>()

  add(edge: ItemEdge): void {
    insert(this.#blockers, edge.dependent, edge.blocker)
    insert(this.#dependents, edge.blocker, edge.dependent)
  }

  blockers(id: string): ReadonlySet<string> {
    return this.#blockers.get(id) ?? none
  }

  /** Everything that waits for an item, directly or not. */
  reachableFrom(id: string): ReadonlySet<string> {
    const reached = new Set<string>()
    const open = [id]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const dependent of this.#dependents.get(next) ?? none) {
        if (reached.has(dependent)) continue
        reached.add(dependent)
        open.push(dependent)
      }
    }
    return reached
  }
}

const none: ReadonlySet<string> = new Set()

const insert = (map: Map<string, Set<string>>, key: string, value: string): void => {
  const values = map.get(key)
  if (values === undefined) map.set(key, new Set([value]))
  else values.add(value)
}

/**
 * The edges without those that close a cycle, and the cycles that they would close, each named from the item at which
 * it closes to that item again. Depth-first over the dependents, in the order of the edges; no recursion.
 */
export const dropCycles = (
  edges: ReadonlyArray<ItemEdge>
): { readonly edges: ReadonlyArray<ItemEdge>; readonly cycles: ReadonlyArray<ReadonlyArray<string>> } => {
  const outgoing = new Map<string, Array<ItemEdge>>()
  for (const edge of edges) {
    const list = outgoing.get(edge.blocker)
    if (list === undefined) outgoing.set(edge.blocker, [edge])
    else list.push(edge)
  }
  const dropped = new Set<ItemEdge>()
  const cycles: Array<ReadonlyArray<string>> = []
  const finished = new Set<string>()
  for (const start of outgoing.keys()) {
    const trail: Array<{ readonly id: string; next: number }> = [{ id: start, next: 0 }]
    const onTrail = new Map([[start, 0]])
    while (!finished.has(start)) {
      const top = trail.at(-1)
      if (top === undefined) break
      const edge = outgoing.get(top.id)?.[top.next++]
      if (edge === undefined) {
        trail.pop()
        onTrail.delete(top.id)
        finished.add(top.id)
        continue
      }
      const at = onTrail.get(edge.dependent)
      if (at !== undefined) {
        dropped.add(edge)
        cycles.push([...trail.slice(at).map((entry) => entry.id), edge.dependent])
      } else if (!finished.has(edge.dependent)) {
        onTrail.set(edge.dependent, trail.length)
        trail.push({ id: edge.dependent, next: 0 })
      }
    }
  }
  return { edges: edges.filter((edge) => !dropped.has(edge)), cycles }
}
